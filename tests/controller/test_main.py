"""The controller as a process: its socket, its directory, its death."""

from __future__ import annotations

import json
import pathlib
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from fastbroker.metadata.features import INITIAL
from fastbroker.protocol.messages.allocate_producer_ids import AllocateProducerIdsRequest
from fastbroker.protocol.messages.alter_configs import AlterConfigsRequest
from fastbroker.protocol.messages.api_versions import ApiVersionsRequest
from fastbroker.protocol.messages.create_topics import CreateTopicsRequest
from fastbroker.protocol.messages.delete_topics import DeleteTopicsRequest
from fastbroker.protocol.messages.describe_cluster import DescribeClusterRequest
from fastbroker.protocol.messages.describe_quorum import DescribeQuorumRequest
from fastbroker.protocol.messages.envelope import EnvelopeRequest
from tests.apache_kafka import tools
from tests.controller.process import ControllerProcess, Worker


@pytest.fixture
def controller(tmp_path: pathlib.Path) -> Iterator[ControllerProcess]:
    controller = ControllerProcess(tmp_path / "data")
    controller.start()
    yield controller
    if controller.process.poll() is None:
        controller.kill()


@pytest.fixture
def worker(controller: ControllerProcess) -> Iterator[Worker]:
    worker = Worker(controller.socket)
    yield worker
    worker.close()


def cluster_id(worker: Worker) -> str:
    return str(worker.call(DescribeClusterRequest(endpoint_type=2)).cluster_id)


def creation(name: str, partitions: int = 2, **configs: str) -> CreateTopicsRequest:
    Topic = CreateTopicsRequest.CreatableTopic
    return CreateTopicsRequest(
        topics=[
            Topic(
                name=name,
                num_partitions=partitions,
                replication_factor=-1,
                configs=[
                    Topic.CreatableTopicConfig(name=key.replace("_", "."), value=value)
                    for key, value in configs.items()
                ],
            )
        ]
    )


