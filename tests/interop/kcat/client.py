"""kcat (librdkafka, Debian's older one), driven by its command line: -P and -G.

A run of kcat sends records of one form: with or without keys, empty meaning empty or null, one
set of headers; so producing is a run for every stretch of one form in a partition. Its output is
binary: lengths, then bytes; headers are n=v with commas between, unambiguous for the matrix's only.

usage: client.py KCAT produce|consume ...
"""
from __future__ import annotations

import itertools
import subprocess
import sys
from typing import IO

from tests.interop.records import Record

KEY_END, RECORD_END = b"<<key>>", b"<<end>>\n"
FORMAT = "%t %p %K %S\\n%k%s%h<<end>>\\n"


def produce(kcat: str, bootstrap: str, file: str, topics: list[str]) -> None:
    with open(file) as lines:
        records = [Record.from_json(line) for line in lines]
    for codec, topic in (one.split("=") for one in topics):
        own = sorted((r for r in records if r.topic == topic), key=lambda r: r.partition)
        for _, stretch in itertools.groupby(own, key=form):
            send(kcat, bootstrap, codec, list(stretch))


def form(record: Record) -> tuple[object, ...]:
    """What has to be equal for records to be sent by one run."""
    return record.partition, record.headers, record.key is None, record.value is None


def send(kcat: str, bootstrap: str, codec: str, records: list[Record]) -> None:
    """One run of kcat: `records` are of one form."""
    first = records[0]
    command: list[str | bytes] = [kcat, "-P", "-b", bootstrap, "-t", first.topic, "-z", codec]
    command += ["-p", str(first.partition), "-D", RECORD_END.decode()]
    command += ["-X", "linger.ms=20", "-X", "enable.idempotence=true"]
    if first.value is None:
        command.append("-Z")
    if first.key is not None:
        command += ["-K", KEY_END.decode()]
    for name, value in first.headers:
        command += ["-H", name.encode() + (b"" if value is None else b"=" + value)]
    sent = b""
    for record in records:
        if record.key is not None:
            sent += record.key + KEY_END
        sent += (record.value or b"") + RECORD_END
    subprocess.run(command, input=sent, check=True, timeout=30)


def consume(kcat: str, bootstrap: str, group: str, count: int, topics: list[str]) -> None:
    command = [kcat, "-b", bootstrap, "-q", "-u", "-c", str(count), "-f", FORMAT]
    command += ["-X", "auto.offset.reset=earliest", "-G", group, *topics]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    while head := process.stdout.readline():
        print(read(head, process.stdout).to_json(), flush=True)
    if process.wait():
        raise SystemExit(process.returncode)


def read(head: bytes, rest: IO[bytes]) -> Record:
    """The record whose first line is `head`."""
    topic, partition, key_size, value_size = head.split()
    key = None if int(key_size) < 0 else rest.read(int(key_size))
    value = None if int(value_size) < 0 else rest.read(int(value_size))
    line = b""
    while not line.endswith(RECORD_END):
        line += rest.readline()
    headers = []
    for one in line.removesuffix(RECORD_END).split(b","):
        if one:
            name, _, bytes_ = one.partition(b"=")
            headers.append((name.decode(), None if bytes_ == b"NULL" else bytes_))
    return Record(topic.decode(), int(partition), key, value, tuple(headers))


if __name__ == "__main__":
    kcat, role, bootstrap, first, *rest = sys.argv[1:]
    if role == "produce":
        produce(kcat, bootstrap, first, rest)
    else:
        consume(kcat, bootstrap, first, int(rest[0]), rest[1:])
