"""A file system of one kind of file, each a disk, served over /dev/fuse without any library.

    request  := len:u32 opcode:u32 unique:u64 node:u64 uid:u32 gid:u32 pid:u32 ext:u16 pad:u16 body
    response := len:u32 error:i32 unique:u64 body          (linux/fuse.h, protocol 7.31)

Any decimal name is a file: `7` is node 7 + FIRST_NODE. The kernel caches what it reads by node, so
that a disk with other content needs another name. Only root can mount it.
"""
from __future__ import annotations

import ctypes
import errno
import os
import stat
from struct import Struct as Layout
from typing import Protocol

MAX_WRITE = 1 << 20
ROOT, FIRST_NODE = 1, 2
FOREVER_S = 1 << 30
LOOKUP, FORGET, GETATTR, SETATTR, OPEN, READ, WRITE, RELEASE = 1, 2, 3, 4, 14, 15, 16, 18
FSYNC, FLUSH, INIT, OPENDIR, RELEASEDIR, INTERRUPT, DESTROY, BATCH_FORGET = (
    20, 25, 26, 27, 29, 36, 38, 42,
)  # fmt: skip
BIG_WRITES, MAX_PAGES = 1 << 5, 1 << 22
_HEAD = Layout("<IIQQIIIHH")
_ANSWER = Layout("<IiQ")
_INIT = Layout("<IIIIHHIIHHI28x")
_ATTRIBUTES = Layout("<6Q10I")
_RANGE = Layout("<QQIIQII")  # of READ and WRITE: fh, offset, size, ...
_OPENED = Layout("<QII")
_ENTRY = Layout("<QQQQII")
_VALID = Layout("<QII")
_NO_ANSWER = {FORGET, BATCH_FORGET, INTERRUPT}


class Device(Protocol):
    """What is behind the files."""

    size: int

    def appear(self, disk: int) -> None:
        """Its name was looked up: reads and writes may follow."""

    def read(self, disk: int, offset: int, size: int) -> bytes: ...

    def write(self, disk: int, offset: int, data: memoryview) -> None: ...

    def flush(self, disk: int) -> None:
        """Everything that was written is safe when this returns."""


def mount(target: str) -> int:
    """Mount it at `target`; the descriptor that `serve` takes."""
    fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={fd},rootmode=40000,user_id=0,group_id=0,max_read={MAX_WRITE}"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"disks", target.encode(), b"fuse", 0, options.encode()):
        number = ctypes.get_errno()
        raise OSError(number, f"mounting FUSE: {os.strerror(number)}", target)
    return fd


def serve(fd: int, device: Device) -> None:
    """Answer until it is unmounted; one request after the other, in the kernel's order."""
    buffer = bytearray(MAX_WRITE + 4096)
    view = memoryview(buffer)
    while True:
        try:
            size = os.readv(fd, [buffer])
        except OSError as error:
            if error.errno == errno.ENODEV:
                return  # unmounted
            if error.errno in (errno.EINTR, errno.ENOENT):
                continue
            raise
        _, opcode, unique, node, *_ = _HEAD.unpack_from(buffer)
        if opcode in _NO_ANSWER:
            continue
        try:
            body, error_number = _answer(device, opcode, node, view[_HEAD.size : size]), 0
        except OSError as error:
            body, error_number = b"", error.errno or errno.EIO
        head = _ANSWER.pack(_ANSWER.size + len(body), -error_number, unique)
        try:
            os.writev(fd, [head, body])
        except FileNotFoundError:
            continue  # whoever asked was killed, and the question is forgotten


def _answer(device: Device, opcode: int, node: int, body: memoryview) -> bytes:
    if opcode == WRITE:
        _, offset, size, *_ = _RANGE.unpack_from(body)
        device.write(node - FIRST_NODE, offset, body[_RANGE.size : _RANGE.size + size])
        return size.to_bytes(8, "little")
    if opcode == READ:
        _, offset, size, *_ = _RANGE.unpack_from(body)
        return device.read(node - FIRST_NODE, offset, size)
    if opcode == FSYNC:
        device.flush(node - FIRST_NODE)
        return b""
    if opcode == LOOKUP:
        name = bytes(body).rstrip(b"\0").decode()
        if not name.isdigit():
            raise OSError(errno.ENOENT, name)
        device.appear(int(name))
        found = int(name) + FIRST_NODE
        return _ENTRY.pack(found, 0, FOREVER_S, FOREVER_S, 0, 0) + _attributes(device, found)
    if opcode in (GETATTR, SETATTR):
        return _VALID.pack(FOREVER_S, 0, 0) + _attributes(device, node)
    if opcode == INIT:
        return _INIT.pack(
            7, 31, MAX_WRITE, BIG_WRITES | MAX_PAGES, 16, 12, MAX_WRITE, 1, MAX_WRITE // 4096, 0, 0
        )
    if opcode in (OPEN, OPENDIR):
        return _OPENED.pack(0, 0, 0)
    if opcode in (RELEASE, RELEASEDIR, FLUSH, DESTROY):
        return b""
    raise OSError(errno.ENOSYS, f"opcode {opcode}")


def _attributes(device: Device, node: int) -> bytes:
    if node == ROOT:
        return _ATTRIBUTES.pack(node, *[0] * 8, stat.S_IFDIR | 0o755, 2, *[0] * 5)
    size, mode = device.size, stat.S_IFREG | 0o600
    return _ATTRIBUTES.pack(node, size, size // 512, *[0] * 6, mode, 1, 0, 0, 0, 4096, 0)
