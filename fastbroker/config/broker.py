"""BrokerConfig: the broker's keys from a properties file and from overrides.

The file is Java's properties format, as far as server.properties files use it:

    line := '#' text | '!' text | key ('=' | ':' | ' ') value        '\\' at the end: goes on
"""
from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from types import MappingProxyType
from typing import Any, NamedTuple

from fastbroker.config.keys import CLUSTER_WIDE, KEYS, PROTOCOLS, RELOADABLE, SERVED_PROTOCOLS, Key
from fastbroker.config.topic import TOPIC_KEYS
from fastbroker.config.unserved import UNSERVED

FILE_MAX_BYTES = 1 << 20
ALL_ADDRESSES = ("", "0.0.0.0", "::")
_LISTENER = re.compile(
    r"(?P<name>[A-Za-z0-9_-]+)://(?:\[(?P<v6>[^\]]*)\]|(?P<host>[^:]*)):(?P<port>\d+)"
)
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


class ConfigError(Exception):
    """A configuration that nothing may start with; the message names key, place and remedy."""


class ListenerAddress(NamedTuple):
    """One entry of `listeners` or `advertised.listeners`; an empty host means all addresses."""

    name: str
    host: str
    port: int

    @property
    def reachable_host(self) -> str:
        """The host, or this one's own address when all addresses are meant."""
        return "127.0.0.1" if self.host in ALL_ADDRESSES else self.host

    def at(self, worker: int) -> ListenerAddress:
        """The same listener of worker `worker`."""
        return self._replace(port=self.port + worker)


class BrokerConfig:
    """The broker's values by Kafka's names: `config["num.partitions"]`.

    given: text of each key that was given at the start, by name.
    explicit: these, and keys changed at run time.
    notes: one line for each key that has no effect here, for the log.
    """

    def __init__(self, given: Mapping[str, str] | None = None) -> None:
        """From texts without a place; raises ConfigError."""
        self._set({name: (text, "") for name, text in (given or {}).items()})

    @classmethod
    def load(
        cls, path: str | PathLike[str] | None = None, overrides: Sequence[str] = ()
    ) -> BrokerConfig:
        """From a properties file, then `overrides` of the form key=value (from --set)."""
        given: dict[str, tuple[str, str]] = {}
        if path is not None:
            for name, text, line in _properties(path):
                given[name] = (text, f"{path}:{line}")
        for override in overrides:
            name, equals, text = override.partition("=")
            if not equals:
                raise ConfigError(f"--set {override}: expected key=value")
            given[name.strip()] = (text, "--set")
        config = cls.__new__(cls)
        config._set(given)
        return config

    def _set(self, given: Mapping[str, tuple[str, str]]) -> None:
        self._values: dict[str, Any] = {}
        self.notes: list[str] = []
        for name, (text, place) in given.items():
            key = _key(name, place)
            try:
                self._values[name] = key.kind.parse(text)
            except ValueError as error:
                raise ConfigError(f"{_where(place)}{name}={text}: {error}") from None
            if key.inert:
                self.notes.append(f"{_where(place)}{name} has no effect: {key.doc}")
        self.given: Mapping[str, str] = MappingProxyType(
            {name: text.strip() for name, (text, _) in given.items()}
        )
        self.explicit: Mapping[str, str] = self.given
        if self._values.get("broker.id", -1) >= 0 and "node.id" not in self._values:
            self._values["node.id"] = self._values["broker.id"]
        self._check({name: place for name, (_, place) in given.items()})

    def __getitem__(self, name: str) -> Any:
        value = self._values.get(name)
        return KEYS[name].default if value is None else value

    @property
    def node_id(self) -> int:
        return int(self["node.id"])

    @property
    def data_dir(self) -> str:
        dirs = self["log.dirs"]
        return str(dirs[0] if dirs else self["log.dir"])

    def listeners(self) -> list[ListenerAddress]:
        """Where worker 0 listens, without the controller's listeners."""
        unserved = set(self["controller.listener.names"])
        found = [_listener(text) for text in self["listeners"]]
        return [one for one in found if one is not None and one.name not in unserved]

    def advertised(self) -> dict[str, ListenerAddress]:
        """By listener name, what clients are told about worker 0; empty: what they reached."""
        found = [_listener(text) for text in self["advertised.listeners"] or ()]
        return {one.name: one for one in found if one is not None}

    def metrics_listener(self) -> tuple[str, int] | None:
        """(host, port) that /metrics is served at; None: it is not."""
        text = self["fastbroker.metrics.listener"]
        found = _listener(f"METRICS://{text}") if text else None
        return (found.host, found.port) if found is not None else None

    def protocol(self, listener: str) -> str:
        """The security protocol of a listener's name; KeyError for a name without one."""
        pairs = self["listener.security.protocol.map"].split(",")
        found = dict(pair.strip().split(":", 1) for pair in pairs if ":" in pair)
        return str(found[listener])

    def with_dynamic(self, overrides: Mapping[str, str]) -> BrokerConfig:
        """These values with cluster-wide ones changed at run time on top; others are left."""
        out = BrokerConfig.__new__(BrokerConfig)
        out._values, out.notes, out.given = dict(self._values), [], self.given
        texts = dict(self.explicit)
        for name, text in overrides.items():
            key = KEYS.get(name)
            if key is not None and key.scope == CLUSTER_WIDE:
                out._values[name] = key.kind.parse(text)
                texts[name] = text
        out.explicit = MappingProxyType(texts)
        return out

    def reloadable(self) -> dict[str, str]:
        """The texts that were given for keys that take effect when the file is read again."""
        return {name: text for name, text in self.given.items() if name in RELOADABLE}

    def reloaded(self, texts: Mapping[str, str]) -> BrokerConfig:
        """These values with `texts` in place of what was given for keys that can be reloaded."""
        kept = {name: text for name, text in self.given.items() if name not in RELOADABLE}
        return BrokerConfig({**kept, **{n: t for n, t in texts.items() if n in RELOADABLE}})

    def _check(self, places: Mapping[str, str]) -> None:
        """What single values cannot show."""

        def refuse(name: str, why: str) -> None:
            text = self.explicit.get(name, "")
            raise ConfigError(f"{_where(places.get(name, ''))}{name}={text}: {why}")

        for name in ("listeners", "advertised.listeners"):
            for text in self[name] or ():
                listener = _listener(text)
                if listener is None:
                    refuse(name, f"{text!r} is not of the form NAME://HOST:PORT")
                    continue
                try:
                    protocol = self.protocol(listener.name)
                except KeyError:
                    refuse(name, f"{listener.name} is not in listener.security.protocol.map")
                    continue
                if listener.name in self["controller.listener.names"]:
                    continue
                if protocol not in PROTOCOLS:
                    refuse(name, f"{listener.name} maps to {protocol}, which is no protocol")
                if protocol not in SERVED_PROTOCOLS:
                    refuse(name, f"{protocol} is not supported yet; use PLAINTEXT")
                if not 0 < listener.port <= 65535:
                    refuse(name, f"the port of {text!r} is not within 1..65535")
        metrics = self.metrics_listener()
        name = "fastbroker.metrics.listener"
        if self[name] and (metrics is None or not 0 < metrics[1] <= 65535):
            refuse(name, "expected HOST:PORT, as in 127.0.0.1:9404")
        if not self.listeners():
            refuse("listeners", "no listener for clients is left")
        if len(self["log.dirs"] or ()) > 1:
            refuse("log.dirs", "several directories are not supported yet; name one")
        if set(self["process.roles"]) != {"broker", "controller"}:
            refuse("process.roles", "a host runs broker and controller; leave it out")
        names = {listener.name for listener in self.listeners()}
        for name in self.advertised():
            if name not in names:
                refuse("advertised.listeners", f"{name} is not among listeners")


