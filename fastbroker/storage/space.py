"""How much of the file system under a log directory is left, and who may still write.

    free bytes
    ------------- + a quarter   here clients write again
    min_free                    below: clients' records are refused; all else goes on
    reserved                    below: coordinators' records are refused, too
    0                           checkpoints, indexes and the controller's log have had the rest

Nothing here looks: numbers come in, a decision goes out. What is refused is refused with an error
that clients try again on, so that everything goes on by itself once there is space.
"""
from __future__ import annotations

import errno
from typing import NamedTuple

from fastbroker.errors import KafkaError, KafkaStorageError, NoSpaceLeft

SHARE, SHARE_MAX_BYTES = 20, 1 << 30  # the default: one part in 20, at most 1 GiB
RESERVED_SHARE = 4  # the default: one part in 4 of min_free
RELIEF_SHARE = 4  # clients write again once this part of min_free is free on top of it
# A write that was refused for one of these left everything as it was: the disk is not to blame.
LIMITS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
OUT_OF_FILES = frozenset({errno.EMFILE, errno.ENFILE})


class DiskFault(Exception):
    """A process may not go on, nor be started anew: its disk cannot be relied on."""


class Watermarks(NamedTuple):
    """Bytes that stay free; see above."""

    min_free: int
    reserved: int


def watermarks(total_bytes: int, *, min_free: int, reserved: int) -> Watermarks:
    """The watermarks for a file system of `total_bytes`; -1 stands for the default of either.

    The default grows with the file system, so that a small one, of a test or a container, is not
    taken up by it; and it ends at 1 GiB, where it is many seconds' worth of writing already.
    """
    if min_free < 0:
        min_free = min(total_bytes // SHARE, SHARE_MAX_BYTES)
    if reserved < 0:
        reserved = min_free // RESERVED_SHARE
    return Watermarks(min_free, min(reserved, min_free))


class Space:
    """The state of one log directory's file system. Owned by the broker's loop.

    is_short: clients may not write. is_exhausted: nor may coordinators. free_bytes: when last
    looked at.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.marks = Watermarks(0, 0)
        self.free_bytes = 0
        self.is_short = self.is_exhausted = False

    def update(self, free_bytes: int, marks: Watermarks) -> bool:
        """What is free now; whether `is_short` has changed."""
        self.free_bytes, self.marks = free_bytes, marks
        before = self.is_short
        relief = marks.min_free // RELIEF_SHARE if before else 0
        self.is_short = free_bytes < marks.min_free + relief
        relief = marks.reserved // RELIEF_SHARE if self.is_exhausted else 0
        self.is_exhausted = free_bytes < marks.reserved + relief
        return self.is_short != before

    def check_clients(self) -> None:
        """Raise NoSpaceLeft unless clients may write."""
        if self.is_short:
            raise NoSpaceLeft(
                f"{self.path} has {self.free_bytes} bytes free, records are refused below"
                f" {self.marks.min_free} (log.dir.min.free.bytes): free space there, or lower"
                " retention; it goes on by itself then"
            )

    def check_coordinators(self) -> None:
        """Raise NoSpaceLeft unless coordinators may write."""
        if self.is_exhausted:
            raise NoSpaceLeft(
                f"{self.path} has {self.free_bytes} bytes free, the last {self.marks.reserved} are"
                " kept for deleting (log.dir.reserved.bytes): free space there; it goes on by"
                " itself then"
            )


def refusal(path: str, doing: str, error: OSError) -> KafkaError:
    """What a client is told of a write at `path` that failed."""
    if error.errno in LIMITS:
        return NoSpaceLeft(
            f"{path}: {doing} failed: {error.strerror}: nothing was written; free space there, or"
            " raise the limit; it goes on by itself then"
        )
    if error.errno in OUT_OF_FILES:
        return KafkaStorageError(
            f"{path}: {doing} failed: {error.strerror}: raise the limit of open files"
            " (LimitNOFILE, ulimit -n)"
        )
    return KafkaStorageError(f"{path}: {doing} failed: {error}")


def is_fault(error: BaseException) -> bool:
    """Whether `error`, or what it came from, says that the disk cannot be relied on."""
    why = error if isinstance(error, OSError) else error.__cause__
    return isinstance(why, OSError) and why.errno not in LIMITS | OUT_OF_FILES


def is_passing(error: BaseException) -> bool:
    """Whether `error`, or what it came from, may be gone when it is tried again."""
    why = error if isinstance(error, OSError) else error.__cause__
    return isinstance(why, OSError) and why.errno in LIMITS | OUT_OF_FILES
