"""What a handler gets to see: the request's circumstances, and the broker."""
from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from fastbroker.config.broker import BrokerConfig
from fastbroker.config.topic import TopicConfig
from fastbroker.coordination.topics import INTERNAL_TOPICS as INTERNAL_TOPICS
from fastbroker.coordination.topics import OFFSETS_TOPIC as OFFSETS_TOPIC
from fastbroker.coordination.topics import TRANSACTIONS_TOPIC as TRANSACTIONS_TOPIC
from fastbroker.errors import NotLeaderOrFollower, UnknownTopicId, UnknownTopicOrPartition
from fastbroker.metadata.image import BrokerImage, MetadataImage, TopicImage
from fastbroker.model import WORKER_STRIDE, Deferred, Timers, TopicPartition
from fastbroker.partition.fetch_session import FetchSessions
from fastbroker.partition.partition import Partition
from fastbroker.storage.log_dir import LogDir

if TYPE_CHECKING:
    from fastbroker.group.coordinator import GroupCoordinator
    from fastbroker.txn.coordinator import TransactionCoordinator

TOPIC_CONFIGS_MAX = 1000  # different sets of overrides whose values are remembered


class Node(NamedTuple):
    """A broker as a client is told of it."""

    id: int
    host: str
    port: int
    rack: str | None


class RequestContext(NamedTuple):
    """One request's circumstances.

    listener: name of the listener it came through. local: (host, port) that the client reached us
    at. client_host: where it comes from, for logs and group descriptions.
    """

    broker: Broker
    api_key: int
    api_version: int
    client_id: str | None
    client_host: str
    listener: str
    local: tuple[str, int]
    connection: Any


class Enlist(Protocol):
    """Has the coordinator of a transaction add partitions to it, or say whether they belong to it.

    Done with an error code for each partition, 0: it belongs to the transaction now.
    """

    def __call__(
        self,
        *,
        transactional_id: str,
        producer_id: int,
        producer_epoch: int,
        partitions: list[TopicPartition],
        add: bool,
    ) -> Deferred[dict[TopicPartition, int]]: ...


