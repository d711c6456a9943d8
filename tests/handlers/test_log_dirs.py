"""DescribeLogDirs."""
from __future__ import annotations

from typing import Any

import pytest

from fastbroker import errors
from fastbroker.protocol.messages.describe_log_dirs import DescribeLogDirsRequest
from tests.handlers.bench import Bench

Topic = DescribeLogDirsRequest.DescribableLogDirTopic


def describe(bench: Bench, topics: Any = None, version: int = 4) -> Any:
    (result,) = bench.ask(DescribeLogDirsRequest(topics=topics), version).results
    return result


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_partitions_and_their_sizes(bench: Bench, version: int) -> None:
    bench.create("a", partitions=2)
    bench.create("b")
    bench.append("v" * 100, name="a")
    size = bench.partition("a").log.size
    result = describe(bench, version=version)
    assert (result.error_code, result.log_dir) == (0, bench.log_dir.path)
    assert [
        (t.name, [(p.partition_index, p.partition_size) for p in t.partitions])
        for t in result.topics
    ] == [("a", [(0, size), (1, 0)]), ("b", [(0, 0)])]
    if version >= 4:
        assert result.total_bytes >= result.usable_bytes > 0


def test_only_those_asked_for(bench: Bench) -> None:
    bench.create("a", partitions=2)
    wanted = [Topic(topic="a", partitions=[1, 7]), Topic(topic="x", partitions=[0])]
    result = describe(bench, wanted)
    assert [(t.name, [p.partition_index for p in t.partitions]) for t in result.topics] == [
        ("a", [1])
    ]
    assert describe(bench, []).topics == []


def test_an_offline_directory(bench: Bench) -> None:
    bench.log_dir.failure = OSError("EIO")
    assert describe(bench).error_code == errors.KafkaStorageError.code
