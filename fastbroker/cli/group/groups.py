"""Asks the cluster for its groups: which there are, what they do, what they committed."""
from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from fastbroker import errors
from fastbroker.cli.client import GROUP, Client, check
from fastbroker.cli.connection import NotServed
from fastbroker.cli.coordinators import Answer, answers
from fastbroker.cli.group.description import (
    CLASSIC,
    CONSUMER,
    DEAD,
    Description,
    of_classic,
    of_consumer,
)
from fastbroker.cli.output import Failure, count
from fastbroker.model import TopicPartition
from fastbroker.protocol.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from fastbroker.protocol.messages.describe_groups import DescribeGroupsRequest
from fastbroker.protocol.messages.list_groups import ListGroupsRequest
from fastbroker.protocol.messages.offset_fetch import OffsetFetchRequest

STATES = (
    "Empty", "Stable", "PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling",
    "Dead",
)  # fmt: skip
TYPES = ("classic", "consumer", "share", "streams")
# The second one from a broker that knows KIP-848 and has it switched off.
NOT_OF_KIP_848 = {errors.GroupIdNotFound.code, errors.UnsupportedVersion.code}
# From 8 on for many groups; 10 gives ids instead of names, and leaves deleted topics out.
OFFSET_FETCH_VERSIONS = (8, 9)


class Listed(NamedTuple):
    """A group of a list; its type is classic where the broker knows no other."""

    group: str
    type: str
    state: str
    protocol_type: str


def listed(client: Client) -> list[Listed]:
    """Every group of the cluster, by name. Raises KafkaError, Failure."""
    found: dict[str, Listed] = {}
    for node in client.attempt(client.brokers):

        def ask(node: int = node) -> list[Any]:
            response = client.call(ListGroupsRequest(), node=node)
            check(response.error_code, where=f"groups of broker {node}")
            groups: list[Any] = response.groups
            return groups

        for one in client.attempt(ask):
            kind = (one.group_type or CLASSIC).lower()
            found[one.group_id] = Listed(one.group_id, kind, one.group_state, one.protocol_type)
    return [found[name] for name in sorted(found)]


def described(
    client: Client, names: Iterable[str], types: Mapping[str, str] | None = None, *,
    explain: bool = False,
) -> Iterator[Description]:  # fmt: skip
    """What each group is; a group that there is not has the state Dead.

    types: of those groups whose type is known; the other ones are asked for in both ways. explain:
    with what our broker knows beyond Kafka's answer. Raises KafkaError, Failure.
    """
    known, left = types or {}, dict.fromkeys(names)
    maybe = [name for name in left if known.get(name, CONSUMER) == CONSUMER]
    try:
        for answer in answers(client, GROUP, maybe, partial(_consumer, client, explain)):
            if answer.code not in NOT_OF_KIP_848:
                del left[answer.name]
                yield of_consumer(answer.node, _value(answer))
    except NotServed:  # a broker without KIP-848 has classic groups only
        pass
    for answer in answers(client, GROUP, left, partial(_classic, client, explain)):
        if answer.code == errors.GroupIdNotFound.code:
            yield Description(answer.name, CLASSIC, DEAD, "", "", answer.node, [])
        else:
            yield of_classic(answer.node, _value(answer))


def _value(answer: Answer) -> Any:
    check(answer.code, answer.message, where=f"group {answer.name!r}")
    return answer.value


def _consumer(
    client: Client, explain: bool, node: int, names: list[str]
) -> Iterator[tuple[str, int, str | None, Any]]:
    request = ConsumerGroupDescribeRequest(group_ids=names, explain=explain)
    for one in client.call(request, node=node).groups:
        yield one.group_id, one.error_code, one.error_message, one


def _classic(
    client: Client, explain: bool, node: int, names: list[str]
) -> Iterator[tuple[str, int, str | None, Any]]:
    request = DescribeGroupsRequest(groups=names, explain=explain)
    for one in client.call(request, node=node).groups:
        yield one.group_id, one.error_code, one.error_message, one


Committed = dict[TopicPartition, int]


def committed(client: Client, names: Iterable[str]) -> Iterator[tuple[str, Committed]]:
    """(group, its committed offsets) of each group. Raises KafkaError, Failure."""
    for answer in answers(client, GROUP, names, partial(_offsets, client)):
        yield answer.name, _value(answer)


def _offsets(
    client: Client, node: int, names: list[str]
) -> Iterator[tuple[str, int, str | None, Committed]]:
    asked = OffsetFetchRequest.OffsetFetchRequestGroup
    request = OffsetFetchRequest(groups=[asked(group_id=name, topics=None) for name in names])
    first, last = OFFSET_FETCH_VERSIONS
    for group in client.call(request, node=node, at_least=first, at_most=last).groups:
        found = {
            TopicPartition(topic.name, one.partition_index): one.committed_offset
            for topic in group.topics
            for one in topic.partitions
            if not one.error_code and one.committed_offset >= 0
        }
        yield group.group_id, group.error_code, None, found


def missing(name: str, known: Sequence[Listed]) -> Failure:
    """That there is no such group, and which of the `known` may be meant."""
    for one in known:
        if one.group == name:
            return Failure(
                f"group {name!r} is of type {one.type}; this command knows {CLASSIC} and "
                f"{CONSUMER} groups"
            )
    near = difflib.get_close_matches(name, [one.group for one in known], n=1)
    remedy = f"did you mean {near[0]!r}?" if near else "list them with: fastbroker group list"
    return Failure(f"there is no group {name!r}; {remedy}")


def refuse_members(group: Description, why: str) -> None:
    """Raise Failure while the group has members."""
    if group.members:
        clients = ", ".join(sorted({one.client_id for one in group.members})[:3])
        raise Failure(
            f"group {group.group!r} has {count(len(group.members), 'member')} ({clients}): {why}; "
            f"stop them first (who they are: fastbroker group describe {group.group})"
        )
