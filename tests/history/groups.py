"""A group's stored offsets: what was acknowledged last is what is told."""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tests.history.events import GroupCommit, History, Outcome
from tests.history.findings import Finding


def group_offsets(history: History) -> Iterator[Finding]:
    """Every offset that was fetched is that of a commit which no later one had replaced."""
    for group, answers in history.fetched.items():
        commits: dict[str, list[GroupCommit]] = defaultdict(list)
        for commit in history.commits[group]:
            if commit.outcome is not Outcome.FAIL:
                for partition in commit.offsets:
                    commits[partition].append(commit)
        for answer in answers:
            for partition, offset in answer.what.items():
                allowed = _allowed(commits[partition], partition, answer.asked, answer.at)
                if offset not in allowed:
                    what = f"{group} {partition}: {offset}, not one of {sorted(allowed)[:5]}"
                    yield Finding("group-offset-lost", what)


def _allowed(commits: Sequence[GroupCommit], partition: str, asked: int, told: int) -> set[int]:
    """What may be stored at some moment from `asked` to `told`; -1 for nothing."""
    settled = [c for c in commits if c.acked_at is not None and c.acked_at < asked]
    latest = max((c.at for c in settled), default=None)
    out = {-1} if latest is None else set()
    for commit in commits:
        replaced = (
            latest is not None
            and commit.outcome is Outcome.OK
            and commit.acked_at is not None
            and commit.acked_at < latest
        )
        if commit.at <= told and not replaced:
            out.add(commit.offsets[partition])
    return out
