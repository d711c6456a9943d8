"""Numbers with the units of Grafana's that the dashboard uses, told about as Grafana does."""
from __future__ import annotations

import math

SUFFIX = {"reqps": " req/s", "ops": " ops/s", "short": ""}
TIMES = ((86400.0, "day"), (3600.0, "hour"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))


def told(value: float, unit: str, decimals: int | None) -> str:
    """`value` in `unit`, short."""
    if unit == "percentunit":
        return f"{_number(value * 100, decimals)}%"
    if unit == "s":
        for scale, name in TIMES:
            if abs(value) >= scale:
                return f"{_number(value / scale, decimals)} {name}"
        return f"{_number(value, decimals)} s" if value == 0 else f"{value * 1e9:.0f} ns"
    size = 1024.0 if unit == "bytes" else 1000.0
    index = 0
    while abs(value) >= size and index < 4:
        value, index = value / size, index + 1
    letter = ("", "K", "M", "G", "T")[index]
    if unit == "bytes":
        return f"{_number(value, decimals)} {letter}{'i' if letter else ''}B"
    if unit == "Bps":
        return f"{_number(value, decimals)} {letter.lower() if letter == 'K' else letter}B/s"
    return f"{_number(value, decimals)} {letter}".rstrip() + SUFFIX[unit]


def step(top: float, unit: str) -> float:
    """The distance of an axis' lines: a round number, about four of them up to `top`."""
    scale = 1.0
    if unit == "bytes":
        scale = 1024.0 ** math.floor(math.log(max(top, 1), 1024))
    elif unit == "s":
        scale = next((one for one, _ in TIMES if top >= one), 1e-9)
    rough = top / scale / 4
    power = 10.0 ** math.floor(math.log10(rough))
    digits = next(digit for digit in (1, 2, 2.5, 5, 10) if rough <= digit * power * 1.0001)
    return digits * power * scale


def _number(value: float, decimals: int | None) -> str:
    if decimals is not None:
        return f"{value:.{decimals}f}"
    text = f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return text
