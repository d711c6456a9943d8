"""The command line of tests.apache_kafka (see the package's guide)."""
from __future__ import annotations

import argparse
import sys

from tests.apache_kafka import jars, tools
from tests.apache_kafka.broker import QUICK, SHIPPED, KafkaNode, stop


def main(args: list[str]) -> int:
    if args[:1] == ["run"]:  # everything after the name belongs to the tool
        return tools.run(args[1], args[2:], timeout=None).returncode
    parser = argparse.ArgumentParser(prog="tests.apache_kafka")
    commands = parser.add_subparsers(dest="command", required=True)
    resolve = commands.add_parser("resolve")
    resolve.add_argument("version", nargs="?")
    start = commands.add_parser("start")
    start.add_argument("dir")
    start.add_argument("--port", type=int, default=9092)
    start.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    start.add_argument("--as-shipped", action="store_true", help="Java's options as Kafka's script")
    commands.add_parser("stop").add_argument("dir")
    commands.add_parser("run", help="run TOOL ARGS...")
    chosen = parser.parse_args(args)
    if chosen.command == "resolve":
        folder = jars.resolve(chosen.version)
        print(f"Kafka {jars.version()} in {folder}")
    elif chosen.command == "start":
        settings = dict(one.split("=", 1) for one in chosen.set)
        options = SHIPPED if chosen.as_shipped else QUICK
        node = KafkaNode(chosen.dir, port=chosen.port, settings=settings, java_options=options)
        node.start()
        print(node.bootstrap)
    else:
        stop(chosen.dir)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
