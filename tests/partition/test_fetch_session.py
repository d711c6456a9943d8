"""Sessions of incremental fetch (KIP-227)."""
from __future__ import annotations

from itertools import count
from types import SimpleNamespace

import pytest

from fastbroker.errors import (
    FetchSessionIdNotFound,
    FetchSessionTopicIdError,
    InvalidFetchSessionEpoch,
)
from fastbroker.partition.fetch_session import (
    EPOCH_MAX,
    IDLE_MS,
    FetchSession,
    FetchSessions,
    Key,
    SessionPartition,
)


def asked(*numbers: int, offset: int = 0) -> list[tuple[Key, SessionPartition]]:
    wanted = SimpleNamespace(fetch_offset=offset)
    return [(("t", n), SessionPartition("t", bytes(16), n, wanted)) for n in numbers]


def begun(sessions: FetchSessions, *numbers: int, now_ms: int = 0) -> FetchSession:
    session = sessions.begin(len(numbers), by_id=False, now_ms=now_ms)
    assert session is not None
    session.update(asked(*numbers), ())
    return session


def sessions(slots: int = 10) -> FetchSessions:
    ids = count(1)
    return FetchSessions(slots, lambda: next(ids))


def order(session: FetchSession) -> list[int]:
    return [number for _, number in session.partitions]


def test_a_session_goes_on_with_the_epoch_after_its_last() -> None:
    all_of_them = sessions()
    session = begun(all_of_them, 0, 1)
    for epoch in (1, 2, 3):
        same = all_of_them.go_on(session.id, epoch, (), (), by_id=False, now_ms=0)
        assert same is session
        assert session.epoch == epoch + 1
    with pytest.raises(InvalidFetchSessionEpoch, match="expects epoch 4, not 3"):
        all_of_them.go_on(session.id, 3, (), (), by_id=False, now_ms=0)
    with pytest.raises(FetchSessionIdNotFound):
        all_of_them.go_on(77, 1, (), (), by_id=False, now_ms=0)


def test_epochs_wrap_to_one() -> None:
    all_of_them = sessions()
    session = begun(all_of_them, 0)
    session.epoch = EPOCH_MAX
    all_of_them.go_on(session.id, EPOCH_MAX, (), (), by_id=False, now_ms=0)
    assert session.epoch == 1


def test_names_and_ids_do_not_mix() -> None:
    all_of_them = sessions()
    session = begun(all_of_them, 0)
    with pytest.raises(FetchSessionTopicIdError):
        all_of_them.go_on(session.id, 1, (), (), by_id=True, now_ms=0)
    assert session.epoch == 1, "an error changes nothing"


def test_partitions_are_added_changed_and_forgotten() -> None:
    all_of_them = sessions()
    session = begun(all_of_them, 0, 1, 2)
    session.partitions["t", 1].high_watermark = 7
    changes = asked(1, 3, offset=5)
    all_of_them.go_on(session.id, 1, changes, [("t", 0), ("t", 9)], by_id=False, now_ms=0)
    assert order(session) == [1, 2, 3]
    changed = session.partitions["t", 1]
    assert changed.asked.fetch_offset == 5
    assert changed.high_watermark == 7, "what the client was told is still known"


def test_what_was_answered_goes_to_the_end() -> None:
    session = begun(sessions(), 0, 1, 2)
    session.answered(("t", 0))
    assert order(session) == [1, 2, 0]
    session.answered(("t", 9))
    assert order(session) == [1, 2, 0], "forgotten while its answer was waited for"


def test_a_session_without_partitions_ends() -> None:
    all_of_them = sessions()
    session = begun(all_of_them, 0)
    forgotten: list[Key] = [("t", 0)]
    assert all_of_them.go_on(session.id, 1, (), forgotten, by_id=False, now_ms=0) is None
    assert not all_of_them.sessions


def test_without_slots_there_is_no_session() -> None:
    assert sessions(0).begin(1, by_id=False, now_ms=0) is None
    assert sessions().begin(0, by_id=False, now_ms=0) is not None, "as Kafka does"


def test_ids_are_not_used_twice() -> None:
    ids = iter([0, 4, 4, 5])
    all_of_them = FetchSessions(3, lambda: next(ids))
    assert [begun(all_of_them, 0).id, begun(all_of_them, 0).id] == [4, 5]


def test_an_idle_session_gives_way() -> None:
    all_of_them = sessions(2)
    first, second = begun(all_of_them, 0), begun(all_of_them, 0)
    all_of_them.go_on(first.id, 1, (), (), by_id=False, now_ms=IDLE_MS)
    third = begun(all_of_them, 0, now_ms=IDLE_MS + 1)
    assert set(all_of_them.sessions) == {first.id, third.id}, second.id


def test_an_old_smaller_session_gives_way_and_a_young_one_does_not() -> None:
    all_of_them = sessions(2)
    small, large = begun(all_of_them, 0), begun(all_of_them, 0, 1, 2)
    for now_ms, epoch in [(60_000, 1), (110_000, 2)]:
        for session in (small, large):
            all_of_them.go_on(session.id, epoch, (), (), by_id=False, now_ms=now_ms)
        assert all_of_them.begin(2, by_id=False, now_ms=now_ms) is None
    now_ms = IDLE_MS + 1
    assert all_of_them.begin(1, by_id=False, now_ms=now_ms) is None, "no larger than the smallest"
    assert all_of_them.begin(2, by_id=False, now_ms=now_ms) is not None
    assert large.id in all_of_them.sessions
    assert small.id not in all_of_them.sessions
