"""Lines about clients in the log: few for each of them, whatever they do."""
from __future__ import annotations

BURST = 10  # lines of one client at once
LINE_EVERY_S = 1.0  # and one more after so long
CLIENTS_MAX = 1000


class LogRate:
    """Whether a line about a client may be written. Owned by its listener.

    What was held back is counted, and told with the next line of that client that is written.
    """

    def __init__(self) -> None:
        self._clients: dict[str, _Bucket] = {}

    def allows(self, client: str, now_s: float) -> bool:
        """Whether to write a line about `client` now; `client`: its host."""
        bucket = self._clients.get(client)
        if bucket is None:
            if len(self._clients) >= CLIENTS_MAX:
                del self._clients[next(iter(self._clients))]  # the one known for longest
            bucket = self._clients[client] = _Bucket(now_s)
        return bucket.take(now_s)

    def held_back(self, client: str) -> int:
        """Lines about `client` that were not written since the last that was; forgets them."""
        bucket = self._clients.get(client)
        if bucket is None:
            return 0
        count, bucket.held_back = bucket.held_back, 0
        return count


class _Bucket:
    __slots__ = ("at", "held_back", "left")

    def __init__(self, now_s: float) -> None:
        self.left, self.at, self.held_back = float(BURST), now_s, 0

    def take(self, now_s: float) -> bool:
        self.left = min(BURST, self.left + (now_s - self.at) / LINE_EVERY_S)
        self.at = now_s
        if self.left < 1:
            self.held_back += 1
            return False
        self.left -= 1
        return True
