"""What systemd is told (sd_notify), and what it asks for. Without systemd nothing is done."""
from __future__ import annotations

import contextlib
import os
import socket
import time

MICROSECONDS = 1_000_000


def is_there() -> bool:
    """Whether systemd wants to hear from this process."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def watchdog_s() -> float:
    """WatchdogSec of the unit; 0: systemd does not watch this process."""
    text, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not is_there() or not text.isdigit() or (pid and pid != str(os.getpid())):
        return 0.0
    return int(text) / MICROSECONDS


def notify(*lines: str) -> None:
    """Tell systemd `lines`, as in READY=1. A full or missing socket is no reason to stop."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    address = "\0" + path[1:] if path[0] == "@" else path
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
    ):
        sock.setblocking(False)
        sock.sendto("\n".join(lines).encode(), address)


def reloading() -> str:
    """The lines that say that a reload begins; READY=1 says that it has ended."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"


def extend(seconds: float) -> str:
    """The line that asks for `seconds` more, from now, for what is under way."""
    return f"EXTEND_TIMEOUT_USEC={int(seconds * MICROSECONDS)}"
