"""Apache Kafka's command line tools work on the broker, and its dump tool reads the files.

A tool starts in a second or two, so a test is a story told with few of them.
"""
from __future__ import annotations

import json
import pathlib
import re

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from fastbroker.handlers.served import SERVED
from fastbroker.protocol.api import api
from tests.interop.broker import Broker
from tests.interop.kafka_tools import Tool, data_dir, fill

pytestmark = [pytest.mark.interop, pytest.mark.kafka, pytest.mark.timeout(300)]


def test_topics_are_created_listed_described_extended_and_deleted(tool: Tool, name: str) -> None:
    create = ["--create", "--topic", name, "--partitions", "3", "--config", "retention.ms=86400000"]
    assert f"Created topic {name}." in tool("kafka-topics", *create)
    assert name in tool("kafka-topics", "--list").split()

    told = tool("kafka-topics", "--describe", "--topic", name)
    assert re.search(rf"Topic: {name}\s.*PartitionCount: 3\s.*ReplicationFactor: 1\s", told), told
    assert "retention.ms=86400000" in told
    rows = re.findall(r"Partition: (\d+)\s+Leader: (\d+)\s+Replicas: (\d+)\s+Isr: (\d+)", told)
    assert [row[0] for row in rows] == ["0", "1", "2"]
    assert all(leader == replica == isr for _, leader, replica, isr in rows), told

    tool("kafka-topics", "--alter", "--topic", name, "--partitions", "5")
    assert "PartitionCount: 5" in tool("kafka-topics", "--describe", "--topic", name)
    tool("kafka-topics", "--delete", "--topic", name)
    assert name not in tool("kafka-topics", "--list").split()


def test_configs_of_topics_are_altered_and_described(tool: Tool, topic: str) -> None:
    entity = ["--entity-type", "topics", "--entity-name", topic]
    added = "retention.ms=3600000,cleanup.policy=[compact,delete]"
    tool("kafka-configs", *entity, "--alter", "--add-config", added)
    told = tool("kafka-configs", *entity, "--describe")
    assert re.search(r"retention\.ms=3600000 .*DYNAMIC_TOPIC_CONFIG:retention\.ms=3600000", told)
    assert "cleanup.policy=compact,delete " in told
    tool("kafka-configs", *entity, "--alter", "--delete-config", "retention.ms")
    told = tool("kafka-configs", *entity, "--describe", "--all")
    assert "retention.ms=3600000" not in told
    assert "max.message.bytes=" in told


def test_configs_of_brokers_are_altered_and_described(
    tool: Tool, admin: AdminClient
) -> None:
    broker_id = str(min(admin.list_topics(timeout=30).brokers))
    entity = ["--entity-type", "brokers", "--entity-name", broker_id]
    told = tool("kafka-configs", *entity, "--describe", "--all")
    assert re.search(r"^\s+num\.partitions=\d+ ", told, re.M), told
    tool("kafka-configs", *entity, "--alter", "--add-config", "log.retention.ms=987654321")
    told = tool("kafka-configs", *entity, "--describe")
    assert "log.retention.ms=987654321 " in told
    assert "DYNAMIC_BROKER_CONFIG:log.retention.ms=987654321" in told
    tool("kafka-configs", *entity, "--alter", "--delete-config", "log.retention.ms")


def test_records_go_in_and_out_by_the_console_and_groups_are_told_of(
    tool: Tool, topic: str, tmp_path: pathlib.Path
) -> None:
    lines = "".join(f"key-{n}:value {n}\n" for n in range(6))
    pairs = ["--reader-property", "parse.key=true", "--reader-property", "key.separator=:"]
    tool("kafka-console-producer", "--topic", topic, "--compression-codec=zstd", *pairs,
         stdin=lines)  # fmt: skip
    group = f"group-of-{topic}"
    read = ["--topic", topic, "--from-beginning", "--max-messages", "6", "--timeout-ms", "30000"]
    shown = ["--formatter-property", "print.key=true", "--group", group]
    told = tool("kafka-console-consumer", *read, *shown)
    got = sorted(line for line in told.splitlines() if line.startswith("key-"))
    assert got == [f"key-{n}\tvalue {n}" for n in range(6)], told

    assert group in tool("kafka-consumer-groups", "--list").split()
    told = tool("kafka-consumer-groups", "--describe", "--group", group)
    # GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID HOST CLIENT-ID
    rows = [line.split() for line in told.splitlines() if line.startswith(group)]
    assert sum(int(row[3]) for row in rows) == 6, told
    assert all(row[3] == row[4] and row[5] == "0" for row in rows), told
    told = tool("kafka-consumer-groups", "--describe", "--group", group, "--state")
    assert re.search(rf"^{group}\s.*\sEmpty\s+0\s*$", told, re.M), told

    reset = ["--reset-offsets", "--to-earliest", "--execute", "--group", group, "--topic", topic]
    told = tool("kafka-consumer-groups", *reset)
    rows = [line.split() for line in told.splitlines() if line.startswith(group)]
    assert {row[3] for row in rows} == {"0"}, told
    assert "was successful" in tool("kafka-consumer-groups", "--delete", "--group", group)


