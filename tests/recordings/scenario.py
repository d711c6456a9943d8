"""What a scenario is made of: a decorated generator of steps, once for each version it is for.

    @scenario(HeartbeatRequest)
    def unknown_member(s: Scene) -> Steps:
        answer = yield s.ask("no such member", HeartbeatRequest, group_id=s.name("g"), ...)
"""
from __future__ import annotations

import fnmatch
import importlib
import pkgutil
from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple

from fastbroker._c.codec import Kind
from fastbroker.protocol.api import api, snake_case
from fastbroker.protocol.schema import Struct, is_in


class Step(NamedTuple):
    """One thing to do: send a request, read an answer, or both.

    label: what it is called in the recording; None: done, but not recorded.
    until: asked again until this is true of the answer, for what takes effect a little later.
    raw: the whole frame without its size, instead of a request.
    keep: the fields of the answer that are recorded; none: all.
    patience_s: how long an answer is waited for.
    only: keeps of lists of topics or groups in the answer those whose names begin with it.
    """

    label: str | None
    request: Struct | None
    version: int
    connection: str = "main"
    sends: bool = True
    receives: bool = True
    until: Callable[[Any], bool] | None = None
    raw: bytes | None = None
    raw_answer: type[Struct] | None = None
    only: str | None = None
    keep: tuple[str, ...] = ()
    client_id: str | None = "recorder"
    patience_s: float = 12.0


Steps = Generator[Step, Any, Any]


class Scenario(NamedTuple):
    """One function at one version; `group` is the file of its recording."""

    group: str
    name: str
    version: int
    run: Callable[[Scene], Steps]


class Scene:
    """What a scenario function gets: its version, names of its own, and makers of steps."""

    def __init__(self, played: Scenario) -> None:
        self.version = played.version
        self.prefix = f"{played.group}-{played.name}".replace(" ", "-").replace(".", "-")

    def name(self, word: str) -> str:
        """A topic's or group's name that no other scenario has."""
        return f"{self.prefix}-{word}"

    def ask(self, label: str | None, request: type[Struct], /, **fields: Any) -> Step:
        """Send a request at the scenario's version and read the answer. `at` is another version;
        nested structs may be given as dicts; fields that the version lacks are left out."""
        at = fields.pop("at", self.version)
        how = {k: fields.pop(k) for k in Step._fields if k in fields and k not in request.FIELDS}
        return Step(label, make(request, fields), at, **how)

    def send(self, label: str | None, request: type[Struct], /, **fields: Any) -> Step:
        """Send only; `receive` on the same connection reads the answer."""
        return self.ask(label, request, receives=False, **fields)

    def receive(self, label: str | None, connection: str) -> Step:
        """Read the answer to the oldest request that was only sent."""
        return Step(label, None, -1, connection, sends=False)

    def raw(self, label: str, frame: bytes, answer: type[Struct] | None = None, **how: Any) -> Step:
        """Send bytes as a frame; read the answer as class `answer` at version `at`."""
        at = how.pop("at", 0)
        return Step(label, None, at, raw=frame, raw_answer=answer, **how)


def make(cls: type[Struct], fields: dict[str, Any]) -> Struct:
    """A message from keyword fields in which structs may be dicts."""
    values = {}
    for name, value in fields.items():
        field = cls.FIELDS[name]
        if field.kind == Kind.STRUCT and isinstance(value, dict):
            value = make(field.item, value)
        elif field.kind == Kind.ARRAY and value is not None:
            value = [make(field.item, v) if isinstance(v, dict) else v for v in value]
        values[name] = value
    return cls(**values)


def has(cls: type[Struct], field: str, version: int) -> bool:
    """Whether the message carries the field at `version`."""
    return is_in(version, cls.FIELDS[field].on_wire)


def three_versions(request: type[Struct]) -> tuple[int, ...]:
    """The lowest, the middle and the highest stable version."""
    kind = api(request.KEY)
    middle = (kind.first + kind.last_stable) // 2
    return tuple(sorted({kind.first, middle, kind.last_stable}))


SCENARIOS: list[Scenario] = []


def scenario(
    request: type[Struct], *, versions: tuple[int, ...] | None = None, group: str | None = None
) -> Callable[[Callable[[Scene], Steps]], Callable[[Scene], Steps]]:
    """Register the function for each of `versions` (default: three) of the API of `request`."""

    def register(function: Callable[[Scene], Steps]) -> Callable[[Scene], Steps]:
        file = group or snake_case(api(request.KEY).name)
        for version in versions if versions is not None else three_versions(request):
            name = f"{function.__name__} v{version}"
            SCENARIOS.append(Scenario(file, name, version, function))
        return function

    return register


def scenarios(pattern: str = "*") -> Iterator[Scenario]:
    """All scenarios whose `group/name` matches, in the order of their files."""
    from tests.recordings import scenarios as package

    for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
        importlib.import_module(f"{package.__name__}.{module}")
    for one in SCENARIOS:
        if fnmatch.fnmatch(f"{one.group}/{one.name}", pattern):
            yield one
