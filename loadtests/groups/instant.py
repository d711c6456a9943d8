"""From subscribing to consuming, with real clients.

    python -m loadtests.groups.instant [--bootstrap HOST:PORT | --kafka] [--workers 2]
        [--clients kafkajs,librdkafka,java] [--protocols classic,consumer] [--rounds 40]
        [--seconds 10] [--deaths 1] [--trace]

Per client and protocol, in milliseconds, median and p99:

    first    a new group: from subscribe to the first record, which is there already
    at broker, client   (with --trace) how much of it a request was with the broker, and the rest
    second   a second member: from its subscribe until both members have got records while neither
             owned the other's partition
    left     a member leaves: from its close until the other has got a record of its partition
    died     a member is killed: the same; its session of 6 s (classic) ends first

The first group ever, whose coordinator has first to be created, is told in a line of its own. The
first rounds of a client are for its compiler and are not counted.
"""
from __future__ import annotations

import argparse
import contextlib
import statistics
import time
import uuid
from collections.abc import Callable, Sequence

from loadtests.groups.clusters import Source, cluster, connect, create_topic, leaders, produce
from loadtests.groups.member import CLIENTS, SPEAKS_CONSUMER, Member
from loadtests.groups.trace import Proxy, covered_ms

FULL, LIVE = "instant-full", "instant-live"  # a topic with records, one that gets them all the time
PARTITIONS = 2
WARM_ROUNDS = 5
Span = tuple[int, int]


def first(member: Member, protocol: str) -> Span:
    """A new group of one."""
    begun = member.open(f"first-{uuid.uuid4()}", FULL, protocol)
    ended = member.wait(lambda event: event.name == "record").at
    member.close()
    return begun, ended


def two(one: Member, other: Member, protocol: str) -> Span:
    """A second member comes to a group that consumes."""
    group = f"two-{uuid.uuid4()}"
    one.open(group, LIVE, protocol)
    one.wait(lambda event: event.name == "record" and len(one.owned) == PARTITIONS)
    begun = other.open(group, LIVE, protocol)
    ends = [
        member.wait(lambda event, m=member: event.name == "record" and len(m.owned) == 1).at  # type: ignore[misc]
        for member in (other, one)
    ]
    return begun, max(ends)


def taken_over(one: Member, lost: frozenset[int]) -> int:
    """When `one` got its first record of the partitions `lost`, which it had not."""
    return one.wait(lambda event: event.name == "record" and event.partitions <= lost).at


def left(one: Member, other: Member) -> Span:
    """The second member goes."""
    lost = other.owned
    begun = other.close()
    ended = taken_over(one, lost)
    return begun, ended


def died(one: Member, other: Member) -> Span:
    """The second member is killed."""
    lost = other.owned
    begun = time.monotonic_ns()
    other.kill()
    return begun, taken_over(one, lost)


def cell(spans: Sequence[Span]) -> str:
    return figures([(end - begin) / 1e6 for begin, end in spans])


def figures(values: Sequence[float]) -> str:
    """Median and p99."""
    if not values:
        return f"{'-':>8} {'-':>8}"
    ordered = sorted(values)
    return f"{statistics.median(ordered):8.1f} {ordered[-1 - len(ordered) // 100]:8.1f}"


class Measurement:
    """One client with one protocol against one cluster."""

    def __init__(self, bootstrap: str, client: str, protocol: str) -> None:
        self.make: Callable[[], Member] = lambda: CLIENTS[client](bootstrap)
        self.name, self.protocol = f"{client}, {protocol}", protocol

    def row(self, *, rounds: int, seconds: int, deaths: int) -> str:
        """All figures, as a line."""
        with self.make() as one, self.make() as other:
            firsts = [first(one, self.protocol) for _ in range(WARM_ROUNDS + rounds)]
            seconds_, lefts = [], []
            for _ in range(seconds):
                seconds_.append(two(one, other, self.protocol))
                lefts.append(left(one, other))
                one.close()
        deads = []
        for _ in range(deaths):
            with self.make() as one, self.make() as other:
                two(one, other, self.protocol)
                deads.append(died(one, other))
                one.close()
        cells = map(cell, (firsts[WARM_ROUNDS:], seconds_, lefts, deads))
        return f"{self.name:<22}" + " ".join(cells)

    def trace(self, proxy: Proxy, rounds: int) -> None:
        """Who waits for whom until the first record, and a typical round's requests."""
        with self.make() as one:
            spans = [first(one, self.protocol) for _ in range(WARM_ROUNDS + rounds)]
        spans = spans[WARM_ROUNDS:]
        totals = [(end - begin) / 1e6 for begin, end in spans]
        brokers = [covered_ms(proxy.between(*span), *span) for span in spans]
        clients = [total - broker for total, broker in zip(totals, brokers, strict=True)]
        print(f"{self.name:<22}{figures(totals)} {figures(brokers)} {figures(clients)}")
        middle = sorted(spans, key=lambda span: span[1] - span[0])[len(spans) // 2]
        for exchange in proxy.between(*middle):
            asked, answered = ((at - middle[0]) / 1e6 for at in exchange[2:])
            print(
                f"    {asked:8.1f} {exchange.api + ' v' + str(exchange.version):<26}"
                f"{answered - asked:8.1f}"
            )


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m loadtests.groups.instant")
    options.add_argument("--bootstrap", help="a cluster that is there; default: start one")
    options.add_argument("--kafka", action="store_true", help="start an Apache Kafka instead")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--clients", default=",".join(CLIENTS))
    options.add_argument("--protocols", default="classic,consumer")
    options.add_argument("--rounds", type=int, default=40)
    options.add_argument("--seconds", type=int, default=10, help="rounds with a second member")
    options.add_argument("--deaths", type=int, default=1, help="rounds with a killed member")
    options.add_argument("--trace", action="store_true", help="who waits for whom, instead")
    args = options.parse_args()
    with cluster(args.bootstrap, kafka=args.kafka, workers=args.workers) as (name, bootstrap):
        prepare(bootstrap)
        print(f"{name}: ms, median and p99", flush=True)
        source: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
        proxy = Proxy(bootstrap) if args.trace else None
        if proxy is not None:
            bootstrap = proxy.bootstrap
            print(f"{'':<22}{'first':>17} {'at broker':>17} {'client':>17}", flush=True)
        else:
            source = Source(bootstrap, LIVE)
            with CLIENTS["librdkafka"](bootstrap) as member:
                begun, ended = first(member, "classic")
            print(f"the first group ever (librdkafka): {(ended - begun) / 1e6:.1f} ms")
            print(f"{'':<22}{'first':>17} {'second':>17} {'left':>17} {'died':>17}", flush=True)
        with source:
            for client in args.clients.split(","):
                for protocol in args.protocols.split(","):
                    if protocol == "consumer" and client not in SPEAKS_CONSUMER:
                        continue
                    one = Measurement(bootstrap, client, protocol)
                    if proxy is not None:
                        one.trace(proxy, args.rounds)
                    else:
                        print(
                            one.row(
                                rounds=args.rounds, seconds=args.seconds, deaths=args.deaths
                            ),
                            flush=True,
                        )


def prepare(bootstrap: str) -> None:
    """The topics, one of them with records."""
    for topic in (FULL, LIVE):
        create_topic(bootstrap, topic, PARTITIONS)
    with connect(bootstrap) as sock:
        led = leaders(sock, FULL)
    for partition, address in led.items():
        with connect(address) as sock:
            produce(sock, FULL, [partition], records=10)


if __name__ == "__main__":
    main()