def test_offsets_are_told_and_records_deleted(
    tool: Tool, broker: Broker, topic: str, tmp_path: pathlib.Path
) -> None:
    fill(broker, topic, values=[b"value"] * 10)
    told = tool("kafka-get-offsets", "--topic", topic)
    assert told.split() == [f"{topic}:0:10", f"{topic}:1:10"]
    wish = {"partitions": [{"topic": topic, "partition": 0, "offset": 4}], "version": 1}
    file = tmp_path / "wish.json"
    file.write_text(json.dumps(wish))
    told = tool("kafka-delete-records", "--offset-json-file", str(file))
    assert re.search(rf"partition: {topic}-0\s+low_watermark: 4", told), told
    told = tool("kafka-get-offsets", "--topic", topic, "--time", "earliest")
    assert f"{topic}:0:4" in told.split()


def test_log_dirs_and_api_versions_are_told(
    tool: Tool, broker: Broker, topic: str, admin: AdminClient
) -> None:
    fill(broker, topic, values=[b"value"] * 10)
    told = tool("kafka-log-dirs", "--describe", "--topic-list", topic)
    answer = json.loads(next(line for line in told.splitlines() if line.startswith("{")))
    ids = sorted(admin.list_topics(timeout=30).brokers)
    assert sorted(one["broker"] for one in answer["brokers"]) == ids
    dirs = [each for one in answer["brokers"] for each in one["logDirs"]]
    assert all(each["error"] is None for each in dirs), told
    sizes = {p["partition"]: p["size"] for each in dirs for p in each["partitions"]}
    assert set(sizes) == {f"{topic}-0", f"{topic}-1"}, told
    assert min(sizes.values()) > 10 * len(b"value")

    told = tool("kafka-broker-api-versions")
    assert len(re.findall(r"^\S+:\d+ \(id: \d+ rack: ", told, re.M)) == len(ids), told
    assert told.count("Produce(0): 0 to 13 [usable: 13]") == len(ids), told
    unsupported = set(re.findall(r"(\w+)\(\d+\): UNSUPPORTED", told))
    assert not unsupported & {api(key).name for key in SERVED}, told


def test_segments_and_their_indexes_pass_the_dump(
    offline_tool: Tool, broker: Broker, topic: str
) -> None:
    data = data_dir(broker)
    values = [b"%d" % n + b" some words" * 4000 for n in range(60)]
    fill(broker, topic, values=values, batch=2)
    more = [b"short %d" % n for n in range(50)]
    fill(broker, topic, values=more, codec="zstd")
    folders = list(data.rglob(f"{topic}-*/"))
    assert len(folders) == 2
    logs = sorted(str(file) for folder in folders for file in folder.glob("*.log"))
    assert len(logs) >= 4, "segments were rolled"
    indexes = [log.removesuffix(".log") + kind for log in logs for kind in (".index", ".timeindex")]
    snapshots = sorted(str(file) for folder in folders for file in folder.glob("*.snapshot"))

    files = ",".join([*logs, *indexes, *snapshots])
    options = ["--print-data-log", "--deep-iteration", "--max-message-size", str(1 << 20)]
    told = offline_tool("kafka-dump-log", *options, "--files", files)
    assert "isvalid: true" in told
    assert "compresscodec: zstd" in told
    assert "isvalid: false" not in told
    # How the tool tells of an index that does not fit its log, or of a hole in it.
    for fault in ("ismatch", "out of order", "misplaced", "not found", "rror"):
        assert fault not in told, told[-3000:]
    # It calls the first offset of a later segment's log non-consecutive, to -1; nothing else is.
    assert set(re.findall(r"^\s*(-?\d+) is followed by", told, re.M)) <= {"-1"}, told[-3000:]
    payloads = re.findall(r"^\| offset: \d+ .*payload: (.*)$", told, re.M)
    assert sorted(payloads) == sorted(2 * [value.decode() for value in values + more])
    assert re.search(r"^offset: \d+ position: [1-9]\d*", told, re.M), "an index entry"
    assert re.search(r"^timestamp: \d{13} offset: \d+", told, re.M), "a time index entry"

    # Kafka's own active segment fails this check: its indexes end in preallocated zeros.
    active = {max(file.stem for file in folder.glob("*.log")) for folder in folders}
    rolled = [index for index in indexes if pathlib.Path(index).stem not in active]
    told = offline_tool("kafka-dump-log", "--index-sanity-check", "--files", ",".join(rolled))
    assert told.count("passed sanity check.") == len(rolled) > 0, told


