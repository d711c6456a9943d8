"""A small blocking Kafka client: finds brokers, leaders and coordinators, and tries again.

`call` sends one request; `attempt` repeats an action as long as its errors are passing ones.
"""
from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import click

from fastbroker import errors
from fastbroker.cli.connection import NEWEST, Connection, ConnectionLost
from fastbroker.cli.output import Failure
from fastbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
from fastbroker.protocol.messages.metadata import MetadataRequest, MetadataResponse
from fastbroker.protocol.schema import Struct

T = TypeVar("T")
Topic = MetadataResponse.MetadataResponseTopic

BOOTSTRAP = "127.0.0.1:9092"
TIMEOUT_S = 30.0
# How long a topic may be unknown: brokers hear of a new one a moment after its creation.
NEWS_S = 1.0
AUTO_CREATE_S = 5.0
BACKOFF_S, BACKOFF_MAX_S = 0.02, 1.0
ANY = -1
GROUP, TRANSACTION = 0, 1  # what a coordinator is of
KINDS = {GROUP: "group", TRANSACTION: "transactional id"}

bootstrap_option = click.option(
    "--bootstrap",
    default=BOOTSTRAP,
    envvar="FASTBROKER_BOOTSTRAP",
    show_envvar=True,
    show_default=True,
    metavar="HOST:PORT",
    help="A broker of the cluster; several with commas between.",
)


class NoSuchTopic(Failure):
    """The cluster has no topic of that name."""


class Client:
    """Connections to the brokers of one cluster; used by one thread; a context manager."""

    def __init__(self, bootstrap: str) -> None:
        """Nothing is connected yet. Raises Failure for an address that is none."""
        self._bootstrap = addresses(bootstrap)
        self._nodes: dict[int, tuple[str, int]] = {}
        self._connections: dict[tuple[int, str], Connection] = {}

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections.values():
            connection.close()

    def call(
        self,
        request: Struct,
        *,
        node: int = ANY,
        purpose: str = "",
        at_least: int = 0,
        at_most: int = NEWEST,
        timeout_s: float = TIMEOUT_S,
    ) -> Any:
        """The response of broker `node`, or of any. Raises ConnectionLost, Failure.

        purpose: requests of different purposes travel on different connections.
        """
        connection = self.connection(node, purpose)
        try:
            return connection.call(
                request, timeout_s=timeout_s, at_least=at_least, at_most=at_most
            )
        except ConnectionLost:
            self.drop(node, purpose)
            raise
        except BaseException:
            if connection.is_waiting:  # interrupted: the next answer would be of this request
                self.drop(node, purpose)
            raise

    def connection(self, node: int = ANY, purpose: str = "") -> Connection:
        """The connection to a broker, made if there is none. Raises ConnectionLost, Failure."""
        found = self._connections.get((node, purpose))
        if found is None:
            if node != ANY and node not in self._nodes:
                raise errors.LeaderNotAvailable(f"broker {node} is not alive")
            found = self._connect_any() if node == ANY else Connection(*self._nodes[node])
            self._connections[node, purpose] = found
        return found

    def drop(self, node: int, purpose: str = "") -> None:
        """Close the connection to a broker, if there is one."""
        found = self._connections.pop((node, purpose), None)
        if found is not None:
            found.close()

    def topics(self, names: Sequence[str] | None = None, *, create: bool = False) -> list[Topic]:
        """What the cluster knows of `names`, or of all topics; each carries its own error code."""
        asked = MetadataRequest.MetadataRequestTopic
        request = MetadataRequest(
            topics=None if names is None else [asked(name=name) for name in names],
            allow_auto_topic_creation=create,
        )
        response = self.call(request, at_least=4)
        self._nodes = {one.node_id: (one.host, one.port) for one in response.brokers}
        found: list[Topic] = sorted(response.topics, key=lambda one: one.name or "")
        for topic in found:
            topic.partitions.sort(key=lambda one: one.partition_index)
        return found

    def topic(self, name: str, *, create: bool = False) -> Topic:
        """One topic. `create` lets the broker make it, if it does. Raises NoSuchTopic."""

        def look() -> Topic:
            found = self.topics([name], create=create)[0]
            check(found.error_code, where=f"topic {name!r}")
            return found

        try:
            return self.attempt(look, timeout_s=AUTO_CREATE_S if create else NEWS_S)
        except errors.UnknownTopicOrPartition:
            raise NoSuchTopic(
                f"there is no topic {name!r}; create it with: fastbroker topic create {name}"
            ) from None

    def brokers(self) -> dict[int, str]:
        """host:port of every broker that is alive, by id."""
        self.topics([])
        return {node: self.address(node) for node in sorted(self._nodes)}

    def address(self, node: int) -> str:
        """host:port of a broker that was named in an answer."""
        host, port = self._nodes[node]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def coordinator(self, group: str) -> int:
        """The broker that coordinates `group`."""
        return self.attempt(lambda: self.coordinators([group])[group])

    def coordinators(self, names: Sequence[str], kind: int = GROUP) -> dict[str, int]:
        """The broker that coordinates each of `names`: groups, or transactional ids.

        Asked once; raises the first error of a name.
        """
        out = {}
        request = FindCoordinatorRequest(key_type=kind, coordinator_keys=list(names))
        for found in self.call(request, at_least=4).coordinators:
            where = f"{KINDS[kind]} {found.key!r}"
            check(found.error_code, found.error_message, where=where)
            self._nodes[found.node_id] = (found.host, found.port)
            out[found.key] = int(found.node_id)
        return out

    def attempt(
        self,
        action: Callable[[], T],
        *,
        timeout_s: float = TIMEOUT_S,
        again: Callable[[], object] | None = None,
    ) -> T:
        """What `action()` returns, repeated while it raises passing errors, up to `timeout_s`.

        again: called before each repetition, as to look for leaders anew.
        """
        end = time.monotonic() + timeout_s
        pause = BACKOFF_S
        repeated = False
        while True:
            try:
                if repeated and again is not None:
                    again()
                return action()
            except (ConnectionLost, errors.KafkaError) as error:
                # Without any answer so far there is no cluster to wait for.
                passing = error.retriable if isinstance(error, errors.KafkaError) else self._nodes
                if not passing or time.monotonic() + pause > end:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, BACKOFF_MAX_S)
            repeated = True

    def _connect_any(self) -> Connection:
        """A connection to the first broker that answers: those asked for, then those seen."""
        first: ConnectionLost | None = None
        for host, port in dict.fromkeys([*self._bootstrap, *self._nodes.values()]):
            try:
                return Connection(host, port)
            except ConnectionLost as error:
                first = first or error
        assert first is not None
        raise ConnectionLost(
            f"{first}; start one with: fastbroker start, or name another with --bootstrap HOST:PORT"
        )


