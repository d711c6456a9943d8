"""The comparison: `python -m loadtests.durability`, see the package's guide."""
from __future__ import annotations

import argparse
import json
import pathlib
import socket
import tempfile
from typing import Any

from fastbroker.protocol.messages.create_topics import CreateTopicsRequest
from loadtests.durability.syncs import Counted, counted
from loadtests.durability.turns import CACHED, FLUSHED, MANY, TURN_TIMEOUT_S, Case, Turns
from loadtests.limit.build import compiled
from loadtests.limit.sides import KAFKA_FLUSH_MESSAGES
from loadtests.wire import call
from tests.broker_process import BrokerProcess

CREATE_MS = 60_000
AIM_RATIO, AIM_SYNCS = 0.9, 2.0

Topic = CreateTopicsRequest.CreatableTopic


def create(port: int, partitions: list[int]) -> None:
    """Two topics for each number of partitions."""
    topics = []
    cached = [Topic.CreatableTopicConfig(name="flush.messages", value=str(KAFKA_FLUSH_MESSAGES))]
    for number in partitions:
        for side, configs in ((FLUSHED, []), (CACHED, cached)):
            topics.append(
                Topic(
                    name=f"{side}-{number}",
                    num_partitions=number,
                    replication_factor=1,
                    configs=configs,
                )
            )
    request = CreateTopicsRequest(topics=topics, timeout_ms=CREATE_MS)
    with socket.create_connection(("127.0.0.1", port), CREATE_MS / 1000) as sock:
        for topic in call(sock, request, 5).topics:
            if topic.error_code:
                raise SystemExit(f"{topic.name}: {topic.error_message}")


HEADING = (
    f"{'profile':<8}{'partitions':>10} {'rec/s flushed':>14} {'cached':>9} {'ratio':>6}"
    f" {'p50 ms':>8} {'cached':>7} {'p99 ms':>8} {'cached':>7}"
    f" {'us CPU':>7} {'cached':>7} {'syncs/s':>8} {'/1000 b.':>9}"
)


def show(row: dict[str, Any]) -> str:
    """A line of the table."""
    a, b = row[FLUSHED], row[CACHED]
    line = f"{row['profile']:<8}{row['partitions']:>10} {a['records_per_s']:>14,.0f}"
    line += f" {b['records_per_s']:>9,.0f} {row['ratio']:>6.2f} {a['p50_ms']:>8.2f}"
    line += f" {b['p50_ms']:>7.2f} {a['p99_ms']:>8.2f} {b['p99_ms']:>7.2f}"
    line += f" {a['cpu_us']:>7.2f} {b['cpu_us']:>7.2f}"
    if a["syncs_per_1000"] is None:
        return line + f" {'-':>8} {'-':>9}"
    return line + f" {a['syncs_per_s']:>8.0f} {a['syncs_per_1000']:>9.2f}"


def verdicts(rows: list[dict[str, Any]]) -> list[str]:
    """The aims, and whether they are reached."""
    out = []
    for profile in dict.fromkeys(row["profile"] for row in rows):
        mine = [row for row in rows if row["profile"] == profile]
        worst = min(mine, key=lambda row: row["ratio"])
        out.append(
            f"{profile}: flushed has at least {worst['ratio']:.0%} of the cached throughput (at"
            f" {worst['partitions']} partitions); the aim is {AIM_RATIO:.0%}:"
            f" {'reached' if worst['ratio'] >= AIM_RATIO else 'not reached'}"
        )
        ends = [min(mine, key=_partitions), max(mine, key=_partitions)]
        few, much = (row[FLUSHED]["syncs_per_1000"] for row in ends)
        if few and much is not None and ends[0] is not ends[1]:
            out.append(
                f"{profile}: for a batch {much / few:.1f} times as many syncs at"
                f" {ends[1]['partitions']} partitions as at {ends[0]['partitions']}; the aim is"
                f" {AIM_SYNCS:g}: {'reached' if much <= AIM_SYNCS * few else 'not reached'}"
            )
    return out


def _partitions(row: dict[str, Any]) -> int:
    return int(row["partitions"])


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m loadtests.durability")
    options.add_argument("--partitions", default="1,10,100,1000")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--turn", type=float, default=1.0, help="seconds of one side's turn")
    options.add_argument("--profiles", default="single,many", help=f"many: {MANY} a request")
    options.add_argument("--records", type=int, default=1, help="of 1 KiB in a batch")
    options.add_argument("--connections", type=int, default=8)
    options.add_argument("--in-flight", type=int, default=64, help="batches of each connection")
    options.add_argument("--data-dir", help="where to put the data; default: the temporary one")
    options.add_argument("--json", type=pathlib.Path)
    args = options.parse_args()
    partitions = [int(number) for number in args.partitions.split(",")]
    rows = []
    with tempfile.TemporaryDirectory(dir=args.data_dir) as path:
        folder = pathlib.Path(path)
        load = compiled("load", folder)
        (folder / "data").mkdir()
        with BrokerProcess(folder / "data", workers=1) as broker:
            pid = broker.roles()["fb-worker-0"]

            def generate(topic: str, told: dict[str, int]) -> Counted:
                given = [f"{name}={value}" for name, value in told.items()]
                command = [str(load), str(broker.port), "produce", topic, f"pid={pid}", *given]
                return counted(command, pid, folder, TURN_TIMEOUT_S)

            create(broker.port, partitions)
            print(f"{args.connections} connections, {args.records} KiB a batch;"
                  f" {args.in_flight} batches in flight of each")  # fmt: skip
            print(HEADING, flush=True)
            for profile in args.profiles.split(","):
                for number in partitions:
                    case = Case(
                        profile, number, args.records, args.connections, args.in_flight
                    )
                    turns = Turns(case, generate, folder)
                    turns.prepare(args.turn)
                    for n in range(args.rounds):
                        turns.round(n)
                    rows.append(turns.row())
                    print(show(rows[-1]), flush=True)
    print("\n".join(verdicts(rows)))
    if args.json is not None:
        args.json.write_text(json.dumps({"options": vars(args) | {"json": None}, "rows": rows}))


if __name__ == "__main__":
    main()
