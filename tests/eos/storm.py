"""A storm of faults over a broker and the instances of a program, and the recovery from each."""
from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.broker_process import wait_until
from tests.eos.brokers import Broker
from tests.eos.faults import Fault, schedule
from tests.eos.inputs import Inputs
from tests.eos.instances import Instance, Life

RECOVERY_S, SEEN_OFF_S = 60.0, 3.0


@dataclass
class Storm:
    """Plays a schedule. `passed(marks)`: whether all below these input offsets has its effect.

    owned: a frozen instance is replaced at once, as nobody else takes its partitions.
    """

    broker: Broker
    instances: Sequence[Instance]
    inputs: Inputs
    passed: Callable[[list[int]], bool]
    seed: int
    owned: bool = False
    struck: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, str] = (0.0, "")

    def play(self, count: int) -> None:
        """`count` faults, each printed with the time after which inputs have effects again."""
        plan = schedule(
            random.Random(self.seed), count, len(self.instances), self.broker.targets
        )  # fmt: skip
        for number, fault in enumerate(plan, 1):
            self._fault(number, fault)

    def wait(self, condition: Callable[[], bool], deadline_s: float, what: str) -> None:
        """Until `condition()`; fenced instances are started again. AssertionError with all said."""

        def now() -> bool:
            for instance in self.instances:
                instance.look()
            time.sleep(0.02)
            return condition()

        try:
            wait_until(now, deadline_s, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self._state()}") from None

    def told(self) -> str:
        """The faults by kind and what became of instances."""
        kinds = ", ".join(f"{kind} {times}" for kind, times in sorted(self.struck.items()))
        return (
            f"seed {self.seed}, {sum(self.struck.values())} faults ({kinds}),"
            f" {sum(one.fenced for one in self.instances)} fenced,"
            f" {sum(one.stuck for one in self.instances)} stuck,"
            f" slowest recovery {self.slowest[0]:.1f} s ({self.slowest[1]})"
        )

    def _state(self) -> str:
        lines = [f"acknowledged inputs up to {self.inputs.acked}"]
        for instance in self.instances:
            for life in [instance.life, *instance.zombies]:
                if life is not None:
                    lines.append(f"{life.name} says:\n{life.last_words()}")
        return "\n".join([*lines, "the broker says:", self.broker.last_words()])

    def _marks(self) -> list[int]:
        """What is passed only by an input that is not there yet."""
        return [at + 1 for at in self.inputs.acked]

    def _fault(self, number: int, fault: Fault) -> None:
        time.sleep(fault.wait_s if fault.alone else fault.wait_s / 10)
        instance = self.instances[fault.instance]
        instance.look()
        self.struck[fault.kind] += 1
        begun, marks = time.monotonic(), self._marks()
        zombie: Life | None = None
        if fault.kind == "kill":
            said = f"{instance.kill()}, for {fault.lasts_s:.1f} s"
            time.sleep(fault.lasts_s)
            begun, marks = time.monotonic(), self._marks()
            instance.start()
        elif "zombie" in fault.kind:
            zombie = instance.freeze()
            said = f"{zombie.name} stands still for {fault.lasts_s:.1f} s"
            if fault.kind == "replaced zombie" or self.owned:
                instance.start()
        else:
            said = self.broker.strike(fault.kind)
            marks = self._marks()
        self._recovered(fault, begun, marks)
        took = time.monotonic() - begun
        if zombie is not None:
            time.sleep(max(0.0, fault.lasts_s - took))
            instance.thaw(zombie, take_back=instance.life is None)
            self._recovered(fault, time.monotonic(), self._marks())
            self._see_off(instance, zombie)
        who = f"copy{fault.instance}" if zombie or fault.kind == "kill" else "broker"
        print(f"{number:4} {fault.kind:16} {who:8} effects after {took:5.1f} s  {said}", flush=True)

    def _recovered(self, fault: Fault, begun: float, marks: list[int]) -> None:
        """An input that came after the fault has its effect, for each partition."""
        self.wait(lambda: self.passed(marks), RECOVERY_S, f"effects after {fault}")
        self.slowest = max(self.slowest, (time.monotonic() - begun, fault.kind))

    def _see_off(self, instance: Instance, zombie: Life) -> None:
        """A zombie whose place is another's has some time to be fenced; then it is killed."""
        end = time.monotonic() + SEEN_OFF_S
        while zombie in instance.zombies and time.monotonic() < end:
            instance.look()
            time.sleep(0.02)
        instance.bury()
