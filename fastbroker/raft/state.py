"""What a voter must remember over a restart: Kafka's file `quorum-state`, one line of JSON.

    version 0   {"clusterId":"","leaderId":1,"leaderEpoch":2,"votedId":-1,"appliedOffset":0,
                 "currentVoters":[{"voterId":1}],"data_version":0}
    version 1   {"leaderId":1,"leaderEpoch":2,"votedId":-1,"votedDirectoryId":"...",
                 "data_version":1}

Version 0 belongs to kraft.version 0, which is what is written.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

NOBODY = -1


class UnsupportedState(ValueError):
    """A quorum-state of a version that is not known; the message says which."""


class QuorumState(NamedTuple):
    """The newest epoch seen, its leader and the candidate voted for in it; NOBODY if none."""

    epoch: int = 0
    leader_id: int = NOBODY
    voted_id: int = NOBODY

    def to_json(self, voters: Sequence[int]) -> str:
        """The file's text."""
        fields = {
            "clusterId": "",
            "leaderId": self.leader_id,
            "leaderEpoch": self.epoch,
            "votedId": self.voted_id,
            "appliedOffset": 0,
            "currentVoters": [{"voterId": voter} for voter in voters],
            "data_version": 0,
        }
        return json.dumps(fields, separators=(",", ":"))

    @staticmethod
    def from_json(text: str) -> QuorumState:
        """Raises ValueError for text that is no quorum-state, UnsupportedState for a newer one."""
        fields = json.loads(text)
        version = fields.get("data_version") if isinstance(fields, dict) else None
        if not isinstance(version, int):
            raise ValueError("it has no data_version")
        if version not in (0, 1):
            raise UnsupportedState(f"version {version}, this broker understands 0 and 1")
        epoch, leader, voted = (fields.get(n) for n in ("leaderEpoch", "leaderId", "votedId"))
        if not (isinstance(epoch, int) and isinstance(leader, int) and isinstance(voted, int)):
            raise ValueError("quorum-state: leaderEpoch, leaderId or votedId is not a number")
        return QuorumState(epoch, leader, voted)
