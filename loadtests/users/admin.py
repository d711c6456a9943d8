"""An administrator: makes a topic, describes it and a group, and deletes the topic again."""
from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, NewTopic
from locust import constant, task

from loadtests.users.kafka_user import KafkaUser, error_name
from loadtests.users.topics import answer

TOPIC_PARTITIONS = 3


class AdminUser(KafkaUser):
    """One request after the other, ten rounds a second at most."""

    weight = 1
    wait_time = constant(0.1)

    def open(self) -> None:
        self._admin = AdminClient(self.settings())
        self._mine: str | None = None  # the topic that is not deleted yet

    def close(self) -> None:
        if self._mine is None:
            return
        # It may be deleted already, where the user was stopped before it could see that.
        with contextlib.suppress(KafkaException):
            answer(self._admin.delete_topics([self._mine]))

    @task
    def look_around(self) -> None:
        options = self.options
        self._mine = f"{options.topic}-admin-{os.urandom(6).hex()}"
        new = NewTopic(self._mine, TOPIC_PARTITIONS, options.replication_factor)
        if not self._ask("admin create-topic", self._admin.create_topics, [new]):
            self._mine = None
        here = TopicCollection([options.topic])
        self._ask("admin describe-topic", self._admin.describe_topics, here)
        self._ask("admin describe-group", self._admin.describe_consumer_groups, [options.group])
        self._ask("admin list-groups", self._admin.list_consumer_groups)
        if self._mine is not None and self._ask(
            "admin delete-topic", self._admin.delete_topics, [self._mine]
        ):
            self._mine = None

    def _ask(self, operation: str, call: Callable[..., Any], *args: Any) -> bool:
        begun_ns = time.perf_counter_ns()
        self._admin.poll(0)  # lost connections are told here
        try:
            answer(call(*args, request_timeout=self.options.timeout))
        except KafkaException as failure:
            self.recorder.failed(operation, error_name(failure.args[0]))
            return False
        self.recorder.succeeded(operation, [(time.perf_counter_ns() - begun_ns) // 1000])
        return True
