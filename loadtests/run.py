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
from locust.rpc import Message
from locust.runners import MasterRunner, WorkerRunner

from loadtests import arguments
from loadtests.report import write
from loadtests.shapes.over_time import OverTime
from loadtests.shapes.users_at import NAMES
from loadtests.tally import broker_cpu, generator
from loadtests.tally.counted_events import count_the_others
from loadtests.tally.recorder import Recorder
from loadtests.tally.series import Series
from loadtests.users import topics
from loadtests.users.kafka_user import KafkaUser, error_name

# While producers have more to do, gevent looks at timers once in so long; by default once in 5 ms,
# which every user that waits would measure.
TURN_S = 0.0005
GIVE_UP_S = 60
TOLD = "kafka"  # where a worker's report to its master has the series
# Locust's master gives its workers half a second to say what they did last, which is too short for
# producers that still wait for acknowledgements: it asks them to end, and they say when they have.
END, ENDED = "kafka-end", "kafka-ended"

logger = logging.getLogger(__name__)


class Run:
    """What is done at locust's events, in a process that runs users, one that leads, or both."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._recorder = KafkaUser.recorder = Recorder(environment)
        self._greenlets: list[gevent.Greenlet] = []
        self._counting = gevent.Greenlet()
        self._ended: set[str] = set()  # workers that have nothing more to say
        self._written = 0
        self._table = ""
        self._new_groups = not environment.parsed_options.group

    @classmethod
    def begin(cls, environment: Environment, **_: Any) -> None:
        """At locust's init event."""
        complaint = arguments.complaint(environment.parsed_options)
        if complaint is not None:
            raise SystemExit(f"locust: error: {complaint}")
        # The web page has a field for it, under locust's own name.
        environment.host = environment.parsed_options.bootstrap
        run, events = cls(environment), environment.events
        sys.setswitchinterval(TURN_S)
        # gevent's clock stood still while all was imported, and --run-time would begin back then.
        gevent.get_hub().loop.update_now()
        count_the_others(environment)
        run.take_shape()
        events.test_start.add_listener(run.on_start)
        events.test_stopping.add_listener(run.on_stopping)
        events.test_stop.add_listener(run.on_stop)
        events.quit.add_listener(run.on_quit)
        events.report_to_master.add_listener(run.on_report_to_master)
        events.worker_report.add_listener(run.on_worker_report)
        if isinstance(environment.runner, WorkerRunner):
            environment.runner.register_message(END, run.on_end, concurrent=True)
        elif isinstance(environment.runner, MasterRunner):
            environment.runner.register_message(ENDED, run.on_ended)

    def take_shape(self) -> None:
        """Let --shape decide how many users there are, or the web page with --class-picker."""
        environment, options = self._environment, self._environment.parsed_options
        if isinstance(environment.runner, WorkerRunner):
            return
        shapes = {name: OverTime(name, options) for name in NAMES}
        environment.available_shape_classes = shapes
        if options.shape in shapes:
            environment.shape_class = shapes[options.shape]
            environment.shape_class.runner = environment.runner

    def on_start(self, environment: Environment, **_: Any) -> None:
        """Make the topics, forget the run before, and watch."""
        self._recorder.restart()
        self._began_s = time.time()
        options = environment.parsed_options
        if not isinstance(environment.runner, WorkerRunner):
            options.bootstrap = environment.host
            if self._new_groups:
                options.group = f"{options.topic}-{self._began_s:.0f}"
            try:
                topics.create(options)
            except KafkaException as failure:
                self._give_up(failure.args[0])
            self._counting = gevent.spawn(self._count_users)
            if options.broker_pid:
                pid = options.broker_pid
                self._greenlets.append(gevent.spawn(broker_cpu.watch, self._recorder, pid))
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

    def on_stopping(self, **_: Any) -> None:
        """Users end from here on: their number is no longer what was asked for."""
        gevent.kill(self._counting)

    def on_stop(self, environment: Environment, **_: Any) -> None:
        """Count what is left, and write the report."""
        gevent.killall(self._greenlets)
        self._greenlets.clear()
        self._recorder.hand_on()
        if isinstance(environment.runner, WorkerRunner):
            return
        if environment.process_exit_code:
            return  # it could not even begin
        options = environment.parsed_options
        ended_s = time.time()
        if isinstance(environment.runner, MasterRunner):
            self._end_workers(environment.runner, options.timeout)
        told = self.as_json(options, ended_s)
        self._table = write.table_of(told)
        if options.report:
            self._written += 1  # the web page may start several runs
            number = f"-{self._written}" if self._written > 1 else ""
            write.into(pathlib.Path(options.report + number), told)

    def on_quit(self, **_: Any) -> None:
        """The last words, below locust's own tables."""
        if self._table:
            print(f"\n{self._table}")

    def _end_workers(self, runner: MasterRunner, timeout_s: float) -> None:
        """Let workers stop their users, and wait for what they have not told yet."""
        self._ended.clear()
        runner.send_message(END)
        end = time.monotonic() + 2 * timeout_s
        while not self._ended >= set(runner.clients) and time.monotonic() < end:
            gevent.sleep(0.05)

    def on_end(self, environment: Environment, **_: Any) -> None:
        """A worker: stop, and say what was left to say."""
        environment.runner.stop()
        data: dict[str, Any] = {}
        self.on_report_to_master(data)
        environment.runner.send_message(ENDED, data)

    def on_ended(self, msg: Message, **_: Any) -> None:
        """The master: a worker has told everything."""
        self.on_worker_report(msg.data)
        self._ended.add(msg.node_id)

    def on_report_to_master(self, data: dict[str, Any], **_: Any) -> None:
        self._recorder.hand_on()
        data[TOLD] = self._recorder.taken().as_json()

    def on_worker_report(self, data: dict[str, Any], **_: Any) -> None:
        if TOLD in data:
            self._recorder.series.merge(Series.from_json(data[TOLD]))

    def as_json(self, options: Any, ended_s: float) -> dict[str, Any]:
        """What run.json holds."""
        shape = self._environment.shape_class
        began = datetime.datetime.fromtimestamp(self._began_s, datetime.UTC)
        return {
            "label": options.label or options.bootstrap,
            "began": f"{began:%Y-%m-%d %H:%M:%S} UTC",
            "began_s": self._began_s,
            "ended_s": ended_s,
            "warm_up_s": options.warm_up,
            "options": {**arguments.chosen(options), "shape": shape.name if shape else "none"},
            "machine": {
                "cores": os.cpu_count(),
                "python": platform.python_version(),
                "locust": locust.__version__,
                "librdkafka": confluent_kafka.libversion()[0],
            },
            "series": self._recorder.series.as_json(),
        }

    def _count_users(self) -> None:
        while True:
            self._recorder.gauge("users", self._environment.runner.user_count)
            gevent.sleep(1)
