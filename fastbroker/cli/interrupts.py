"""SIGINT and SIGTERM as KeyboardInterrupt, but not in the middle of what must not be torn."""
from __future__ import annotations

import signal


class Interrupts:
    """While `held` is set, the first signal only sets `asked`; a second one is raised at once."""

    def __init__(self) -> None:
        self.held = self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._arrived)

    def release(self) -> None:
        """End holding; raises KeyboardInterrupt if a signal came meanwhile."""
        self.held = False
        if self.asked:
            self.asked = False
            raise KeyboardInterrupt

    def _arrived(self, *_: object) -> None:
        if self.held and not self.asked:
            self.asked = True
        else:
            raise KeyboardInterrupt
