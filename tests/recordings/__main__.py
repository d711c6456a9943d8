"""The command line of tests.recordings (see the package's guide)."""
from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator

from tests.apache_kafka.broker import KafkaNode
from tests.broker_process import BrokerProcess
from tests.recordings.differences import obsolete, unaccepted
from tests.recordings.play import Played, play
from tests.recordings.recordings import differences, load, save
from tests.recordings.scenario import Scenario, scenarios


def main(args: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tests.recordings")
    parser.add_argument("command", choices=("record", "compare", "list"))
    parser.add_argument("pattern", nargs="?", default="*", help="of GROUP/NAME, as *fetch/*v4")
    parser.add_argument("--bootstrap", help="a broker that runs already")
    parser.add_argument("--all", action="store_true", help="accepted differences, too")
    chosen = parser.parse_args(args)
    wanted = list(scenarios(chosen.pattern))
    if chosen.command == "list":
        print(*(f"{one.group}/{one.name}" for one in wanted), sep="\n")
        return 0
    if chosen.command == "record":
        return record(wanted, chosen.bootstrap)
    return compare(wanted, chosen.bootstrap, accepted_too=chosen.all)


def record(wanted: list[Scenario], bootstrap: str | None) -> int:
    """Play against Apache Kafka and replace the recordings."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        if bootstrap is None:
            bootstrap = stack.enter_context(KafkaNode(folder)).bootstrap
        played = dict(_play(wanted, bootstrap))
    pattern_names = {one: played.get(one, []) for one in scenarios()}
    save(pattern_names)
    broken = [one for one, steps in played.items() if steps and steps[-1][0] == "broke"]
    for one in broken:
        print(f"{one.group}/{one.name}: {played[one][-1][1]}")
    print(f"{len(played)} scenarios recorded, {len(broken)} broke")
    return 1 if broken else 0


def compare(wanted: list[Scenario], bootstrap: str | None, *, accepted_too: bool) -> int:
    """Play against our broker and print what differs."""
    kafka, found = load(), []
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        if bootstrap is None:
            broker = stack.enter_context(BrokerProcess(folder, workers=1))
            bootstrap = broker.bootstrap
        for one, ours in _play(wanted, bootstrap):
            name = f"{one.group}/{one.name}"
            found += differences(name, kafka.get(name, []), ours)
    shown = found if accepted_too else unaccepted(found)
    last = None
    for difference in shown:
        if last != (difference.scenario, difference.step):
            last = difference.scenario, difference.step
            print(f"\n{difference.scenario}: {difference.step}")
        print(f"  {difference.field}")
        print(f"    kafka {difference.kafka!r}\n    ours  {difference.ours!r}")
    if wanted == list(scenarios()):
        for entry in obsolete(found):
            print(f"no longer there: {entry}")
    print(f"{len(wanted)} scenarios, {len(shown)} differences ({len(found)} with accepted ones)")
    return 1 if shown else 0


def _play(wanted: list[Scenario], bootstrap: str) -> Iterator[tuple[Scenario, Played]]:
    for one in wanted:
        yield one, play(one, bootstrap)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
