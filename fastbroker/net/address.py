"""Addresses of both families, and the sockets that listen on them or connect to them.

An address is `(host, port)` for TCP or a path for a Unix socket. Paths may be longer than the 107
bytes that the kernel's sockaddr_un holds: such a socket is reached through its directory's fd,
/proc/self/fd/N/name.
"""
from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator

Address = tuple[str, int] | str

SUN_PATH_MAX = 107
BACKLOG = 1024
MAPPED = "::ffff:"  # before the dots of an IPv4 address (RFC 4291)


class AddressInUse(Exception):
    """Somebody else listens there; the message names the address and the remedy."""


def listen(
    address: Address, *, backlog: int = BACKLOG, option: str = "--port"
) -> socket.socket:
    """A non-blocking listening socket; a stale Unix socket file is replaced.

    option: by which another port is chosen, for the message.
    Raises AddressInUse, or OSError for an address this host does not have.
    """
    if isinstance(address, str):
        return _listen_unix(address, backlog)
    host, port = address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise AddressInUse(
                f"port {port} on {host or 'all addresses'} is in use by another process:"
                f" stop it, or choose another with {option}"
            ) from None
        raise
    return sock


def connecting(address: Address) -> tuple[socket.socket, Address]:
    """A non-blocking socket and the address to give to the loop's sock_connect (TCP only)."""
    assert not isinstance(address, str)
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock, address


def unmapped(address: tuple[str, int] | tuple[str, int, int, int]) -> tuple[str, int]:
    """(host, port) of a socket's address; an IPv4 host that came through an IPv6 socket as such."""
    host = address[0]
    if host.startswith(MAPPED) and "." in host:
        host = host[len(MAPPED) :]
    return host, address[1]


def connect_unix(path: str) -> socket.socket:
    """A connected, non-blocking Unix socket; connecting one never waits.

    Raises OSError when nobody listens or the listener's backlog is full.
    """
    sock = socket.socket(
        socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    )
    try:
        with _short(path) as short:
            sock.connect(short)
    except BaseException:
        sock.close()
        raise
    return sock


def _listen_unix(path: str, backlog: int) -> socket.socket:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    sock = socket.socket(
        socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    )
    try:
        with contextlib.suppress(FileNotFoundError):
            # Only one supervisor owns the directory (it holds the lock), so a file is stale.
            os.unlink(path)
        with _short(path) as short:
            sock.bind(short)
        os.chmod(path, 0o600)
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock


@contextlib.contextmanager
def _short(path: str) -> Iterator[str]:
    """A name for `path` that fits into a socket address, valid within the context."""
    if len(os.fsencode(path)) <= SUN_PATH_MAX:
        yield path
        return
    directory, name = os.path.split(path)
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{name}"
    finally:
        os.close(fd)