def properties(path: pathlib.Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_a_topic_survives_kill_9(controller: ControllerProcess, worker: Worker) -> None:
    worker.join(cluster_id(worker))
    [created] = worker.forward(creation("t", retention_ms="5")).topics
    assert (created.error_code, created.num_partitions) == (0, 2)
    controller.kill()
    controller.start()
    again = Worker(controller.socket)
    again.follow()
    topic = again.image.topics["t"]
    assert topic.id == created.topic_id
    assert [p.leader for p in topic.partitions.values()] == [1, 1]
    assert again.image.topic_configs("t") == {"retention.ms": "5"}
    assert again.image.features == INITIAL
    [refused] = again.forward(creation("t")).topics
    assert refused.error_code == 36
    again.close()


def test_the_directory_is_kafka_s(controller: ControllerProcess, worker: Worker) -> None:
    meta = properties(controller.home / "meta.properties")
    assert meta["cluster.id"] == cluster_id(worker)
    assert len(meta["cluster.id"]) == len(meta["directory.id"]) == 22
    assert (meta["version"], meta["node.id"]) == ("1", "1")
    log = controller.home / "__cluster_metadata-0"
    assert (log / "00000000000000000000.log").exists()
    assert (log / "leader-epoch-checkpoint").exists()
    state = json.loads((log / "quorum-state").read_text())
    assert (state["leaderId"], state["leaderEpoch"], state["data_version"]) == (1, 1, 0)
    controller.kill()
    controller.start()
    assert properties(controller.home / "meta.properties") == meta
    assert json.loads((log / "quorum-state").read_text())["leaderEpoch"] == 2


def test_a_waiting_fetch_is_woken_by_news(worker: Worker) -> None:
    worker.join(cluster_id(worker))
    worker.follow()
    waiting = worker.fetches.call(worker.fetch_request(wait_ms=4000), 17, timeout_ms=8000)
    assert not worker.run_until(lambda: waiting.done, 0.1)
    worker.forward(creation("t"))
    assert worker.run_until(lambda: waiting.done, 1.0)
    partition = worker.follow(waiting.result())
    assert "t" in worker.image.topics
    assert partition.high_watermark == worker.image.offset + 1
    assert (partition.current_leader.leader_id, partition.current_leader.leader_epoch) == (1, 1)


def test_a_waiting_fetch_ends_with_its_time(worker: Worker) -> None:
    worker.follow()
    response = worker.call(worker.fetch_request(wait_ms=50), client=worker.fetches)
    assert not worker.follow(response).records


def test_a_lost_connection_fences_at_once_and_a_new_process_takes_over(
    controller: ControllerProcess, worker: Worker
) -> None:
    cluster = cluster_id(worker)
    worker.join(cluster)
    worker.forward(creation("t", 1))
    other = Worker(controller.socket, 1001)
    other.join(cluster)
    assert other.image.topics["t"].partitions[0].leader == 1
    worker.close()

    def fenced() -> bool:
        other.follow()
        return other.image.brokers[1].fenced

    assert any(fenced() for _ in range(100))
    assert other.image.topics["t"].partitions[0].leader == -1
    new = Worker(controller.socket)
    new.join(cluster)
    new.follow()
    partition = new.image.topics["t"].partitions[0]
    assert (partition.leader, partition.leader_epoch, partition.isr) == (1, 2, (1,))
    new.close()
    other.close()


def test_a_second_process_with_the_id_of_a_live_one_is_refused(
    controller: ControllerProcess, worker: Worker
) -> None:
    cluster = cluster_id(worker)
    worker.join(cluster)
    second = Worker(controller.socket)
    assert second.register(cluster) == 101
    second.close()
    worker.follow()
    assert not worker.image.brokers[1].fenced
    assert worker.register("another") == 104


def test_errors_are_answered_and_leave_no_record(worker: Worker) -> None:
    worker.join(cluster_id(worker))
    worker.follow()
    offset = worker.image.offset
    assert worker.forward(creation("a b")).topics[0].error_code == 17
    assert worker.heartbeat(want_fence=False).error_code == 0
    worker.epoch += 1
    assert worker.heartbeat().error_code == 77
    worker.epoch -= 1
    worker.follow()
    assert worker.image.offset == offset


def test_only_admin_requests_travel_in_an_envelope(worker: Worker) -> None:
    frame = b"\0\3\0\x0c\0\0\0\0\xff\xff\0"  # Metadata v12
    request = EnvelopeRequest(
        request_data=frame, request_principal=None, client_host_address=bytes(4)
    )
    assert worker.call(request).error_code == 42


def test_the_other_requests(worker: Worker) -> None:
    worker.join(cluster_id(worker))
    block = worker.call(AllocateProducerIdsRequest(broker_id=1, broker_epoch=worker.epoch))
    assert (block.error_code, block.producer_id_start, block.producer_id_len) == (0, 0, 1000)
    worker.forward(creation("t"))
    Resource = AlterConfigsRequest.AlterConfigsResource
    config = Resource.AlterableConfig(name="segment.ms", value="7")
    resource = Resource(resource_type=2, resource_name="t", configs=[config])
    [altered] = worker.forward(AlterConfigsRequest(resources=[resource])).responses
    assert altered.error_code == 0
    worker.follow()
    assert worker.image.topic_configs("t") == {"segment.ms": "7"}
    state = DeleteTopicsRequest.DeleteTopicState(name="t")
    [deleted] = worker.forward(DeleteTopicsRequest(topics=[state])).responses
    assert deleted.error_code == 0
    worker.follow()
    assert (worker.image.topics, worker.image.configs) == ({}, {})
    Topic = DescribeQuorumRequest.TopicData
    partition = Topic.PartitionData(partition_index=0)
    asked = Topic(topic_name="__cluster_metadata", partitions=[partition])
    [topic] = worker.call(DescribeQuorumRequest(topics=[asked])).topics
    assert topic.partitions[0].leader_id == 1
    assert [o.replica_id for o in topic.partitions[0].observers] == [1]
    versions = worker.call(ApiVersionsRequest())
    assert {63, 62, 58, 55, 1} <= {kind.api_key for kind in versions.api_keys}
    assert versions.finalized_features[0].max_version_level == 30


def test_changes_that_come_together_are_answered_together(worker: Worker) -> None:
    worker.join(cluster_id(worker))
    answers: list[Any] = [
        worker.calls.call(creation(f"t{i}", 1), 7, timeout_ms=5000) for i in range(200)
    ]
    assert worker.run_until(lambda: all(answer.done for answer in answers))
    assert all(answer.result().topics[0].error_code == 0 for answer in answers)
    worker.follow()
    assert len(worker.image.topics) == 200


def test_it_ends_with_its_lifeline_or_sigterm_and_not_with_sigint(
    controller: ControllerProcess,
) -> None:
    controller.process.send_signal(signal.SIGINT)
    worker = Worker(controller.socket)
    assert cluster_id(worker)
    controller.process.send_signal(signal.SIGTERM)
    assert controller.wait() == 0
    worker.close()
    controller.start()
    assert controller.process.stdin is not None
    controller.process.stdin.close()
    assert controller.process.wait(timeout=10) == 0
    assert controller.process.stdout is not None
    controller.process.stdout.close()
    assert not pathlib.Path(controller.socket).exists()


def test_a_torn_batch_at_the_end_is_cut_off(
    controller: ControllerProcess, worker: Worker
) -> None:
    worker.join(cluster_id(worker))
    worker.forward(creation("t"))
    controller.kill()
    log = controller.home / "__cluster_metadata-0" / "00000000000000000000.log"
    whole = log.read_bytes()
    log.write_bytes(whole + whole[:70])
    controller.start()
    again = Worker(controller.socket)
    again.follow()
    assert "t" in again.image.topics
    again.close()


@pytest.mark.kafka
def test_kafka_s_tool_reads_the_log(controller: ControllerProcess, worker: Worker) -> None:
    worker.join(cluster_id(worker))
    worker.forward(creation("t", retention_ms="5"))
    worker.heartbeat(want_shut_down=True)
    log = controller.home / "__cluster_metadata-0" / "00000000000000000000.log"
    arguments = ["--cluster-metadata-decoder", "--files", str(log)]
    text = tools.run("kafka-dump-log", arguments, capture_output=True).stdout
    assert 'LeaderChange: {"version":0,"leaderId":1' in text
    for kind in (
        "FEATURE_LEVEL",
        "REGISTER_BROKER",
        "BROKER_REGISTRATION_CHANGE",
        "TOPIC",
        "CONFIG",
        "PARTITION",
        "PARTITION_CHANGE",
    ):
        assert f'"type":"{kind}_RECORD"' in text
    assert "isvalid: false" not in text
