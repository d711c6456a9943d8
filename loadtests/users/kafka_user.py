"""What all users share: the client's settings, waiting without blocking, names of errors."""
from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import gevent
from confluent_kafka import KafkaError, KafkaException
from locust import User

from fastbroker import errors
from loadtests.tally.recorder import Recorder

LEAST_PAUSE_S = 0.001
POLLS_PER_S = 20_000  # of all users of a process: they take a quarter of a core at most
SILENT = 2  # librdkafka's own log: what it says comes as errors, too


def error_name(error: KafkaError) -> str:
    """NOT_LEADER_OR_FOLLOWER and so on; what the client found out by itself begins with _."""
    known = errors.KafkaError.by_code.get(error.code())
    return known.name if known is not None and error.code() > 0 else error.name()


def client_settings(
    options: argparse.Namespace, failed: Callable[[KafkaError], None] | None = None
) -> dict[str, Any]:
    """librdkafka's settings that every client has; `failed` hears of lost connections."""
    settings: dict[str, Any] = {
        "bootstrap.servers": options.bootstrap,
        "client.id": "loadtests",
        "log_level": SILENT,
        "reconnect.backoff.max.ms": 1000,
    }
    if failed is not None:
        settings["error_cb"] = failed
    settings.update(pair.split("=", 1) for pair in options.client_config)
    return settings


class KafkaUser(User):
    """A user with clients of its own. `recorder` is set for all before the first one starts."""

    abstract = True
    recorder: Recorder
    alive = 0

    def on_start(self) -> None:
        KafkaUser.alive += 1
        self.options = self.environment.parsed_options
        self._call: gevent.Greenlet | None = None
        self.open()

    def on_stop(self) -> None:
        try:
            if self._call is not None:
                self._call.join()
            self.close()
        finally:
            KafkaUser.alive -= 1

    def open(self) -> None:
        """Make the clients."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the clients, once what is under way has ended."""

    def settings(self, **more: Any) -> dict[str, Any]:
        """A client's settings; --client-config has the last word."""
        shared = client_settings(self.options, self._lost)
        own = {name.replace("_", "."): value for name, value in more.items()}
        return {**own, **shared}

    def yield_now(self) -> None:
        """Let other greenlets run; there is more to do."""
        gevent.sleep(0)

    def pause(self) -> None:
        """Let other greenlets run until it is time to poll again."""
        gevent.sleep(max(LEAST_PAUSE_S, KafkaUser.alive / POLLS_PER_S))

    def wait_for(self, condition: Callable[[], object], deadline_s: float) -> bool:
        """Pause until `condition()`; whether it came to be before the deadline."""
        end = time.monotonic() + deadline_s
        while not condition():
            if time.monotonic() > end:
                return False
            self.pause()
        return True

    def timed(self, operation: str, call: Callable[..., Any], *args: Any) -> KafkaError | None:
        """Run a blocking call in a real thread and count it; the error that it ended with.

        A user that is stopped meanwhile stops when the call has ended and is counted.
        """
        self._call = gevent.spawn(self._timed, operation, call, *args)
        return self._call.get()

    def _timed(
        self, operation: str, call: Callable[..., Any], *args: Any
    ) -> KafkaError | None:
        begun = time.perf_counter_ns()
        try:
            blocking(call, *args)
        except KafkaException as failure:
            self.recorder.failed(operation, error_name(failure.args[0]))
            return failure.args[0]
        self.recorder.succeeded(operation, [(time.perf_counter_ns() - begun) // 1000])
        return None

    def _lost(self, error: KafkaError) -> None:
        """Called by a poll: a connection was lost, or none can be had."""
        self.recorder.failed("client connection", error_name(error))


def blocking(call: Callable[..., Any], *args: Any) -> Any:
    """What `call` returns or raises, from a real thread, while other greenlets run."""

    def run() -> tuple[Any, KafkaException | None]:
        try:
            return call(*args), None
        except KafkaException as failure:  # gevent would print what a thread raises
            return None, failure

    found, failure = gevent.get_hub().threadpool.apply(run)
    if failure is not None:
        raise failure
    return found
