"""The checkpoint of log starts: written from time to time, and before a start is promised."""
from __future__ import annotations

from asyncio import AbstractEventLoop, Future

from fastbroker.model import Deferred
from fastbroker.storage.log_dir import LogDir


class LogStarts:
    """Writes where logs begin, on a thread of the loop's executor; what asks while that is under
    way shares the next write. Owned by the worker's loop.

    Kafka answers DeleteRecords before it writes this, up to a minute later: what was deleted may
    come back with a crash. Here it does not; a request costs one small file, however many
    partitions it has. Bounded by the requests that connections may have in flight.
    """

    def __init__(self, loop: AbstractEventLoop, log_dir: LogDir) -> None:
        self.loop, self.log_dir = loop, log_dir
        self._waiting: list[Deferred[None]] = []
        self._is_writing = self._is_closed = False

    def close(self) -> None:
        """Nothing is begun any more."""
        self._is_closed = True

    def save(self) -> Deferred[None]:
        """Done when every start of now is on the medium; fails with the OSError."""
        saved: Deferred[None] = Deferred()
        self._waiting.append(saved)
        if not self._is_writing and not self._is_closed:
            self._begin()
        return saved

    def _begin(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._is_writing = True

        def written(future: Future[None]) -> None:
            error = future.exception()
            self._is_writing = False
            if self._waiting and not self._is_closed:
                self._begin()
            for saved in waiting:
                if error is None:
                    saved.complete(None)
                else:
                    saved.fail(error)

        self.loop.run_in_executor(None, self.log_dir.write_log_starts).add_done_callback(written)
