"""Sockets and frames: who connects, what may be in flight, how processes call each other.

    listener.py   accepts on one address; knows its connections; closes idle ones
    client.py     a process's calls to another broker or controller, over one connection
    answering.py  questions of other processes of the host, at a Unix socket of each
    loop_delay.py how late the event loop is
    address.py    TCP and Unix addresses, listening and connecting sockets

The connection itself is C (`fastbroker._c.connection`): it splits frames and keeps answers in
order. What a frame means is decided by the `dispatch` that is passed in; this floor never imports
handlers.

Invariants
- A stranger costs no memory before bytes arrive, and at most what `socket.request.max.bytes` and
  the process-wide limit of receive buffers allow after that.
- Every closed connection has a reason; closings that are not the peer's own are logged.
- Nothing is dropped to save memory: reading stops instead. But while receive memory is short, a
  large frame that takes longer than SLOW_FRAME_S loses its connection.

Not done: TLS; per-address connection limits and rates.

Non-obvious: uvloop watches raw fds, so a connection removes its reader and writer before it closes
the fd; the number may be reused by the very next accept.
"""
