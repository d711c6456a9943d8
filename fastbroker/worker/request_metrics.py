"""Requests by API, version and stage, put into words."""
from __future__ import annotations

from collections import defaultdict

from fastbroker._c.meter import Meter, all_meters, stage_of
from fastbroker.errors import of
from fastbroker.metrics import catalogue as c
from fastbroker.metrics.samples import Samples
from fastbroker.metrics.stages import Stage
from fastbroker.protocol.api import NAMES, api
from fastbroker.protocol.schema import plan


def add_requests(samples: Samples) -> None:
    """Add what the meters of this process have counted; an API that nobody used has no samples."""
    by_key: dict[int, list[Meter]] = defaultdict(list)
    for meter in all_meters():
        if meter.requests:
            by_key[meter.key].append(meter)
    for key, meters in by_key.items():
        name = NAMES[key]
        for meter in meters:
            samples.value(c.REQUESTS, meter.requests, request=name, version=meter.version)
        samples.value(c.REQUEST_BYTES, sum([one.request_bytes for one in meters]), request=name)
        samples.value(c.RESPONSE_BYTES, sum([one.response_bytes for one in meters]), request=name)
        for error, count in _errors(meters).items():
            samples.value(c.ERRORS, count, request=name, error=error)
        _add_stages(samples, name, meters)


def _errors(meters: list[Meter]) -> dict[str, int]:
    """Errors of the answers to one API, and how often. Codes that are not known have one name."""
    found: dict[str, int] = defaultdict(int)
    for meter in meters:
        counted = plan(api(meter.key).response, meter.version).errors
        for code, count in (counted or {}).items():
            found[of(code).name] += count
    return found


def _add_stages(samples: Samples, name: str, meters: list[Meter]) -> None:
    has_flushed = False
    for stage in Stage:
        counts, total = stage_of(meters, stage)
        if any(counts):
            has_flushed = has_flushed or stage is Stage.FLUSH
            text = stage.name.lower()
            samples.histogram(c.STAGE, counts, total / 1e9, request=name, stage=text)
        elif stage is Stage.REPLICATE and has_flushed:
            # Whatever was flushed has been on all replicas at once: there is this one.
            flushed, _ = stage_of(meters, Stage.FLUSH)
            samples.histogram(c.STAGE, _at_once(flushed), 0.0, request=name, stage="replicate")


def _at_once(counts: bytes) -> bytes:
    """As many observations, all of them in the first bucket."""
    numbers = memoryview(counts).cast("q")
    out = bytearray(len(counts))
    memoryview(out).cast("q")[0] = sum(numbers)
    return bytes(out)
