"""One of many members dies: what do the others lose?

    python -m loadtests.groups.death [--members 200] [--protocol classic] [--bootstrap HOST:PORT]
        [--workers 1] [--kafka]

Members of our own, each with a partition that gets a record every 100 ms. Printed: records that the
members that live on got in each 100 ms, around the death, its discovery (when the session ends) and
the rebalance; how many fewer than before that is; the longest time that a member got nothing.

A classic group stops from when a member hears of the rebalance until the last one has (their
heartbeats are 3 s apart); a consumer group goes on. The records are not lost: they come late.
"""
from __future__ import annotations

import argparse
import asyncio
import statistics
import time
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

from fastbroker.protocol.messages.find_coordinator import FindCoordinatorRequest
from loadtests.groups.classic import ClassicMember
from loadtests.groups.clusters import Source, cluster, connect, create_topic, leaders
from loadtests.groups.consumer import ConsumerMember
from loadtests.groups.member import SESSION_MS
from loadtests.groups.peer import Peer
from loadtests.groups.reading import BUCKET_MS, Reader, Received

TOPIC = "death"
EVERY_S = 0.1
BEFORE_S = 5.0
SETTLE_S = 120.0
AFTER_S = {"classic": SESSION_MS / 1000 + 8, "consumer": 45 + 10}
COLUMNS = 20


async def coordinator(bootstrap: str, group: str) -> str:
    """Where the group's coordinator is."""
    peer = Peer(bootstrap)
    request = FindCoordinatorRequest(key_type=0, coordinator_keys=[group])
    while True:
        (found,) = (await peer.call(request, 4)).coordinators
        if not found.error_code:
            peer.close()
            return f"{found.host}:{found.port}"
        await asyncio.sleep(0.05)


class Life:
    """One member with its reader."""

    def __init__(self, make: Callable[[Callable[[set[int]], object]], Any], reader: Reader) -> None:
        self.reader = reader
        self.member = make(reader.read)
        self.task = asyncio.ensure_future(self.member.run())

    def end(self) -> None:
        """Be silent from now on."""
        self.task.cancel()
        self.reader.close()
        self.member.peer.close()


async def measure(bootstrap: str, protocol: str, members: int) -> None:
    """A group, a death, and what came of it."""
    group, received = f"death-{uuid.uuid4()}", Received()
    with connect(bootstrap) as sock:
        led = leaders(sock, TOPIC)
    where = await coordinator(bootstrap, group)

    def make(assigned: Callable[[set[int]], object]) -> Any:
        if protocol == "consumer":
            return ConsumerMember(Peer(where), group, TOPIC, assigned=assigned)
        return ClassicMember(
            Peer(where), group, members, session_ms=SESSION_MS, assigned=assigned
        )

    lives = [Life(make, Reader(str(n), TOPIC, led, received)) for n in range(members)]
    owned = [life.reader for life in lives]
    end = time.monotonic() + SETTLE_S
    while sum(len(reader.owned) for reader in owned) < members or not all(
        len(reader.owned) == 1 for reader in owned
    ):
        if time.monotonic() > end:
            raise SystemExit("the group does not settle")
        await asyncio.sleep(0.1)
    with Source(bootstrap, TOPIC, every_s=EVERY_S):
        await asyncio.sleep(BEFORE_S)
        received.longest.clear()
        lost = set(lives[0].reader.owned)
        lives[0].end()
        died = time.monotonic()
        await asyncio.sleep(AFTER_S[protocol])
    for life in lives[1:]:
        if life.task.done():
            life.task.result()
    taken = {p for life in lives[1:] for p in life.reader.owned}
    for life in lives[1:]:
        life.end()
    report(received, died, AFTER_S[protocol], members - 1)
    if not lost <= taken:
        raise SystemExit(f"nobody has taken partition {lost}")


def report(received: Received, died: float, after_s: float, others: int) -> None:
    """Figures of those who live on, the victim being "0"."""
    total: Counter[int] = Counter()
    for reader, buckets in received.by_bucket.items():
        if reader != "0":
            total.update(buckets)
    zero = int(died * 1000) // BUCKET_MS
    before = [total[zero - n] for n in range(10, 40)]
    mean = statistics.fmean(before)
    after = [total[zero + n] for n in range(1, int(after_s * 1000) // BUCKET_MS)]
    print(f"{others} others: {mean:.0f} records in 100 ms before, {min(before)} at least")
    for at in range(0, len(after), COLUMNS):
        row = " ".join(f"{count:4d}" for count in after[at : at + COLUMNS])
        print(f"{at * BUCKET_MS / 1000:5.1f} s {row}")
    empty = sum(count < mean / 2 for count in after) * BUCKET_MS
    gaps = sorted(received.longest[str(n)] * 1000 for n in range(1, others + 1))
    print(f"less than half of that for {empty} ms")
    print(
        f"longest time without a record, by member: median {statistics.median(gaps):.0f} ms,"
        f" most {gaps[-1]:.0f} ms"
    )


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m loadtests.groups.death")
    options.add_argument("--members", type=int, default=200)
    options.add_argument("--protocol", choices=["classic", "consumer"], default="classic")
    options.add_argument("--bootstrap")
    options.add_argument("--kafka", action="store_true")
    options.add_argument("--workers", type=int, default=1)
    args = options.parse_args()
    with cluster(args.bootstrap, kafka=args.kafka, workers=args.workers) as (name, bootstrap):
        create_topic(bootstrap, TOPIC, args.members)
        print(f"{name}: {args.members} members, {args.protocol}", flush=True)
        asyncio.run(measure(bootstrap, args.protocol, args.members))


if __name__ == "__main__":
    main()
