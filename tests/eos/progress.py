"""How far the pipelines have come, from their journals as they grow."""
from __future__ import annotations

import json
import pathlib
from collections import Counter


class Progress:
    """`committed[p]`: the offset up to which the input's partition p is copied for sure."""

    def __init__(self, folder: pathlib.Path, partitions: int) -> None:
        self.folder = folder
        self.committed = [0] * partitions
        self.events: Counter[str] = Counter()
        self._read: dict[pathlib.Path, int] = {}
        self._offsets: dict[str, dict[str, int]] = {}

    def update(self) -> None:
        """Read what was written since the last time."""
        for path in self.folder.glob("*.jsonl"):
            at = self._read.get(path, 0)
            if path.stat().st_size == at:
                continue
            with open(path, "rb") as file:
                file.seek(at)
                whole, _, _ = file.read().rpartition(b"\n")
            if whole:
                self._read[path] = at + len(whole) + 1
                for line in whole.split(b"\n"):
                    self._take(line)

    def passed(self, marks: list[int]) -> bool:
        """Whether everything below `marks` is copied, for each partition."""
        self.update()
        return all(at >= mark for at, mark in zip(self.committed, marks, strict=True))

    def _take(self, line: bytes) -> None:
        if b'"poll"' in line or b'"send"' in line or b'"sent"' in line:
            return  # the most of them, and of no interest here
        event = json.loads(line)
        self.events[event["event"]] += 1
        if event["event"] == "offsets":
            self._offsets[event["txn"]] = event["offsets"]
        elif event["event"] == "committed":
            for name, offset in self._offsets.pop(event["txn"]).items():
                partition = int(name.rpartition("/")[2])
                self.committed[partition] = max(self.committed[partition], offset)