def _key(name: str, place: str) -> Key:
    """The row of `name`. Raises ConfigError."""
    key = KEYS.get(name)
    if key is not None:
        return key
    if name in UNSERVED:
        raise ConfigError(
            f"{_where(place)}{name}: Kafka has this key, but it is not supported yet; remove it"
        )
    if name in TOPIC_KEYS:
        synonym = TOPIC_KEYS[name].synonym
        remedy = f"the broker's key is {synonym}" if synonym else "set it on a topic"
        raise ConfigError(f"{_where(place)}{name} is a topic's key: {remedy}")
    from difflib import get_close_matches  # only whoever mistypes waits for it

    near = get_close_matches(name, KEYS, n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ConfigError(f"{_where(place)}unknown key {name!r}{hint}")


def _where(place: str) -> str:
    return f"{place}: " if place else ""


def _listener(text: str) -> ListenerAddress | None:
    found = _LISTENER.fullmatch(text.strip())
    if found is None:
        return None
    return ListenerAddress(found["name"], found["v6"] or found["host"] or "", int(found["port"]))


def _properties(path: str | PathLike[str]) -> Iterator[tuple[str, str, int]]:
    """(key, value, line number) of a properties file. Raises ConfigError."""
    try:
        with open(path, "rb") as file:
            raw = file.read(FILE_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    if len(raw) > FILE_MAX_BYTES:
        raise ConfigError(f"{path} is larger than {FILE_MAX_BYTES} bytes: not a properties file")
    try:
        lines = raw.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8") from None
    at = 0
    while at < len(lines):
        first, line = at + 1, lines[at].lstrip()
        at += 1
        if not line or line[0] in "#!":
            continue
        while _continues(line) and at < len(lines):
            line = line[:-1] + lines[at].lstrip()
            at += 1
        found = re.match(r"((?:\\.|[^=:\s\\])+)\s*[=:\s]?\s*(.*)", line)
        if found is None:
            raise ConfigError(f"{path}:{first}: expected key=value, found {line!r}")
        yield _unescape(found[1]), _unescape(found[2]), first


def _continues(line: str) -> bool:
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), text)
