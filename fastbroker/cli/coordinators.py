"""Asks coordinators about many groups or transactional ids: in batches, again what is passing."""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from fastbroker import errors
from fastbroker.cli.client import KINDS, Client, chunks

# Answers are held until those of their batch are complete; a member's metadata may be large.
BATCH = 200


class Answer(NamedTuple):
    """What a coordinator, `node`, says of one name; code 0: no error."""

    name: str
    node: int
    code: int
    message: str | None
    value: Any

    @property
    def error(self) -> errors.KafkaError:
        """The error of `code`."""
        kind = errors.of(self.code)
        return kind(self.message or "")


# (broker, names) -> (name, error code, error message, value) of each
Ask = Callable[[int, list[str]], Iterable[tuple[str, int, str | None, Any]]]


def answers(client: Client, kind: int, names: Iterable[str], ask: Ask) -> Iterator[Answer]:
    """The answer for each of `names` (kind: client.GROUP or TRANSACTION), in their order.

    What fails for a passing reason is asked again, at the coordinator looked for anew; other errors
    are answers. Raises KafkaError, Failure when no coordinator answers in time.
    """
    for batch in chunks(dict.fromkeys(names), BATCH):
        yield from _of_batch(client, kind, batch, ask)


def _of_batch(client: Client, kind: int, names: list[str], ask: Ask) -> list[Answer]:
    pending, found = dict.fromkeys(names), list[Answer]()

    def asked_once() -> None:
        by_node: dict[int, list[str]] = {}
        for name, node in client.coordinators(list(pending), kind).items():
            by_node.setdefault(node, []).append(name)
        failed: errors.KafkaError | None = None
        for node, mine in by_node.items():
            for name, code, message, value in ask(node, mine):
                answer = Answer(name, node, code, message, value)
                if code and answer.error.retriable:
                    where = f"{KINDS[kind]} {name!r}"
                    failed = errors.of(code)(f"{where}: {answer.error.message}")
                else:
                    found.append(answer)
                    pending.pop(name, None)
        if failed is not None:
            raise failed

    client.attempt(asked_once)
    place = {name: n for n, name in enumerate(names)}
    return sorted(found, key=lambda one: place.get(one.name, 0))
