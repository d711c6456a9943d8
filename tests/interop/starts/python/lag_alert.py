"""Says which partitions a group is behind on, and ends with status 1, when it is by more than LIMIT
records in all; otherwise it is silent. For cron, or whatever else looks at output and status.

python lag_alert.py [GROUP [LIMIT]]
"""
import os
import sys

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

TIMEOUT_S = 10
group = sys.argv[1] if len(sys.argv) > 1 else "billing"
limit = int(sys.argv[2]) if len(sys.argv) > 2 else 1000

admin = AdminClient(
    {"bootstrap.servers": os.environ.get("BOOTSTRAP_SERVERS", "127.0.0.1:9092")}
)


def offsets(partitions: list[TopicPartition], spec: OffsetSpec) -> list[int]:
    found = admin.list_offsets({one: spec for one in partitions}, request_timeout=TIMEOUT_S)
    return [found[one].result().offset for one in partitions]


def lags() -> list[tuple[TopicPartition, int]]:
    asked = [ConsumerGroupTopicPartitions(group)]
    answer = admin.list_consumer_group_offsets(asked, request_timeout=TIMEOUT_S)[group].result()
    committed = answer.topic_partitions
    if not committed:
        raise ValueError(f"group {group} has committed nothing")
    begins = offsets(committed, OffsetSpec.earliest())
    ends = offsets(committed, OffsetSpec.latest())
    return [
        (one, end - max(one.offset, begin))  # what retention has deleted nobody is behind on
        for one, begin, end in zip(committed, begins, ends, strict=True)
    ]


try:
    found = lags()
except (KafkaException, ValueError) as error:
    print(error, file=sys.stderr)
    sys.exit(2)
total = sum(lag for _, lag in found)
if total > limit:
    print(f"group {group} is {total} records behind, more than {limit}:")
    for one, lag in found:
        if lag > 0:
            print(f"  {one.topic}-{one.partition}: {lag}")
    sys.exit(1)
