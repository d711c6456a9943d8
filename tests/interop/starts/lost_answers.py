"""A network that loses answers: what a producer has sent is stored, and it does not learn so.

A proxy in front of a broker of one worker, whose advertised.listeners name the proxy. It hands on
all there is, but of the answers to Produce requests every other one: instead, it closes both ends.
"""
from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading

PRODUCE = 0  # its API key


class LostAnswers(socketserver.ThreadingTCPServer):
    """Listens at `port` of loopback and connects to `broker_port`; `lost` counts."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, broker_port: int) -> None:
        super().__init__(("127.0.0.1", port), _Connection)
        self.broker_port = broker_port
        self.answers = self.lost = 0

    def __enter__(self) -> LostAnswers:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def loses(self) -> bool:
        """Whether the answer that has come now is lost."""
        self.answers += 1
        self.lost += self.answers % 2
        return self.answers % 2 == 1


class _Connection(socketserver.BaseRequestHandler):
    server: LostAnswers

    def handle(self) -> None:
        produces: set[int] = set()  # correlation ids of what is under way
        with socket.create_connection(("127.0.0.1", self.server.broker_port)) as broker:
            answers = threading.Thread(target=self._answers, args=(broker, produces))
            answers.start()
            with contextlib.suppress(OSError):
                while frame := _frame(self.request):
                    api_key, _, correlation_id = struct.unpack_from(">hhi", frame, 4)
                    if api_key == PRODUCE:
                        produces.add(correlation_id)
                    broker.sendall(frame)
            _shut(broker)
            answers.join()

    def _answers(self, broker: socket.socket, produces: set[int]) -> None:
        with contextlib.suppress(OSError):
            while frame := _frame(broker):
                (correlation_id,) = struct.unpack_from(">i", frame, 4)
                if correlation_id in produces and self.server.loses():
                    break
                self.request.sendall(frame)
        _shut(self.request)
        _shut(broker)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


def _frame(end: socket.socket) -> bytes:
    """The next frame with its size in front; nothing when the other side is done."""
    head = _exactly(end, 4)
    return head + _exactly(end, struct.unpack(">i", head)[0]) if head else b""


def _exactly(end: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        more = end.recv(size - len(found))
        if not more:
            return b""
        found += more
    return found
