"""The rules of classic groups and their offsets, each with the tests that prove it.

From Kafka's ClassicGroup, GroupMetadataManager, OffsetMetadataManager and KafkaApis, and from the
message definitions. A rule is here once; a test may prove several. What KIP-848 groups do otherwise
is with them.
"""
from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

HERE = Path(__file__).parent

RULES = """
Coordinator
  A group is kept in the partition abs(Java's hash of its id) mod the number of partitions
    coordinator.the_partition_is_kafkas
    coordinator.a_group_belongs_to_a_partition_that_the_topic_has
  Led elsewhere: NOT_COORDINATOR
    coordinator.a_group_of_a_partition_led_elsewhere
    join.which_of_two_errors_is_told
  Loading: COORDINATOR_LOAD_IN_PROGRESS; a heartbeat is answered as if all were well
    coordinator.a_group_that_is_loading
  An empty group id: INVALID_GROUP_ID, except for OffsetCommit, OffsetFetch, Describe, Delete
    join.an_empty_group_id_is_refused
    offsets.offset_delete_refuses
    transactional_commit.where_the_group_is_not_served
  Every version of every API is answered
    handlers.every_version_is_answered_to_members_strangers_and_elsewhere
  A group is the same after a reload; every member has a full session from then on
    coordinator.a_group_survives_a_reload
  Who waits when the partition moves is told NOT_COORDINATOR
    coordinator.who_waits_is_sent_elsewhere_by_a_resignation
    coordinator.an_assignment_awaited_at_a_resignation
  Records of versions 0 to 3 are read
    coordinator.version_0_of_a_group_record_is_read
  A group being deleted answers COORDINATOR_NOT_AVAILABLE to members
    coordinator.a_group_being_deleted_takes_no_requests

JoinGroup
  Session timeout outside of group.min/max.session.timeout.ms: INVALID_SESSION_TIMEOUT
    join.a_session_timeout_out_of_bounds_is_refused
  The group id is looked at first, then the session timeout, then who leads
    join.which_of_two_errors_is_told
  group.max.size: GROUP_MAX_SIZE_REACHED, without an id; in a rebalance those who wait are counted
    join.a_full_group_takes_nobody_new
    coordinator.a_loaded_group_over_its_limit_is_rebalanced
  The first member sets the protocol type, and has to name one, and a protocol
    join.a_group_wants_a_protocol_type_and_a_protocol
    join.a_group_whose_first_joiners_left_takes_any_protocol_type
  Members share the protocol type and at least one protocol: INCONSISTENT_GROUP_PROTOCOL
    join.members_share_protocol_type_and_a_protocol
  Most votes win among the protocols that all support; a member votes for its first
    join.the_protocol_is_chosen_by_votes_among_those_of_everyone
  A member id that the group does not know, or of a group that does not exist: UNKNOWN_MEMBER_ID
    join.a_member_id_nobody_gave_is_unknown
    join.a_member_id_of_a_group_that_does_not_exist_is_unknown
  Version 4 and later: a newcomer is told its id with MEMBER_ID_REQUIRED and comes back with it
    join.a_newcomer_is_told_its_id_from_version_4_on
  Such an id is forgotten after the session timeout, waited for until then, dynamic, and bounded
    join.an_id_handed_out_is_forgotten_after_the_session_timeout
    join.an_id_handed_out_is_waited_for
    join.an_id_handed_out_is_no_static_members
    join.ids_handed_out_are_bounded
  An empty group gathers first joins: adaptively, or by group.initial.rebalance.delay.ms
    join.first_joins_are_gathered_until_none_comes_for_20_ms
    join.first_joins_are_gathered_for_200_ms_at_most
    join.an_explicit_initial_delay_is_kept
    join.an_initial_delay_of_nothing_does_not_wait
  A newcomer starts a rebalance, in a group that completes one, too
    join.a_newcomer_starts_a_rebalance_that_waits_for_the_others
    join.a_newcomer_during_completion_starts_another_rebalance
  A rebalance ends when all have joined, or the longest rebalance timeout is over
    join.who_does_not_join_in_time_is_removed
    join.the_longest_rebalance_timeout_counts
    join.version_0_waits_for_the_session_timeout
  A new member whose join is not answered for five minutes is given up
    join.a_newcomer_that_never_gets_an_answer_is_given_up
  The generation counts up; the leader is told the members, others are not
    join.a_newcomer_starts_a_rebalance_that_waits_for_the_others
  The leader stays while it is a member and joins; then one who has joined leads
    join.the_leaders_seat_passes_on
    join.static_members_that_do_not_join_stay_until_their_session_ends
  The same metadata in CompletingRebalance: the answer once more; other metadata: a rebalance
    join.a_lost_join_answer_is_given_again
    join.new_metadata_during_completion_starts_another_rebalance
  Stable: the leader, or other metadata, starts a rebalance; an unchanged follower does not
    join.the_leader_of_a_stable_group_starts_a_rebalance_by_joining
    join.a_follower_with_new_metadata_starts_a_rebalance
    join.a_stable_follower_joining_unchanged_learns_its_generation
  Timeouts are those of the last JoinGroup
    join.a_member_that_joins_again_may_change_its_timeouts
  Errors name no protocol: null from version 7 on
    join.an_error_names_no_protocol
  A rebalance that nobody joined is looked at again
    join.a_rebalance_that_nobody_joins_is_looked_at_once_a_second_at_most
  Groups do not know each other
    join.groups_do_not_know_each_other

Static members (KIP-345, KIP-814)
  A new instance id is taken in at once, without MEMBER_ID_REQUIRED
    join.a_static_member_is_taken_in_at_once
  A known one replaces the member id; Stable with the same protocol: no rebalance
    join.a_static_member_that_comes_back_keeps_its_assignment
  The new id is stored before it is told
    join.a_static_members_new_id_is_stored_before_it_is_told
    join.a_static_members_new_id_that_is_not_stored_is_an_error
  A leader that comes back skips the assignment from version 9 on, and before learns its old id
    join.a_static_leader_that_comes_back_skips_the_assignment
  Another protocol, or a group that is not stable: a rebalance
    join.a_static_member_with_another_protocol_starts_a_rebalance
    join.a_static_member_that_comes_back_during_completion_starts_another_rebalance
    join.a_rebalance_answers_a_static_member_whose_id_is_being_stored
  The old id is FENCED_INSTANCE_ID everywhere, also while it waits; the last to join stays
    join.who_was_replaced_is_fenced_everywhere
    join.a_static_member_that_comes_back_while_it_waits_fences_itself
    join.of_two_with_one_instance_id_the_last_to_join_stays
    join.who_joins_with_its_old_id_comes_too_late_for_a_rebalance
  Static members that do not join stay until their session ends
    join.static_members_that_do_not_join_stay_until_their_session_ends
    join.a_static_member_goes_when_its_session_ends

SyncGroup
  Unknown member, other generation, other protocol (version 5): each its error
    join.sync_refuses_another_generation_member_or_protocol
  PreparingRebalance: REBALANCE_IN_PROGRESS
    join.sync_during_a_rebalance_is_told_so
  The leader's assignment is stored, then told to all; who is not in it gets nothing
    join.the_assignment_is_stored_before_anyone_learns_it
    join.a_member_the_leader_forgot_gets_an_empty_assignment
    join.a_leader_that_syncs_twice_assigns_once
  It is not stored: an error for all who wait, and a rebalance
    join.an_assignment_that_is_not_stored_is_an_error_and_a_rebalance
  A rebalance meanwhile: REBALANCE_IN_PROGRESS
    join.a_rebalance_overtakes_an_assignment_being_stored
  Who does not sync within the rebalance timeout is removed, in a stable group, too
    join.who_does_not_sync_in_time_is_removed

Heartbeat and sessions
  Silence for the session timeout ends a membership; heartbeats, commits and waiting prolong it
    membership.heartbeats_keep_a_member
    membership.silence_ends_a_session
    membership.a_commit_is_a_sign_of_life
    membership.who_waits_for_an_answer_is_alive
    transactional_commit.a_transactional_commit_is_no_sign_of_life
  PreparingRebalance: REBALANCE_IN_PROGRESS; CompletingRebalance: no error
    join.a_newcomer_starts_a_rebalance_that_waits_for_the_others
    membership.a_heartbeat_during_completion_is_fine
  Unknown member, other generation
    membership.heartbeat_refuses_another_generation_or_member

LeaveGroup
  Up to version 2 one member, its error at the top; then several, each its own
    membership.up_to_version_2_an_unknown_member_is_an_error_at_the_top
    membership.from_version_3_each_member_has_its_answer
  By member id, or by instance id alone; an id handed out can be given back
    membership.a_static_member_goes_by_its_instance_id_only
    membership.when_an_expected_newcomer_leaves_the_rebalance_goes_on
  Several are one rebalance; requests that wait are answered UNKNOWN_MEMBER_ID
    membership.several_that_leave_are_one_rebalance
    membership.who_leaves_while_it_waits_is_answered
    membership.who_leaves_waiting_for_its_assignment_is_answered
  The last one to leave: Empty, a generation further, stored
    membership.when_the_last_one_leaves_the_group_is_empty_and_that_is_stored

OffsetCommit
  Acknowledged below the high watermark; commits count in the order of the log
    offsets.a_commit_is_acknowledged_and_visible_once_it_is_in_the_log
    offsets.commits_overlap_and_count_in_their_order
    offsets.a_commit_that_is_not_written_changes_nothing
  Without a generation only in an Empty group: UNKNOWN_MEMBER_ID
    offsets.without_a_generation_only_an_empty_group_takes_commits
  Unknown member, other generation, CompletingRebalance: REBALANCE_IN_PROGRESS
    offsets.a_member_commits_in_its_generation
    offsets.a_member_may_commit_while_others_are_waited_for
  No such group: ILLEGAL_GENERATION, GROUP_ID_NOT_FOUND from version 9 on
    offsets.a_commit_of_a_generation_for_a_group_that_does_not_exist
  Metadata longer than offset.metadata.max.bytes: OFFSET_METADATA_TOO_LARGE
    offsets.metadata_is_limited
  Partitions that do not exist, topics by id from version 10 on
    offsets.a_commit_on_an_unknown_topic
    offsets.a_commit_on_an_unknown_partition
    offsets.a_commit_by_topic_id
  Records are Kafka's; versions 2 to 4 bring a retention of their own
    offsets.the_records_are_kafkas
    offsets.a_retention_of_its_own_counts

TxnOffsetCommit
  Member, generation and instance id are checked if one is given; the group's state is not
    transactional_commit.member_generation_and_instance_are_checked
    transactional_commit.who_names_nothing_is_not_asked
    transactional_commit.a_rebalance_does_not_matter
    transactional_commit.without_a_group_a_generation_is_illegal
  The transaction is verified, from version 5 on the partition is added, unless it is open
    transactional_commit.the_transaction_is_asked_about_the_groups_partition_once
    transactional_commit.what_the_transactions_coordinator_refuses
    transactional_commit.the_group_is_looked_at_once_the_transaction_is_verified
  What is pending counts with the commit marker; of several the later record
    pending_offsets.a_commit_gives_what_was_put_last
    pending_offsets.of_two_transactions_the_later_record_counts_not_the_later_marker
    pending_offsets.an_abort_gives_nothing
    pending_offsets.a_later_offset_counts
    pending_offsets.random_histories_and_every_prefix_of_them_reloaded
  Tombstones drop what is pending; deletions write them for it
    pending_offsets.a_tombstone_drops_what_is_pending
    pending_offsets.a_group_deleted_with_a_transaction_open
  It holds up expiry, of the offset and of the group
    pending_offsets.pending_offsets_hold_up_expiry
    pending_offsets.an_empty_group_with_a_transaction_open_stays
  Errors are by partition
    transactional_commit.partitions_fail_one_by_one

OffsetFetch
  -1 without an error where nothing is committed; null asks for everything
    offsets.fetch_in_old_versions
  Errors in partitions up to version 1, then at the top, from 8 on in each group
    offsets.fetch_elsewhere_in_old_versions
    offsets.fetch_several_groups
  Topics by id from version 10 on; another topic of the same name has no offset
    offsets.fetch_by_topic_id
    offsets.another_topic_of_the_same_name_has_no_offset
  require_stable: waits for writes; UNSTABLE_OFFSET_COMMIT while a transaction is open
    offsets.a_stable_fetch_waits_for_commits_on_their_way
    transactional_commit.a_stable_fetch_tells_of_open_transactions
    transactional_commit.a_stable_fetch_of_everything_is_about_what_is_committed
    transactional_commit.a_stable_fetch_waits_for_transactional_writes

OffsetDelete
  Of an empty group; of a group of consumers what its generation does not read
    offsets.offsets_that_members_do_not_read_can_be_deleted
    offsets.what_a_group_reads_is_what_its_generation_joined_with
    offsets.a_group_that_does_not_say_what_it_reads_reads_everything
    offsets.offset_delete_refuses

Retention
  After the group became Empty, or after the commit where that is not known or it has no members
    offsets.offsets_of_a_group_expire_after_it_became_empty
    offsets.offsets_of_a_simple_group_expire_after_the_last_commit
    offsets.without_a_time_of_becoming_empty_the_commit_counts
  Stable groups of consumers: topics that they read no more, after the commit
    offsets.topics_a_stable_group_reads_no_more_expire
  Nothing in a rebalance, or of members whose topics are not known
    offsets.nothing_expires_during_a_rebalance_or_of_members_whose_topics_are_not_known
  The group goes with its last offset; offsets go with their topic
    offsets.offsets_of_a_simple_group_expire_after_the_last_commit
    offsets.offsets_of_deleted_topics_go

ListGroups, DescribeGroups, DeleteGroups
  Filters by state and by type ignore case
    coordinator.list
  Metadata and protocol only while Stable; a missing group is Dead, an error from version 6 on
    coordinator.describe
    coordinator.describe_says_why_it_cannot
  Authorized operations when asked for
    handlers.describing_tells_what_may_be_done
  Groups with members: NON_EMPTY_GROUP; unknown ones: GROUP_ID_NOT_FOUND
    coordinator.delete

The log of the broker
  One line for each rebalance, with its reason, whatever began it
    group_log.a_member_joins
    group_log.a_member_leaves
    group_log.a_session_ends
    group_log.a_member_does_not_sync
    group_log.the_leader_or_a_member_with_news_joins_again
    group_log.a_static_member_comes_back_with_another_protocol
    group_log.an_assignment_is_not_stored
    group_log.a_loaded_group_is_too_large
  A flood has few lines
    group_log.a_client_that_joins_and_leaves_all_the_time_has_few_lines
    group_log.all_groups_together_have_few_lines
"""

NAMED = re.findall(r"^    (\w+)\.(\w+)$", RULES, re.M)


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED}))
def test_the_tests_that_rules_name_exist(file: str) -> None:
    there = set(re.findall(r"^def test_(\w+)\(", (HERE / f"test_{file}.py").read_text(), re.M))
    assert {name for one, name in NAMED if one == file} <= there


def test_every_rule_has_a_test() -> None:
    lines = RULES.splitlines()
    for line, after in pairwise(lines):
        if line.startswith("  ") and not line.startswith("    "):
            assert after.startswith("    "), f"nothing proves: {line}"
    assert len(NAMED) > 100
