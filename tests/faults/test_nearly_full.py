"""A disk that is nearly full: clients' records are refused before there is no space at all."""
from __future__ import annotations

import asyncio
import contextlib
import json
import pathlib
import re
import threading
import time
from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import KafkaError, Message, Producer

from fastbroker.errors import NotEnoughReplicas
from tests.broker_process import BrokerProcess, wait_until
from tests.faults.mounts import MIB, Mount, small_disk
from tests.faults.wire import Wire
from tests.interop.clients import CLIENTS

pytestmark = pytest.mark.crash
MIN_FREE = 16 * MIB
NOTICE_S, RESUME_S = 5.0, 10.0
SHORT_S = 1.5  # how long space is short while clients try


@contextlib.contextmanager
def broker_on(path: pathlib.Path, *settings: str) -> Iterator[tuple[Mount, BrokerProcess, Wire]]:
    with small_disk(path / "disk", 64 * MIB) as mount:
        settings = (f"log.dir.min.free.bytes={MIN_FREE}", *settings)
        broker = BrokerProcess(mount.path / "data", workers=1, settings=settings)
        with broker, Wire(broker) as wire:
            yield mount, broker, wire


def lines(broker: BrokerProcess, pattern: str) -> list[str]:
    return [line for line in broker.lines if re.search(pattern, line)]


def refused(broker: BrokerProcess) -> list[str]:
    return lines(broker, r"bytes free: records of clients are refused below")


def taken(broker: BrokerProcess) -> list[str]:
    return lines(broker, r"bytes free: records are taken again")


def test_records_are_refused_and_all_else_goes_on(tmp_path: pathlib.Path) -> None:
    with broker_on(tmp_path) as (mount, broker, wire):
        wire.create("t")
        wire.create("useless")
        wait_until(lambda: wire.find_coordinator("g") == 0, 10, "a coordinator")
        wait_until(lambda: wire.commit("g", "t", 0) == 0, 10, "a first commit")
        assert wire.produce("t", b"before").error_code == 0
        mount.fill(leave=MIN_FREE - MIB)
        wait_until(lambda: refused(broker), NOTICE_S, "the line")

        told = wire.produce("t", b"refused")
        assert (told.error_code, told.base_offset) == (NotEnoughReplicas.code, -1)
        assert re.search(
            rf"broker-1 has \d+ bytes free, records are refused below {MIN_FREE}"
            r" \(log.dir.min.free.bytes\): free space there", told.error_message,
        ), told.error_message  # fmt: skip
        assert wire.values("t") == [b"before"]
        assert wire.commit("g", "t", 1) == 0
        wire.create("new")
        assert wire.delete("useless") == 0

        # A little more is not enough to change its mind; a quarter of the watermark is.
        mount.give_back(2 * MIB)
        time.sleep(2 * 0.1)  # two looks, as often as they are by then
        assert wire.produce("t", b"refused").error_code == NotEnoughReplicas.code
        mount.relieve()
        wait_until(lambda: taken(broker), RESUME_S, "the second line")
        assert wire.produce("t", b"after").error_code == 0
        assert wire.values("t") == [b"before", b"after"]
        assert len(refused(broker)) == len(taken(broker)) == 1, broker.lines


def test_coordinators_write_down_to_their_own_watermark(tmp_path: pathlib.Path) -> None:
    with broker_on(tmp_path, f"log.dir.reserved.bytes={8 * MIB}") as (mount, _, wire):
        wire.create("t")
        wait_until(lambda: wire.find_coordinator("g") == 0, 10, "a coordinator")
        wait_until(lambda: wire.commit("g", "t", 0) == 0, 10, "a first commit")
        mount.fill(leave=7 * MIB)
        wait_until(lambda: wire.commit("g", "t", 0) == 15, NOTICE_S, "COORDINATOR_NOT_AVAILABLE")
        wire.create("new")  # the controller's log goes on
        mount.relieve()
        wait_until(lambda: wire.commit("g", "t", 0) == 0, RESUME_S, "commits")


def test_old_segments_go_at_once_and_records_are_taken_again(tmp_path: pathlib.Path) -> None:
    with broker_on(tmp_path, f"log.segment.bytes={MIB}") as (mount, broker, wire):
        wire.create("t", retention_bytes=str(MIB))
        for _ in range(24):
            assert wire.produce("t", bytes(MIB - 4096)).error_code == 0
        mount.fill(leave=MIN_FREE - MIB)
        wait_until(lambda: taken(broker), RESUME_S, "space to be made by retention")
        assert len(refused(broker)) == 1
        assert wire.produce("t", b"again").error_code == 0
        assert not list(mount.path.glob("**/*.deleted"))


def test_clients_resume_by_themselves(tmp_path: pathlib.Path) -> None:
    """Each sends one record while space is short, with its default number of retries."""
    with broker_on(tmp_path) as (mount, broker, wire):
        wire.create("t")
        mount.fill(leave=MIN_FREE - MIB)
        wait_until(lambda: refused(broker), NOTICE_S, "the line")
        done: dict[str, float] = {}
        requests: dict[str, int] = {}
        threads = [
            threading.Thread(target=run, args=(broker.bootstrap, done), daemon=True)
            for run in (_librdkafka(requests), _aiokafka, _kafkajs(tmp_path))
        ]
        for thread in threads:
            thread.start()
        time.sleep(SHORT_S)  # they are refused meanwhile, and would be for longer
        assert not done
        relieved = time.monotonic()
        mount.relieve()
        for thread in threads:
            thread.join(20)
        assert set(done) == {"librdkafka", "aiokafka", "kafkajs"}, broker.lines
        assert done["librdkafka"] - relieved < RESUME_S, done
        assert sorted(wire.values("t")) == [b"aiokafka", b"kafkajs", b"librdkafka"]
        # Refusals do not send clients to look for other leaders.
        assert requests["Produce"] >= 3, requests
        assert requests["Metadata"] <= 3, requests


def _librdkafka(requests: dict[str, int]):  # type: ignore[no-untyped-def]
    def seen(text: str) -> None:
        for one in json.loads(text)["brokers"].values():
            for name in ("Produce", "Metadata"):
                requests[name] = max(requests.get(name, 0), one["req"].get(name, 0))

    def run(bootstrap: str, done: dict[str, float]) -> None:
        producer = Producer(
            {"bootstrap.servers": bootstrap, "statistics.interval.ms": 100, "stats_cb": seen}
        )

        def delivered(error: KafkaError | None, _: Message) -> None:
            assert error is None, error
            done["librdkafka"] = time.monotonic()

        producer.produce("t", b"librdkafka", on_delivery=delivered)
        producer.flush(20)
        producer.poll(0.3)  # the last numbers

    return run


def _aiokafka(bootstrap: str, done: dict[str, float]) -> None:
    async def main() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
        await producer.start()
        try:
            await producer.send_and_wait("t", b"aiokafka")
            done["aiokafka"] = time.monotonic()
        finally:
            await producer.stop()

    asyncio.run(main())


def _kafkajs(folder: pathlib.Path):  # type: ignore[no-untyped-def]
    client = next(one for one in CLIENTS if one.name == "kafkajs")
    record = {"topic": "t", "partition": 0, "key": None, "value": b"kafkajs".hex(), "headers": []}
    file = folder / "record.json"
    file.write_text(json.dumps(record) + "\n")
    client.install()

    def run(bootstrap: str, done: dict[str, float]) -> None:
        client.produce(bootstrap, file, {"t": "none"})
        done["kafkajs"] = time.monotonic()

    return run
