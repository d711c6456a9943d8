"""Subscriptions by regular expression."""
from __future__ import annotations

import pytest

from fastbroker import errors
from fastbroker.group.consumer import regex
from tests.group.consumer.bench import ConsumerBench


def names(owned: set[tuple[str, int]]) -> set[str]:
    return {name for name, _ in owned}


def test_a_whole_name_has_to_match() -> None:
    assert regex.matching("or.*", ["orders", "floors"]) == {"orders"}
    assert regex.matching("o", ["orders"]) == frozenset()
    assert regex.matching(r"\p{Greek}+|[[:alpha:]]+", ["λ", "abc", "a1"]) == {"λ", "abc"}


@pytest.mark.parametrize("wrong", ["(", "a{2,1}", r"(?=a)b", r"(a)\1", "[z-a]"])
def test_what_re2_cannot_do_is_refused(wrong: str) -> None:
    bench = ConsumerBench()
    refused = bench.join_as("m1", subscribed_topic_regex=wrong)
    assert refused.error_code == errors.InvalidRegularExpression.code
    assert repr(wrong) in refused.error_message
    assert "RE2" in refused.error_message
    assert not bench.log.partitions
    assert bench.describe_consumers().error_code == errors.GroupIdNotFound.code


def test_the_first_answer_has_what_matches_now() -> None:
    bench = ConsumerBench()
    one = bench.consumer("m1", regex="(orders|click.*)")
    one.join()
    assert names(one.owned) == {"orders", "clicks"}
    described = bench.describe_consumers().members[0]
    assert described.subscribed_topic_regex == "(orders|click.*)"
    assert described.subscribed_topic_names == []


def test_topics_that_come_and_go_are_followed() -> None:
    bench = ConsumerBench()
    one, other = bench.consumer("m1", regex="o.*"), bench.consumer("m2", "clicks", group_id="h")
    one.join()
    other.join()
    epoch = bench.consumer_group().epoch
    bench.topics_change(xyz=3)
    bench.timers.advance(50)
    one.beat()
    assert bench.consumer_group().epoch == epoch, "it does not match"
    bench.topics_change(oak=2)
    one.beat()
    bench.settle(one)
    assert names(one.owned) == {"orders", "oak"}
    bench.topics_change(orders=0)
    bench.settle(one)
    assert names(one.owned) == {"oak"}
    bench.topics_change(oak=5)
    bench.settle(one)
    assert len(one.owned) == 5
    assert bench.consumer_group("h").epoch == 2


def test_a_regex_and_names_together() -> None:
    bench = ConsumerBench()
    bench.join_as("m1", subscribed_topic_names=["clicks"], subscribed_topic_regex="ord.*")
    group = bench.consumer_group()
    assert group.topic_names() == {"clicks", "orders"}


def test_a_regex_that_nobody_has_any_more_is_forgotten() -> None:
    bench = ConsumerBench()
    one, two = bench.consumer("m1", regex="ord.*"), bench.consumer("m2", regex="cl.*")
    one.join()
    two.join()
    assert set(bench.consumer_group().resolved) == {"ord.*", "cl.*"}
    two.leave()
    assert set(bench.consumer_group().resolved) == {"ord.*"}
    bench.heartbeat_as(
        "m1", one.epoch, subscribed_topic_regex="", subscribed_topic_names=["clicks"]
    )
    assert bench.consumer_group().resolved == {}
    bench.reload(2)
    assert bench.consumer_group().resolved == {}


def test_all_topics_are_looked_at_again_after_a_while() -> None:
    bench = ConsumerBench(group_consumer_regex_refresh_interval_ms=10_000)
    one = bench.consumer("m1", regex="o.*")
    one.join()
    bench.topics["oak"], bench.ids["oak"] = b"o" * 16, b"o" * 16  # and nobody was told
    bench.partitions["oak"] = 1
    one.beat()
    assert names(one.owned) == {"orders"}
    bench.timers.advance(10_100)
    one.beat()
    bench.settle(one)
    assert names(one.owned) == {"orders", "oak"}


def test_who_has_missed_too_many_changes_looks_at_all_topics() -> None:
    bench = ConsumerBench()
    one = bench.consumer("m1", regex="t7|t1500")
    one.join()
    for n in range(1_600):
        bench.topics_change(**{f"t{n}": 1})
    bench.settle(one)
    assert names(one.owned) == {"t7", "t1500"}


def test_topics_that_were_found_but_not_written_are_found_again() -> None:
    bench = ConsumerBench()
    one = bench.consumer("m1", regex="o.*")
    one.join()
    bench.topics_change(oak=2)
    bench.log.instant = False
    one.beat()
    bench.log.fail(errors.NotEnoughReplicas("one is missing"))
    bench.log.instant = True
    bench.log.complete()
    bench.settle(one)
    assert names(one.owned) == {"orders", "oak"}


def test_a_regex_that_no_record_has_room_for_is_refused() -> None:
    bench = ConsumerBench()
    refused = bench.join_as("m1", subscribed_topic_regex="a" * 40_000)
    assert refused.error_code == errors.InvalidRegularExpression.code
    assert "32767 bytes" in refused.error_message
