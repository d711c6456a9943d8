"""Restarts, as another process sees them."""
from __future__ import annotations

import os

from fastbroker.supervisor.restarts import Restarts


def test_a_process_forked_before_sees_what_is_added_later() -> None:
    restarts = Restarts(["controller", "worker-0"])
    go, added = os.pipe()
    back, said = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(go, 1)
        os.write(said, repr(restarts.counts()).encode())
        os._exit(0)
    restarts.add("worker-0")
    restarts.add("worker-0")
    os.write(added, b"1")
    assert os.read(back, 100) == b"{'controller': 0, 'worker-0': 2}"
    os.waitpid(pid, 0)
    for fd in go, added, back, said:
        os.close(fd)
