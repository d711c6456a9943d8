"""What syncs files while the loop goes on; see _c.sync_thread.SyncThread."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from fastbroker.storage.journal import Frame


class Syncing(Protocol):
    """One round at a time; `done_fd` is readable once it has been run."""

    @property
    def done_fd(self) -> int: ...

    def begin(
        self, files: Sequence[tuple[int, int]], journal: int = -1, frames: Sequence[Frame] = ()
    ) -> None: ...

    def end(self) -> list[int]: ...

    def close(self) -> list[int]: ...
