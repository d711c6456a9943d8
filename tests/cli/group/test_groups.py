"""What is asked of coordinators, by a cluster of fakes: both protocols, and who knows which."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from fastbroker import errors
from fastbroker.cli.client import GROUP, Client
from fastbroker.cli.connection import NotServed
from fastbroker.cli.group.groups import Listed, committed, described, listed, missing
from fastbroker.model import TopicPartition
from fastbroker.protocol.messages.consumer_group_describe import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
)
from fastbroker.protocol.messages.describe_groups import (
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)
from fastbroker.protocol.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from fastbroker.protocol.messages.offset_fetch import OffsetFetchRequest, OffsetFetchResponse
from fastbroker.protocol.schema import Struct

NOT_FOUND = errors.GroupIdNotFound.code
MODERN = ConsumerGroupDescribeResponse.DescribedGroup
CLASSIC = DescribeGroupsResponse.DescribedGroup


class Cluster(Client):
    """Two brokers that coordinate all groups: modern ones are those whose name begins with m.

    describe: what a ConsumerGroupDescribe leads to, an error code for every group, or no answer.
    """

    def __init__(self, describe: int | None = 0) -> None:
        super().__init__("a:1")
        self.describe, self.asked = describe, list[Struct]()

    def brokers(self) -> dict[int, str]:
        return {1: "a:1", 2: "b:1"}

    def coordinators(self, names: Sequence[str], kind: int = GROUP) -> dict[str, int]:
        return dict.fromkeys(names, 1)

    def call(self, request: Struct, *, node: int = -1, **_: Any) -> Any:
        self.asked.append(request)
        match request:
            case ListGroupsRequest():
                one = ListGroupsResponse.ListedGroup
                return ListGroupsResponse(
                    groups=[
                        one(group_id=f"c-{node}", protocol_type="consumer", group_state="Empty"),
                        one(group_id=f"m-{node}", group_type="Consumer", group_state="Stable"),
                    ]
                )
            case ConsumerGroupDescribeRequest():
                return self._modern(request)
            case DescribeGroupsRequest():
                return DescribeGroupsResponse(
                    groups=[
                        CLASSIC(group_id=name, group_state="Stable")
                        if name.startswith("c")
                        else CLASSIC(group_id=name, error_code=NOT_FOUND)
                        for name in request.groups
                    ]
                )
            case OffsetFetchRequest():
                return self._offsets(request)
        raise AssertionError(request)

    def _modern(self, request: ConsumerGroupDescribeRequest) -> ConsumerGroupDescribeResponse:
        if self.describe is None:
            raise NotServed("an old broker")
        return ConsumerGroupDescribeResponse(
            groups=[
                MODERN(group_id=name, group_state="Stable", error_code=self.describe)
                if name.startswith("m")
                else MODERN(group_id=name, error_code=self.describe or NOT_FOUND)
                for name in request.group_ids
            ]
        )

    def _offsets(self, request: OffsetFetchRequest) -> OffsetFetchResponse:
        group = OffsetFetchResponse.OffsetFetchResponseGroup
        topic = group.OffsetFetchResponseTopics
        part = topic.OffsetFetchResponsePartitions
        return OffsetFetchResponse(
            groups=[
                group(
                    group_id=one.group_id,
                    topics=[
                        topic(
                            name="t",
                            partitions=[
                                part(partition_index=0, committed_offset=7),
                                part(partition_index=1, committed_offset=-1),
                            ],
                        )
                    ],
                )
                for one in request.groups
            ]
        )


def test_the_groups_of_all_brokers_are_listed() -> None:
    assert listed(Cluster()) == [
        Listed("c-1", "classic", "Empty", "consumer"),
        Listed("c-2", "classic", "Empty", "consumer"),
        Listed("m-1", "consumer", "Stable", ""),
        Listed("m-2", "consumer", "Stable", ""),
    ]


def test_a_group_is_found_by_either_protocol() -> None:
    found = {one.group: (one.type, one.state) for one in described(Cluster(), ["c", "m", "x"])}
    assert found == {
        "c": ("classic", "Stable"), "m": ("consumer", "Stable"), "x": ("classic", "Dead"),
    }  # fmt: skip


def test_what_is_known_to_be_classic_is_not_asked_for_twice() -> None:
    cluster = Cluster()
    assert [one.type for one in described(cluster, ["c"], {"c": "classic"})] == ["classic"]
    assert [type(one) for one in cluster.asked] == [DescribeGroupsRequest]


@pytest.mark.parametrize("describe", [None, errors.UnsupportedVersion.code])
def test_a_broker_without_kip_848_has_classic_groups(describe: int | None) -> None:
    (one,) = described(Cluster(describe), ["c"])
    assert (one.type, one.state) == ("classic", "Stable")


def test_other_errors_are_raised() -> None:
    refused = Cluster(errors.GroupAuthorizationFailed.code)
    with pytest.raises(errors.GroupAuthorizationFailed, match="group 'c'"):
        list(described(refused, ["c"]))


def test_only_explained_groups_are_asked_to_explain() -> None:
    for explain in (False, True):
        cluster = Cluster()
        list(described(cluster, ["c", "m"], explain=explain))
        assert [one.explain for one in cluster.asked] == [explain, explain]  # type: ignore[attr-defined]


def test_what_was_never_committed_is_left_out() -> None:
    assert list(committed(Cluster(), ["c", "m"])) == [
        ("c", {TopicPartition("t", 0): 7}), ("m", {TopicPartition("t", 0): 7}),
    ]  # fmt: skip


def test_a_missing_group_has_a_near_name_or_another_type() -> None:
    known = [Listed("billing", "classic", "Stable", ""), Listed("queue", "share", "Stable", "")]
    assert "did you mean 'billing'?" in str(missing("biling", known))
    assert "list them with" in str(missing("zzz", known))
    assert "group 'queue' is of type share" in str(missing("queue", known))
