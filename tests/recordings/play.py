"""Plays scenarios against a broker and keeps what it answers."""
from __future__ import annotations

import time
from typing import Any

from fastbroker.protocol.messages.produce import ProduceRequest
from tests.recordings.connection import Closed, Connection, Silent
from tests.recordings.plain import Placeholders, plain
from tests.recordings.scenario import Scenario, Scene, Step

UNTIL_DEADLINE_S = 15.0
RETRY_S = 0.02

Played = list[tuple[str, Any]]  # (label of the step, plain answer)


def play(one: Scenario, bootstrap: str) -> Played:
    """The recorded steps of a scenario, in order; one that breaks ends with a step "broke"."""
    scene = Scene(one)
    player = _Player(bootstrap, scene.prefix)
    steps = one.run(scene)
    answer = None
    try:
        while True:
            try:
                step = steps.send(answer)
            except StopIteration:
                return player.played
            answer = player.take(step)
    except Exception as error:  # the scenario met an answer that it did not expect
        player.played.append(("broke", f"{type(error).__name__}: {error}"))
        return player.played
    finally:
        steps.close()
        player.close()


class _Player:
    """The connections and the placeholders of one scenario."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        host, _, port = bootstrap.rpartition(":")
        self._address = host, int(port)
        self._connections: dict[str, Connection] = {}
        self._ids = Placeholders(prefix)
        self.played: Played = []

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()

    def take(self, step: Step) -> Any:
        """Do one step; the answer as it came, or the word for why there is none."""
        end = time.monotonic() + UNTIL_DEADLINE_S
        while True:
            answer, version = self._once(step)
            if step.until is None or (not isinstance(answer, str) and step.until(answer)):
                break
            late = time.monotonic() >= end or answer == "closed"
            assert not late, f"{step.label or type(step.request).__name__}: {answer}"
            time.sleep(RETRY_S)
        if step.label is not None and (step.receives or answer is not None):
            shown = plain(answer, version, self._ids, step.only)
            if step.keep and isinstance(shown, dict):
                shown = {name: shown[name] for name in step.keep}
            self.played.append((step.label, shown))
        return answer

    def _once(self, step: Step) -> tuple[Any, int]:
        connection = self._connections.get(step.connection)
        if connection is None:
            connection = self._connections[step.connection] = Connection(*self._address)
        try:
            unanswered = isinstance(step.request, ProduceRequest) and step.request.acks == 0
            if step.raw is not None:
                connection.send_raw(step.raw, step.raw_answer, step.version)
            elif step.sends:
                assert step.request is not None
                connection.send(
                    step.request, step.version, client_id=step.client_id, answered=not unanswered
                )
            if unanswered:
                return ("no answer" if connection.is_open() else self._closed(step)), -1
            if not step.receives:
                return None, -1
            return connection.receive(step.patience_s)
        except Closed:
            return self._closed(step), -1
        except Silent:
            self._closed(step)
            return "no answer in time", -1

    def _closed(self, step: Step) -> str:
        self._connections.pop(step.connection).close()
        return "closed"
