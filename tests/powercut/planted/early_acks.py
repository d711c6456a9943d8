"""A broker that acknowledges what it has written, and syncs it afterwards."""
from __future__ import annotations

from fastbroker.cli.main import main
from fastbroker.partition.partition import Partition

_right = Partition._appended


def _appended(self: Partition) -> None:
    _right(self)
    self.log.unflushed.flushed_offset = self.log.log_end_offset
    self._advance()


Partition._appended = _appended  # type: ignore[method-assign]

if __name__ == "__main__":
    main()