def chunks(items: Iterable[T], most: int) -> Iterator[list[T]]:
    """`items` in lists of at most `most`: what one request asks for is bounded."""
    rest = iter(items)
    while chunk := list(islice(rest, most)):
        yield chunk


def check(code: int, message: str | None = None, *, where: str) -> None:
    """Raise the KafkaError of `code`, if it is one, saying where it happened."""
    if code != errors.NONE:
        kind = errors.of(code)
        raise kind(f"{where}: {message or (kind.__doc__ or '').strip().rstrip('.')}")


def partitions_of(topic: Topic, wanted: int | None = None) -> list[int]:
    """All partitions of a topic, or the one that is wanted. Raises Failure when it has no such."""
    known = [one.partition_index for one in topic.partitions]
    if wanted is None:
        return known
    if wanted not in known:
        held = "only partition 0" if len(known) == 1 else f"partitions 0 to {len(known) - 1}"
        raise Failure(f"there is no partition {wanted}: topic {topic.name!r} has {held}")
    return [wanted]


def addresses(text: str) -> list[tuple[str, int]]:
    """(host, port) of each HOST:PORT between commas; the port may be left out. Raises Failure."""
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        host, colon, port = part.rpartition(":")
        if not colon or part.endswith("]"):  # [::1] has colons but no port
            host, port = part, BOOTSTRAP.rpartition(":")[2]
        host = host.strip("[]")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise Failure(
                f"--bootstrap {text}: {part!r} is not of the form HOST:PORT, as in {BOOTSTRAP}",
                status=2,
            )
        found.append((host, int(port)))
    if not found:
        raise Failure(f"--bootstrap is empty; give HOST:PORT, as in {BOOTSTRAP}", status=2)
    return found
