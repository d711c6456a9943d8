"""Questions to coordinators: in batches, and again what passes."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from fastbroker import errors
from fastbroker.cli.client import GROUP, Client
from fastbroker.cli.coordinators import BATCH, answers

NOT_COORDINATOR = errors.NotCoordinator.code


class Moving(Client):
    """A cluster of two coordinators; names go to broker 1 first, and then to broker 2."""

    def __init__(self) -> None:
        super().__init__("a:1")
        self.looked: list[list[str]] = []

    def coordinators(self, names: Sequence[str], kind: int = GROUP) -> dict[str, int]:
        self.looked.append(list(names))
        moved = {name for names in self.looked[:-1] for name in names}
        return {name: 2 if name in moved else 1 for name in names}


def test_a_name_is_asked_again_where_it_went() -> None:
    client, asked = Moving(), list[tuple[int, list[str]]]()

    def ask(node: int, names: list[str]) -> Iterator[tuple[str, int, None, Any]]:
        asked.append((node, names))
        for name in names:
            yield name, NOT_COORDINATOR if node == 1 and name == "b" else 0, None, node

    found = [(one.name, one.value) for one in answers(client, GROUP, ["b", "a", "b"], ask)]
    assert found == [("b", 2), ("a", 1)]
    assert asked == [(1, ["b", "a"]), (2, ["b"])]


def test_errors_that_stay_are_answers() -> None:
    code = errors.GroupIdNotFound.code
    (one,) = answers(Moving(), GROUP, ["a"], lambda _, names: [(n, code, "no", 0) for n in names])
    assert isinstance(one.error, errors.GroupIdNotFound)
    assert one.error.message == "no"


def test_a_passing_error_that_stays_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastbroker.cli.client.time.sleep", lambda _: None)
    monkeypatch.setattr(Client.attempt, "__kwdefaults__", {"timeout_s": 0.01, "again": None})

    def ask(_: int, names: list[str]) -> list[tuple[str, int, None, Any]]:
        return [(name, NOT_COORDINATOR, None, 0) for name in names]

    with pytest.raises(errors.NotCoordinator, match="group 'a'"):
        list(answers(Moving(), GROUP, ["a"], ask))


def test_many_names_are_asked_for_in_batches() -> None:
    client, sizes = Moving(), list[int]()
    names = [f"g-{n}" for n in range(2 * BATCH + 1)]

    def ask(_: int, mine: list[str]) -> list[tuple[str, int, None, Any]]:
        sizes.append(len(mine))
        return [(name, 0, None, 0) for name in mine]

    assert [one.name for one in answers(client, GROUP, names, ask)] == names
    assert sizes == [BATCH, BATCH, 1]
