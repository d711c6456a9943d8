"""One process of a load test: wires users, statistics and the report to locust's events."""
from __future__ import annotations

import datetime
import logging
import os
import pathlib
import platform
import signal
import sys
import time
from typing import Any

import confluent_kafka
import gevent
import locust
from confluent_kafka import KafkaError, KafkaException
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from loadtests import arguments
from loadtests.report import write
from loadtests.shapes.over_time import OverTime
from loadtests.tally import generator
from loadtests.tally.counted_events import count_the_others
from loadtests.tally.recorder import Recorder
from loadtests.tally.series import Series
from loadtests.users import topics
from loadtests.users.kafka_user import KafkaUser, error_name

# While producers have more to do, gevent looks at timers once in so long; by default once in 5 ms,
# which every user that waits would measure.
TURN_S = 0.0005
# Workers tell their master what they did every three seconds, also after the end of a run.
LAST_WORDS_S = 4
GIVE_UP_S = 60
TOLD = "kafka"  # where a worker's report to its master has the series

logger = logging.getLogger(__name__)


class Run:
    """What is done at locust's events, in a process that runs users, one that leads, or both."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._recorder = KafkaUser.recorder = Recorder(environment)
        self._greenlets: list[gevent.Greenlet] = []
        self._told: dict[str, Any] | None = None  # a run whose workers may still have to say more
        self._written = 0
        self._table = ""
        self._new_groups = not environment.parsed_options.group

    @classmethod
    def begin(cls, environment: Environment, **_: Any) -> None:
        """At locust's init event."""
        run, events = cls(environment), environment.events
        sys.setswitchinterval(TURN_S)
        count_the_others(environment)
        run.take_shape()
        events.test_start.add_listener(run.on_start)
        events.test_stop.add_listener(run.on_stop)
        events.quit.add_listener(run.on_quit)
        events.report_to_master.add_listener(run.on_report_to_master)
        events.worker_report.add_listener(run.on_worker_report)

    def take_shape(self) -> None:
        """Let --shape decide how many users there are."""
        options = self._environment.parsed_options
        if options.shape == "none" or isinstance(self._environment.runner, WorkerRunner):
            return
        shape = OverTime(options)
        shape.runner = self._environment.runner
        self._environment.shape_class = shape

    def on_start(self, environment: Environment, **_: Any) -> None:
        """Make the topics, forget the run before, and watch."""
        self._recorder.restart()
        self._began_s = time.time()
        options = environment.parsed_options
        if not isinstance(environment.runner, WorkerRunner):
            if self._new_groups:
                options.group = f"{options.topic}-{self._began_s:.0f}"
            try:
                topics.create(options)
            except KafkaException as failure:
                self._give_up(failure.args[0])
            self._greenlets.append(gevent.spawn(self._count_users))
        self._began_s = time.time()
        if not isinstance(environment.runner, MasterRunner):
            self._greenlets.append(gevent.spawn(self._recorder.run))
            self._greenlets.append(gevent.spawn(generator.watch, self._recorder))

    def _give_up(self, error: KafkaError) -> None:
        """Say why there are no topics; without a web page, where it could be mended, end locust."""
        logger.error("no topics: %s: %s", error_name(error), error.str())
        if self._environment.web_ui is None:
            self._environment.process_exit_code = 1
            os.kill(os.getpid(), signal.SIGTERM)
            gevent.sleep(GIVE_UP_S)  # locust ends from another greenlet, before there are users

    def on_stop(self, environment: Environment, **_: Any) -> None:
        """Count what is left, and write the report."""
        gevent.killall(self._greenlets)
        self._greenlets.clear()
        self._recorder.hand_on()
        if isinstance(environment.runner, WorkerRunner):
            return
        if environment.process_exit_code:
            return  # it could not even begin
        self._told = self.as_json(environment.parsed_options)
        if isinstance(environment.runner, MasterRunner):
            gevent.spawn_later(LAST_WORDS_S, self.write)
        else:
            self.write()

    def write(self) -> None:
        """The report of the run that has ended, unless that is done."""
        told, self._told = self._told, None
        if told is None:
            return
        told["series"] = self._recorder.series.as_json()
        self._table = write.table_of(told)
        options = self._environment.parsed_options
        if options.report:
            self._written += 1  # the web page may start several runs
            number = f"-{self._written}" if self._written > 1 else ""
            write.into(pathlib.Path(options.report + number), told)

    def on_quit(self, **_: Any) -> None:
        """The last words, below locust's own tables."""
        self.write()
        if self._table:
            print(f"\n{self._table}")

    def on_report_to_master(self, data: dict[str, Any], **_: Any) -> None:
        self._recorder.hand_on()
        data[TOLD] = self._recorder.taken().as_json()

    def on_worker_report(self, data: dict[str, Any], **_: Any) -> None:
        if TOLD in data:
            self._recorder.series.merge(Series.from_json(data[TOLD]))

    def as_json(self, options: Any) -> dict[str, Any]:
        """What run.json holds but the series; to be asked for at the end of the run."""
        began = datetime.datetime.fromtimestamp(self._began_s, datetime.UTC)
        return {
            "label": options.label or options.bootstrap,
            "began": f"{began:%Y-%m-%d %H:%M:%S} UTC",
            "began_s": self._began_s,
            "ended_s": time.time(),
            "warm_up_s": options.warm_up,
            "options": arguments.chosen(options),
            "machine": {
                "cores": os.cpu_count(),
                "python": platform.python_version(),
                "locust": locust.__version__,
                "librdkafka": confluent_kafka.libversion()[0],
            },
        }

    def _count_users(self) -> None:
        while True:
            self._recorder.gauge("users", self._environment.runner.user_count)
            gevent.sleep(1)
