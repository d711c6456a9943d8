"""What is kept of a classic group in __consumer_offsets.

    key   := type:int16=2 group:string
    value := version:int16=3 protocol_type generation protocol leader state_timestamp members
    members carry their metadata for the chosen protocol, and their assignment

Written when a generation's assignment is made, when a group becomes empty and when a static member
gets a new id. Version 3 is what Apache Kafka 4.3 writes; older ones are read.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from fastbroker.group.classic.member import Member
from fastbroker.group.classic.roster import Roster
from fastbroker.protocol.group_records import GroupMetadataKey, GroupMetadataValue, MemberMetadata
from fastbroker.protocol.record_frames import encode_key, encode_value

VALUE_VERSION = 3

Record = tuple[bytes, bytes | None]


class KeptGroup(Protocol):
    """What is kept of a group; a ClassicGroup is one."""

    group_id: str
    protocol_type: str | None
    generation_id: int
    protocol_name: str | None
    state_since_ms: int | None
    roster: Roster


def group_record(
    group: KeptGroup, assignments: Mapping[str, bytes], *, is_led: bool = True
) -> Record:
    """The group in its current generation; `assignments` by member id, absent ones are empty.

    is_led: False where no leader made them: whoever reads the record has the group rebalance.
    """
    value = GroupMetadataValue(
        protocol_type=group.protocol_type or "",
        generation=group.generation_id,
        protocol=group.protocol_name,
        leader=group.roster.leader if is_led else None,
        current_state_timestamp=-1 if group.state_since_ms is None else group.state_since_ms,
        members=[
            MemberMetadata(
                member_id=member.member_id,
                group_instance_id=member.group_instance_id,
                client_id=member.client_id,
                client_host=member.client_host,
                rebalance_timeout=member.rebalance_timeout_ms,
                session_timeout=member.session_timeout_ms,
                subscription=member.protocols[group.protocol_name or ""],
                assignment=assignments.get(member.member_id, b""),
            )
            for member in group.roster
        ],
    )
    return encode_key(GroupMetadataKey(group=group.group_id)), encode_value(value, VALUE_VERSION)


def group_tombstone(group_id: str) -> Record:
    """The record that deletes a group."""
    return encode_key(GroupMetadataKey(group=group_id)), None


def members_of(value: GroupMetadataValue) -> list[Member]:
    """The members in a record, with the one protocol that it names."""
    return [
        Member(
            member_id=kept.member_id,
            group_instance_id=kept.group_instance_id,
            client_id=kept.client_id,
            client_host=kept.client_host,
            rebalance_timeout_ms=(
                kept.session_timeout if kept.rebalance_timeout < 0 else kept.rebalance_timeout
            ),
            session_timeout_ms=kept.session_timeout,
            protocols={value.protocol or "": bytes(kept.subscription)},
            assignment=bytes(kept.assignment),
        )
        for kept in value.members
    ]
