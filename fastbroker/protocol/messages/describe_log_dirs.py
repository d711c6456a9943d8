"""DescribeLogDirs (35): describe log directories and replica sizes."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, boolean, i16, i32, i64, string


class DescribeLogDirsRequest(Struct, key=35, versions="1-5", flexible="2+"):
    class DescribableLogDirTopic(Struct):
        topic: str = string()
        partitions: list[int] = array(i32())

    topics: list[DescribableLogDirTopic] | None = array(DescribableLogDirTopic, nullable="0+")


class DescribeLogDirsResponse(Struct, key=35, versions="1-5", flexible="2+"):
    class DescribeLogDirsResult(Struct):
        class DescribeLogDirsTopic(Struct):
            class DescribeLogDirsPartition(Struct):
                partition_index: int = i32()
                partition_size: int = i64()
                offset_lag: int = i64()
                is_future_key: bool = boolean()

            name: str = string()
            partitions: list[DescribeLogDirsPartition] = array(DescribeLogDirsPartition)

        error_code: int = i16()
        log_dir: str = string()
        topics: list[DescribeLogDirsTopic] = array(DescribeLogDirsTopic)
        total_bytes: int = i64("4+", default=-1)
        usable_bytes: int = i64("4+", default=-1)
        is_cordoned: bool = boolean("5+")

    throttle_time_ms: int = i32()
    error_code: int = i16("3+")
    results: list[DescribeLogDirsResult] = array(DescribeLogDirsResult)
