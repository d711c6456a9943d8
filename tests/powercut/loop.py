"""ext4 on a file by way of a loop device, with the system calls alone.

    ioctl(/dev/loop-control, GET_FREE) -> N
    ioctl(/dev/loopN, CONFIGURE, config)
    config := fd:u32 block_size:u32 info:loop_info64 reserved:u64[8]         (linux/loop.h)

A loop device frees itself at its last close: the mount of it is the only holder.
"""
from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator

CONFIGURE, GET_FREE = 0x4C0A, 0x4C82
AUTOCLEAR = 4
TRIES = 100
MNT_DETACH, CLONE_NEWNS = 2, 0x20000
_CONFIG = struct.Struct("<II5Q4I64s64s32s2Q64x")
_LIBC = ctypes.CDLL(None, use_errno=True)


def make_file_system(path: str, size: int, *, inodes: int) -> None:
    """An empty ext4 in a sparse file at `path`."""
    with open(path, "wb") as file:
        file.truncate(size)
    subprocess.run(
        ["mkfs.ext4", "-q", "-F", "-N", str(inodes), "-m", "0", "-J", "size=8", "-E",
         "nodiscard,lazy_itable_init=0,lazy_journal_init=1", path],
        check=True,
    )  # fmt: skip


@contextlib.contextmanager
def mounted(path: str, target: str) -> Iterator[None]:
    """The file system in the file `path`, mounted at `target` as a disk that has a cache."""
    device, fd = _attach(path)
    try:
        if _LIBC.mount(device.encode(), target.encode(), b"ext4", 0, b""):
            _fail(f"mounting {path}", Unmountable)
    finally:
        os.close(fd)
    try:
        yield
    finally:
        if _LIBC.umount2(target.encode(), 0):
            _fail(f"unmounting {path}")


def mount_ram(target: str) -> None:
    """A file system in memory at `target`."""
    if _LIBC.mount(b"ram", target.encode(), b"tmpfs", 0, b""):
        _fail("mounting tmpfs")


def unmount(target: str) -> None:
    """Take `target` away, whatever still holds it."""
    if _LIBC.umount2(target.encode(), MNT_DETACH):
        _fail(f"unmounting {target}")


def own_mounts() -> None:
    """From here on, what this process mounts and unmounts is its own business."""
    if _LIBC.unshare(CLONE_NEWNS):
        _fail("unsharing mounts")


def _attach(path: str) -> tuple[str, int]:
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        for _ in range(TRIES):
            control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
            device = f"/dev/loop{fcntl.ioctl(control, GET_FREE)}"
            os.close(control)
            fd = os.open(device, os.O_RDWR | os.O_CLOEXEC)
            info = _CONFIG.pack(file, 0, *[0] * 5, 0, 0, 0, AUTOCLEAR, b"", b"", b"", 0, 0)
            try:
                fcntl.ioctl(fd, CONFIGURE, info)
                return device, fd
            except OSError as error:
                os.close(fd)
                if error.errno != errno.EBUSY:  # somebody else was faster
                    raise
        raise OSError(errno.EBUSY, "no loop device is free", path)
    finally:
        os.close(file)


class Unmountable(OSError):
    """There is no file system any more."""


def _fail(what: str, kind: type[OSError] = OSError) -> None:
    number = ctypes.get_errno()
    raise kind(number, f"{what}: {os.strerror(number)}")
