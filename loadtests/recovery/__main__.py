"""The measurement: `python -m loadtests.recovery`, see the package's guide."""
from __future__ import annotations

import argparse
import asyncio
import json
import os
import pathlib
import tempfile
import time
from typing import Any

from loadtests.recovery.build import fill
from loadtests.recovery.cache import drop
from loadtests.recovery.cluster import Place, create, leaders
from loadtests.recovery.idle import idle
from loadtests.recovery.load import Load
from loadtests.recovery.serving import DEADLINE_S, Serving
from tests.broker_process import BrokerProcess

AIM_S, AIM_BYTES = 2.0, 2048
EMPTY_ROUNDS = 3


def say(text: str) -> None:
    print(text, flush=True)


async def restart(broker: BrokerProcess, led: dict[int, list[Place]]) -> dict[str, Any]:
    """Start a broker that is down; seconds until it is ready, acknowledges, has served all."""
    serving = Serving(broker.port, led)
    begun = time.perf_counter()
    starting = asyncio.ensure_future(asyncio.to_thread(broker.start, DEADLINE_S))
    served = await serving.serve(begun)
    return {
        "ready_s": await starting,
        "first_ack_s": served.first_ack_s,
        "all_s": served.all_s,
        "client_cpu_s": served.client_cpu_s,
        "offsets": served.offsets,
    }


async def killed_under_load(
    broker: BrokerProcess, led: dict[int, list[Place]], active: int, load_s: float
) -> Load:
    """Write to `active` partitions of each worker, kill -9 everything; what was acknowledged."""
    load = Load(broker.port, led, active)
    await asyncio.sleep(load_s)
    await asyncio.to_thread(broker.kill_all)
    await load.end()
    return load


def check(found: dict[str, Any], load: Load) -> None:
    """SystemExit if a record went where one had been acknowledged."""
    offsets: dict[Place, int] = found.pop("offsets")
    for place, acked in load.acked.items():
        if offsets[place] <= acked:
            raise SystemExit(f"{place}: offset {acked} was acknowledged and given away again")
    found["acked_batches"] = load.batches


async def rounds(
    broker: BrokerProcess, led: dict[int, list[Place]], args: argparse.Namespace
) -> dict[str, list[dict[str, Any]]]:
    """Kill and start again, with the page cache and without, in turns."""
    out: dict[str, list[dict[str, Any]]] = {"kept": [], "dropped": []}
    for _ in range(args.rounds):
        for cache, found in out.items():
            load = await killed_under_load(broker, led, args.active, args.load)
            if cache == "dropped":
                drop(broker.data_dir)
            found.append(await restart(broker, led))
            check(found[-1], load)
            show(f"{sum(map(len, led.values()))} partitions, page cache {cache}", found[-1])
    return out


async def empty_broker(folder: pathlib.Path, workers: int) -> list[dict[str, Any]]:
    """The same of a broker with a partition for each worker, and no data."""
    out = []
    with BrokerProcess(folder, workers=workers) as broker:
        await create(broker.port, workers, workers)
        led = await leaders(broker.port, workers)
        for _ in range(EMPTY_ROUNDS):
            load = await killed_under_load(broker, led, 1, 0.5)
            out.append(await restart(broker, led))
            check(out[-1], load)
            show("empty broker", out[-1])
    return out


def show(what: str, found: dict[str, Any]) -> None:
    say(
        f"{what:<40} {found['ready_s']:8.2f} {found['first_ack_s']:10.2f} {found['all_s']:8.2f}"
        f" {found['client_cpu_s']:10.2f} {found['acked_batches']:10,}"
    )


async def recover(folder: pathlib.Path, args: argparse.Namespace) -> dict[str, Any]:
    """Everything but the idle partitions."""
    count = args.partitions
    with BrokerProcess(folder / "full", workers=args.workers) as broker:
        begun = time.perf_counter()
        await create(broker.port, count, args.each)
        created = time.perf_counter()
        led = await leaders(broker.port, count)
        await fill(broker.port, led, int(args.bytes))
        os.sync()
        say(
            f"built: {count} partitions in {created - begun:.1f} s,"
            f" {args.bytes / 1e9:g} GB in {time.perf_counter() - created:.1f} s"
        )
        # Stopping writes its checkpoints, as a broker that has been up for long has.
        if broker.stop():
            raise SystemExit("it did not stop in time, all of it would be checked:\n"
                             + "\n".join(broker.lines[-5:]))  # fmt: skip
        broker.start(DEADLINE_S)
        say(
            f"{'seconds until':<40} {'ready':>8} {'first ack':>10} {'all':>8}"
            f" {'client CPU':>10} {'acked':>10}"
        )
        empty = await empty_broker(folder / "empty", args.workers)
        found = await rounds(broker, led, args)
    worst = max(one["all_s"] for one in found["kept"])
    say(
        f"all partitions served {worst:.2f} s after the start at worst, page cache kept; the aim is"
        f" {AIM_S:g} s: {'reached' if worst <= AIM_S else 'not reached'}"
    )
    return {"empty": empty, **found}


def weigh_idle(folder: pathlib.Path, args: argparse.Namespace) -> dict[str, Any]:
    found = idle(folder, args.idle, each=args.each, workers=args.workers, say=say)
    for when, sizes in found.items():
        each = "   ".join(f"{name} {size:,.0f}" for name, size in sizes.items())
        say(f"bytes a partition, {when}: {each}")
    worst = max(sizes["workers"] for sizes in found.values())
    say(
        f"an idle partition costs {worst:,.0f} bytes in its worker at most; the aim is {AIM_BYTES}:"
        f" {'reached' if worst <= AIM_BYTES else 'not reached'}"
    )
    return found


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m loadtests.recovery")
    options.add_argument("--partitions", type=int, default=10_000)
    options.add_argument("--bytes", type=float, default=10e9)
    options.add_argument("--each", type=int, default=100, help="partitions of a topic")
    options.add_argument("--workers", type=int, help="default: 2, with --idle 1")
    options.add_argument("--active", type=int, default=100, help="of a worker, under load")
    options.add_argument("--load", type=float, default=5.0, help="seconds of load before each kill")
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--idle", type=int, metavar="COUNT", help="weigh idle partitions instead")
    options.add_argument("--data-dir", help="where to put the data; default: the temporary one")
    options.add_argument("--json", type=pathlib.Path)
    args = options.parse_args()
    if args.workers is None:
        args.workers = 1 if args.idle else 2
    with tempfile.TemporaryDirectory(dir=args.data_dir) as path:
        folder = pathlib.Path(path)
        found = weigh_idle(folder, args) if args.idle else asyncio.run(recover(folder, args))
    if args.json is not None:
        args.json.write_text(json.dumps({"options": vars(args) | {"json": None}, "found": found}))


if __name__ == "__main__":
    main()
