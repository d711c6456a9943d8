"""Thousands of members that do nothing but live: what their heartbeats take from one worker.

    python -m loadtests.groups.heartbeats [--members 10000] [--protocol classic]
        [--connections 100] [--seconds 30]

Every member has its client's or broker's usual interval: 3 s classic, what the broker says for
consumer (5 s). Printed: the worker's CPU share (psutil, user and system) while they live, beside
its share before anyone joined; and how soon a heartbeat was answered, from when it was due to be
sent: what this process is late by is in it, too.

Members share connections, as many in a group as there are connections: a JoinGroup holds up its
connection until it is answered. With --connections 10000 everyone has its own.
"""
from __future__ import annotations

import argparse
import asyncio
import gc
import resource
import tempfile
import time
import uuid
from typing import Any

import psutil

from fastbroker.model import Deferred
from fastbroker.protocol.messages.api_versions import ApiVersionsRequest
from loadtests.groups.classic import HEARTBEAT_S, HEARTBEAT_VERSION, ClassicMember, check
from loadtests.groups.clusters import create_topic
from loadtests.groups.consumer import VERSION, ConsumerMember
from loadtests.groups.death import coordinator
from loadtests.groups.peer import Peer
from tests.broker_process import BrokerProcess

TOPIC = "heartbeats"
SESSION_MS = 600_000  # while the others join
GROUP_MAX = 100
CONNECT_AT_ONCE = 500
SETTLE_S = 300.0
IDLE_S = 5.0
Member = ClassicMember | ConsumerMember


def nothing(_: set[int]) -> None:
    """Nobody reads here."""


class Crowd:
    """All members, and what was measured of their heartbeats."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self.waits_ms: list[float] = []

    async def settle(self, where: str, protocol: str, *, members: int, connections: int) -> None:
        """Connect, and have all groups joined and at rest."""
        peers: list[Peer] = []
        for begin in range(0, connections, CONNECT_AT_ONCE):
            fresh = [Peer(where) for _ in range(min(CONNECT_AT_ONCE, connections - begin))]
            await asyncio.gather(*(self.connected(peer) for peer in fresh))
            peers += fresh
        size = min(GROUP_MAX, connections)
        for n in range(0, members, size):
            group = f"heartbeats-{n // size}-{uuid.uuid4()}"
            mine = [peers[(n + k) % connections] for k in range(min(size, members - n))]
            if protocol == "consumer":
                await self.consumers(mine, group)
            else:
                await self.classics(mine, group)

    async def connected(self, peer: Peer) -> None:
        """Wait until the broker answers it."""
        await peer.call(ApiVersionsRequest(), 0)

    async def classics(self, peers: list[Peer], group: str) -> None:
        fresh = [
            ClassicMember(peer, group, 1, session_ms=SESSION_MS, assigned=nothing)
            for peer in peers
        ]
        await asyncio.gather(*(one.join() for one in fresh))
        newest = max(one.generation for one in fresh)
        while any(one.generation != newest for one in fresh):  # some came after the first rebalance
            await asyncio.gather(*(one.join() for one in fresh))
            newest = max(one.generation for one in fresh)
        self.members += fresh

    async def consumers(self, peers: list[Peer], group: str) -> None:
        fresh = [ConsumerMember(peer, group, TOPIC, assigned=nothing) for peer in peers]
        epochs: set[int] = set()
        while len(epochs) != 1 or any(one.changed for one in fresh):
            answers = [one.peer.call(one.heartbeat(), VERSION) for one in fresh]
            for one, answer in zip(fresh, await asyncio.gather(*answers), strict=True):
                one.take(answer)
            epochs = {one.epoch for one in fresh}
        self.members += fresh

    async def live(self, seconds: float) -> None:
        """Heartbeats of everyone, evenly spread."""
        version, interval_s = HEARTBEAT_VERSION, HEARTBEAT_S
        first = self.members[0]
        if isinstance(first, ConsumerMember):
            first.take(await first.peer.call(first.heartbeat(), VERSION))
            version, interval_s = VERSION, first.interval_s  # as of so many members
        begun, sent = time.perf_counter(), 0
        while (now := time.perf_counter() - begun) < seconds:
            due = int(now / interval_s * len(self.members))
            for n in range(sent, due):
                member = self.members[n % len(self.members)]
                at = begun + n * interval_s / len(self.members)
                self.send(member, version, at)
            sent = due
            await asyncio.sleep(0.001)

    def send(self, member: Member, version: int, at: float) -> None:
        def answered(answer: Deferred[Any]) -> None:
            self.waits_ms.append((time.perf_counter() - at) * 1000)
            check(answer.result().error_code)
            if isinstance(member, ConsumerMember):
                member.take(answer.result())  # an assignment that had to wait may come now

        member.peer.ask(member.heartbeat(), version).then(answered)


def used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def measure(args: argparse.Namespace, bootstrap: str, worker: psutil.Process) -> None:
    """Settle, live, report."""
    before = used(worker)
    await asyncio.sleep(IDLE_S)
    idle = (used(worker) - before) / IDLE_S
    where = await coordinator(bootstrap, "any")
    crowd, begun = Crowd(), time.monotonic()
    connections = min(args.connections, args.members)
    await crowd.settle(where, args.protocol, members=args.members, connections=connections)
    print(
        f"{args.members} {args.protocol} members on {connections} connections, joined in"
        f" {time.monotonic() - begun:.1f} s",
        flush=True,
    )
    gc.collect()
    gc.freeze()  # the members are not looked through again and again
    rss, spent, at = worker.memory_info().rss, used(worker), time.monotonic()
    await crowd.live(args.seconds)
    share = (used(worker) - spent) / (time.monotonic() - at)
    waits = sorted(crowd.waits_ms)
    print(
        f"{len(waits) / args.seconds:.0f} heartbeats/s: {share * 100:.1f}% of a core"
        f" (idle {idle * 100:.1f}%), {share * args.seconds / len(waits) * 1e6:.0f} us each;"
        f" {rss / 2**20:.0f} MiB RSS"
    )
    print(
        f"answered after: median {waits[len(waits) // 2]:.2f} ms,"
        f" p99 {waits[-1 - len(waits) // 100]:.2f} ms, most {waits[-1]:.1f} ms"
    )


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m loadtests.groups.heartbeats")
    options.add_argument("--members", type=int, default=10_000)
    options.add_argument("--protocol", choices=["classic", "consumer"], default="classic")
    options.add_argument("--connections", type=int, default=100)
    options.add_argument("--seconds", type=float, default=30)
    args = options.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    settings = [f"group.consumer.{which}session.timeout.ms={SESSION_MS}" for which in ("", "max.")]
    with (
        tempfile.TemporaryDirectory() as data,
        BrokerProcess(data, workers=1, settings=settings) as broker,
    ):
        create_topic(broker.bootstrap, TOPIC, 1)
        worker = psutil.Process(broker.roles()["fb-worker-0"])
        asyncio.run(measure(args, broker.bootstrap, worker))


if __name__ == "__main__":
    main()
