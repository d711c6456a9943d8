"""For asyncio: reads orders and commits what is done. On SIGTERM it finishes the record in hand,
commits and leaves the group.

python asyncio_consumer.py [TOPIC [GROUP]]
"""
import asyncio
import os
import signal
import sys

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError

topic = sys.argv[1] if len(sys.argv) > 1 else "orders"
group = sys.argv[2] if len(sys.argv) > 2 else "mails"


async def handle(record: ConsumerRecord) -> None:
    where = f"{record.topic}-{record.partition}@{record.offset}"
    print(where, record.key.decode(), record.value.decode())


class Progress(ConsumerRebalanceListener):
    """The offset to be read next of each partition of which something was handled."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._next: dict[TopicPartition, int] = {}

    def handled(self, partition: TopicPartition, record: ConsumerRecord) -> None:
        self._next[partition] = record.offset + 1

    async def commit(self) -> None:
        mine = {one: self._next[one] for one in self._next.keys() & self._consumer.assignment()}
        self._next.clear()
        if mine:
            try:
                await self._consumer.commit(mine)
            except CommitFailedError as error:  # taken from us: another one reads them again
                print(error, file=sys.stderr)

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        await self.commit()

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        pass


async def main() -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=os.environ.get("BOOTSTRAP_SERVERS", "127.0.0.1:9092"),
        client_id="mails",
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    progress = Progress(consumer)
    consumer.subscribe([topic], listener=progress)
    try:
        await consumer.start()
        while not stopping.is_set():
            received = await consumer.getmany(timeout_ms=500, max_records=500)
            for partition, records in received.items():
                for record in records:
                    if stopping.is_set():
                        break
                    await handle(record)
                    progress.handled(partition, record)
            await progress.commit()
    finally:
        await progress.commit()
        await consumer.stop()


asyncio.run(main())