def test_transactions_are_told_filtered_and_pass_the_dump(
    tool: Tool, offline_tool: Tool, broker: Broker, topic: str
) -> None:
    data = data_dir(broker)
    settings = {"bootstrap.servers": broker.bootstrap, "transactional.id": f"id-of-{topic}"}
    producer = Producer(settings)
    producer.init_transactions(30)
    words = " and some words" * 4000  # four transactions fill a segment
    ends: list[str] = []
    for n in range(10):
        producer.begin_transaction()
        for part in range(4):
            producer.produce(topic, value=f"{n}.{part}{words}", partition=0)
        assert producer.flush(30) == 0  # an abort would drop what has not been sent
        if n % 3:
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)
        ends.append("COMMIT" if n % 3 else "ABORT")
    wanted = [f"{n}.{part}" for n in range(10) for part in range(4) if n % 3]

    read = ["--topic", topic, "--partition", "0", "--offset", "earliest", "--timeout-ms", "10000",
            "--max-messages", str(len(wanted))]  # fmt: skip
    told = tool("kafka-console-consumer", *read, "--isolation-level", "read_committed")
    assert re.findall(r"^(\d+\.\d+) and", told, re.M) == wanted
    told = tool("kafka-transactions", "describe-producers", "--topic", topic, "--partition", "0")
    # ProducerId ProducerEpoch LatestCoordinatorEpoch LastSequence LastTimestamp CurrentTransaction
    (row,) = [line.split() for line in told.splitlines() if re.match(r"^\d+\s", line)]
    assert row[-1] == "None", told

    (folder,) = data.rglob(f"{topic}-0/")
    logs = sorted(str(file) for file in folder.glob("*.log"))
    assert len(logs) >= 2, "segments were rolled"
    rest = [sorted(map(str, folder.glob(f"*.{kind}"))) for kind in ("txnindex", "snapshot")]
    files = ",".join([*logs, *rest[0], *rest[1]])
    told = offline_tool("kafka-dump-log", "--print-data-log", "--files", files)
    assert re.findall(r"endTxnMarker: (\w+) ", told) == ends
    entry = r"^version: 0 producerId: (\d+) firstOffset: (\d+) lastOffset: (\d+) lastStable"
    aborted = re.findall(entry, told, re.M)
    # What the segment being written has aborted is not in a file yet.
    assert 0 < len(aborted) <= ends.count("ABORT")
    assert aborted[0] == (row[0], "0", "4")
    assert f"producerId: {row[0]} " in told.split("snapshot", 1)[1]


def test_metadata_and_committed_offsets_are_decoded(
    tool: Tool, offline_tool: Tool, broker: Broker, topic: str
) -> None:
    data = data_dir(broker)
    logs = [str(file) for file in data.rglob("__cluster_metadata-0/*.log")]
    told = offline_tool("kafka-dump-log", "--cluster-metadata-decoder", "--files", ",".join(logs))
    assert re.search(rf'"type":"TOPIC_RECORD".*"name":"{topic}"', told), told[-3000:]
    for kind in ("REGISTER_BROKER_RECORD", "PARTITION_RECORD", "CONFIG_RECORD"):
        assert f'"type":"{kind}"' in told, f"no {kind}:\n{told[-3000:]}"

    fill(broker, topic, values=[b"value"] * 3)
    group = f"group-of-{topic}"
    read = ["--from-beginning", "--max-messages", "6", "--timeout-ms", "30000", "--group", group]
    tool("kafka-console-consumer", "--topic", topic, *read)
    logs = [str(file) for file in data.rglob("__consumer_offsets-*/*.log") if file.stat().st_size]
    told = offline_tool("kafka-dump-log", "--offsets-decoder", "--files", ",".join(logs))
    assert group in told, told[-3000:]
    assert topic in told, told[-3000:]