class Broker:
    """One worker's broker, as handlers see it. Wired by the worker; owned by its loop.

    forward(request, ctx): sends a client's request on to the controller; a Deferred of the
        response of the same API.
    allocate_producer_id(): a Deferred of a fresh producer id.
    workers: brokers of this host, which their supervisor starts again when they end.
    enlist: asks the coordinator of a transaction about its partitions; see Enlist.
    new_groups(), new_transactions(): make the coordinators, see `groups` and `transactions`.
    save_log_starts(): a Deferred, done when the starts of logs are on disk, failed with an OSError.
    """

    def __init__(
        self,
        *,
        config: BrokerConfig,
        broker_id: int,
        workers: int,
        timers: Timers,
        log_dir: LogDir,
        sessions: FetchSessions,
        forward: Callable[[Any, RequestContext], Deferred[Any]],
        allocate_producer_id: Callable[[], Deferred[int]],
    ) -> None:
        self.config, self.broker_id, self.workers = config, broker_id, workers
        self.timers, self.log_dir, self.sessions = timers, log_dir, sessions
        self.forward, self.allocate_producer_id = forward, allocate_producer_id
        self._topic_configs: dict[frozenset[tuple[str, str]], TopicConfig] = {}  # by overrides
        self._configs_of = config  # the broker's values that they were made with
        self.image = MetadataImage.empty()
        self.partitions: dict[TopicPartition, Partition] = {}
        self.new_groups: Callable[[], GroupCoordinator]
        self.new_transactions: Callable[[], TransactionCoordinator]
        self.enlist: Enlist
        self.save_log_starts: Callable[[], Deferred[None]]
        self.clients: dict[Any, tuple[str, str]] = {}  # connection -> software name and version
        self._conditions: dict[Deferred[None], Callable[[], bool]] = {}
        self._on_close: dict[Any, Callable[[], object]] = {}

    # ---- coordinators

    @cached_property
    def groups(self) -> GroupCoordinator:
        """Made when it is first asked for, or when its topic is there: it is half of all the code,
        and many brokers coordinate nothing."""
        return self.new_groups()

    @cached_property
    def transactions(self) -> TransactionCoordinator:
        """Made as `groups` is."""
        return self.new_transactions()

    @property
    def has_groups(self) -> bool:
        """Whether `groups` was made: otherwise there is nothing that it could be told of."""
        return "groups" in self.__dict__

    @property
    def has_transactions(self) -> bool:
        """Whether `transactions` was made."""
        return "transactions" in self.__dict__

    # ---- connections

    def on_close(self, connection: Any, leave: Callable[[], object] | None) -> None:
        """Call `leave()` when `connection` closes; one for each connection, None: not any more."""
        if leave is not None:
            self._on_close[connection] = leave
        else:
            self._on_close.pop(connection, None)

    def closed(self, connection: Any, *_: object) -> None:
        """A client is gone; the listeners' `closed`."""
        self.clients.pop(connection, None)
        leave = self._on_close.pop(connection, None)
        if leave is not None:
            leave()

    # ---- the image

    def apply(self, image: MetadataImage) -> None:
        """A newer image is in force."""
        self.image = image
        for deferred, condition in list(self._conditions.items()):
            if not deferred.done and condition():
                deferred.complete(None)

    def when(self, condition: Callable[[], bool], within_ms: int) -> Deferred[None]:
        """Done once `condition()` holds for the image in force, or after `within_ms`."""
        deferred: Deferred[None] = Deferred()
        if condition():
            deferred.complete(None)
            return deferred
        self._conditions[deferred] = condition

        def give_up() -> None:
            if not deferred.done:
                deferred.complete(None)

        timer = self.timers.after(within_ms, give_up)

        def done(_: Deferred[None]) -> None:
            del self._conditions[deferred]
            timer.cancel()

        deferred.then(done)
        return deferred

    # ---- topics and partitions

    def topic(self, name: str) -> TopicImage:
        """Raises UnknownTopicOrPartition."""
        found = self.image.topics.get(name)
        if found is None:
            raise UnknownTopicOrPartition(f"there is no topic {name!r}")
        return found

    def topic_by_id(self, topic_id: bytes) -> TopicImage:
        """Raises UnknownTopicId."""
        found = self.image.topics_by_id.get(topic_id)
        if found is None:
            raise UnknownTopicId(f"there is no topic with the id {topic_id.hex()}")
        return found

    def partition(self, topic: str, number: int) -> Partition:
        """A partition that this broker has. Raises UnknownTopicOrPartition, NotLeaderOrFollower."""
        found = self.partitions.get(TopicPartition(topic, number))
        if found is not None:
            return found
        image = self.image.topics.get(topic)
        if image is None or number not in image.partitions:
            raise UnknownTopicOrPartition(f"there is no partition {number} of topic {topic!r}")
        raise NotLeaderOrFollower(
            f"broker {image.partitions[number].leader} leads {topic}-{number},"
            f" this is {self.broker_id}"
        )

    def topic_config(self, name: str) -> TopicConfig:
        """The values in force for a topic: one object for all topics with the same overrides."""
        if self._configs_of is not self.config or len(self._topic_configs) >= TOPIC_CONFIGS_MAX:
            self._topic_configs.clear()
            self._configs_of = self.config
        overrides = self.image.topic_configs(name)
        key = frozenset(overrides.items())
        found = self._topic_configs.get(key)
        if found is None:
            found = self._topic_configs[key] = TopicConfig.resolve(overrides, self.config)
        return found

    # ---- brokers as clients are told of them

    def node(self, broker_id: int, ctx: RequestContext) -> Node | None:
        """How the asking client reaches a broker; None: it does not, or not through its listener.

        Unless advertised.listeners is set, brokers of this host are named by the address that the
        client itself used: one that it can reach.
        """
        broker = self.image.brokers.get(broker_id)
        if broker is None or broker.fenced:
            return None
        return self._node_of(broker, ctx)

    def _node_of(self, broker: BrokerImage, ctx: RequestContext) -> Node | None:
        endpoint = broker.endpoints.get(ctx.listener)
        if endpoint is None:
            return None
        host = endpoint.host
        same_host = broker.id % WORKER_STRIDE == self.broker_id % WORKER_STRIDE
        if same_host and "advertised.listeners" not in self.config.explicit:
            host = ctx.local[0]
        return Node(broker.id, host, endpoint.port, broker.rack)

    def comes_back(self, broker_id: int) -> bool:
        """Whether a broker that is away is one that this host's supervisor starts again."""
        index, node_id = divmod(broker_id, WORKER_STRIDE)
        return node_id == self.broker_id % WORKER_STRIDE and index < self.workers

    def nodes(self, ctx: RequestContext, *, fenced: bool = False) -> list[tuple[Node, bool]]:
        """(broker, is fenced) of every broker that the client's listener reaches, by id."""
        out = []
        for _, broker in sorted(self.image.brokers.items()):
            if broker.fenced and not fenced:
                continue
            node = self._node_of(broker, ctx)
            if node is not None:
                out.append((node, broker.fenced))
        return out
