"""A controller in a process of its own, and a worker's side of the conversation.

`python -m tests.controller.process DIRECTORY` serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import uvloop

from fastbroker.config.broker import BrokerConfig
from fastbroker.controller.main import run
from fastbroker.metadata.delta import MetadataDelta
from fastbroker.metadata.features import SUPPORTED
from fastbroker.metadata.image import MetadataImage
from fastbroker.net.client import BrokerClient
from fastbroker.protocol.api import api
from fastbroker.protocol.header import decode_response, encode_request
from fastbroker.protocol.messages.broker_heartbeat import BrokerHeartbeatRequest
from fastbroker.protocol.messages.broker_registration import BrokerRegistrationRequest
from fastbroker.protocol.messages.envelope import EnvelopeRequest
from fastbroker.protocol.messages.fetch import FetchRequest
from fastbroker.protocol.record_frames import decode_metadata_record
from fastbroker.protocol.schema import Struct
from fastbroker.records.reader import iter_batches
from fastbroker.uuids import new_uuid

METADATA_TOPIC_ID = bytes(15) + b"\x01"
ROOT = pathlib.Path(__file__).parents[2]


class ControllerProcess:
    def __init__(self, data_dir: pathlib.Path) -> None:
        self.data_dir = data_dir
        self.home = data_dir / "controller-1"
        self.socket = str(data_dir / "run" / "controller-1.sock")

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.controller.process", str(self.data_dir)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        self.process.kill()
        self.wait()

    def wait(self) -> int:
        code = self.process.wait(timeout=10)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        return code


class Worker:
    """A broker as the controller knows it: two connections and an image."""

    def __init__(self, address: str, broker_id: int = 1) -> None:
        self.loop = uvloop.new_event_loop()
        self.broker_id, self.epoch = broker_id, -1
        self.image = MetadataImage.empty()
        self.calls = BrokerClient(self.loop, address, client_id=f"worker-{broker_id}")
        self.fetches = BrokerClient(self.loop, address, client_id=f"fetch-{broker_id}")
        self.calls.start()
        self.fetches.start()

    def close(self) -> None:
        if self.loop.is_closed():
            return
        self.calls.close()
        self.fetches.close()
        self.run_until(lambda: False, 0.02)
        self.loop.close()

    def run_until(self, condition: Callable[[], bool], timeout_s: float = 5.0) -> bool:
        end = self.loop.time() + timeout_s

        async def wait() -> None:
            while not condition() and self.loop.time() < end:
                await asyncio.sleep(0.002)

        self.loop.run_until_complete(wait())
        return condition()

    def call(self, request: Struct, *, client: BrokerClient | None = None) -> Any:
        kind = api(type(request).KEY)
        version = 17 if kind.name == "Fetch" else kind.last_stable
        deferred = (client or self.calls).call(request, version, timeout_ms=5000)
        self.run_until(lambda: deferred.done)
        return deferred.result()

    def register(self, cluster_id: str, incarnation_id: bytes | None = None) -> int:
        """The error code."""
        Request = BrokerRegistrationRequest
        response = self.call(
            Request(
                broker_id=self.broker_id,
                cluster_id=cluster_id,
                incarnation_id=incarnation_id or new_uuid(),
                listeners=[
                    Request.Listener(
                        name="PLAINTEXT", host="127.0.0.1", port=9092, security_protocol=0
                    )
                ],
                features=[
                    Request.Feature(
                        name=name, min_supported_version=low, max_supported_version=high
                    )
                    for name, (low, high) in SUPPORTED.items()
                ],
                rack=None,
                log_dirs=[new_uuid()],
            )
        )
        self.epoch = response.broker_epoch
        return int(response.error_code)

    def heartbeat(self, **fields: Any) -> Any:
        return self.call(
            BrokerHeartbeatRequest(
                broker_id=self.broker_id,
                broker_epoch=self.epoch,
                current_metadata_offset=self.image.offset,
                **fields,
            )
        )

    def fetch_request(self, wait_ms: int = 0) -> FetchRequest:
        Topic = FetchRequest.FetchTopic
        partition = Topic.FetchPartition(
            partition=0,
            fetch_offset=self.image.offset + 1,
            last_fetched_epoch=max(self.image.epoch, 0),
            partition_max_bytes=1 << 20,
        )
        return FetchRequest(
            replica_state=FetchRequest.ReplicaState(replica_id=self.broker_id),
            max_wait_ms=wait_ms,
            min_bytes=1,
            topics=[Topic(topic_id=METADATA_TOPIC_ID, partitions=[partition])],
        )

    def follow(self, response: Any = None) -> Any:
        """Apply what one fetch gives; the partition's part of the answer."""
        response = response or self.call(self.fetch_request(), client=self.fetches)
        [topic] = response.responses
        [partition] = topic.partitions
        for batch in iter_batches(partition.records or b""):
            delta = MetadataDelta(self.image)
            if not batch.header.is_control:
                for record in batch.records():
                    delta.replay(decode_metadata_record(record.value or b""))
            self.image = delta.image(batch.header.last_offset, batch.header.leader_epoch)
        return partition

    def forward(self, request: Struct) -> Any:
        """The answer to a client's request sent through an envelope."""
        kind = api(type(request).KEY)
        frame = b"".join(encode_request(request, kind.last_stable, 77, "a client"))[4:]
        answer = self.call(
            EnvelopeRequest(
                request_data=frame, request_principal=None, client_host_address=bytes(4)
            )
        )
        assert answer.error_code == 0
        correlation_id, response = decode_response(
            type(request), kind.last_stable, memoryview(answer.response_data)
        )
        assert correlation_id == 77
        return response

    def join(self, cluster_id: str) -> None:
        """Become an active broker."""
        assert self.register(cluster_id) == 0
        self.follow()
        assert not self.heartbeat().is_fenced


if __name__ == "__main__":
    run(
        BrokerConfig({"node.id": "1", "log.dirs": sys.argv[1]}),
        lambda: print("ready", flush=True),
        sys.stdin.fileno(),
    )
