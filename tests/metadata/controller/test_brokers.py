"""Brokers register, stay while they beat, and are fenced when they stop."""

from __future__ import annotations

import pytest

from fastbroker import errors
from fastbroker.metadata.controller.brokers import SESSION_TIMEOUT_MS, Brokers
from fastbroker.metadata.controller.producer_ids import allocate_producer_ids
from fastbroker.metadata.image import Endpoint
from fastbroker.protocol.messages.allocate_producer_ids import AllocateProducerIdsRequest
from tests.metadata.controller.cluster import CLUSTER_ID, Cluster, uuid


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def test_the_epoch_is_the_offset_of_the_registration_and_the_broker_is_fenced(
    cluster: Cluster,
) -> None:
    expected = cluster.next_offset
    assert cluster.register(1) == expected
    broker = cluster.image.brokers[1]
    assert broker.fenced
    assert broker.endpoints == {"PLAINTEXT": Endpoint("localhost", 9092, 0)}
    assert broker.log_dirs == (uuid(101),)


def test_a_broker_of_another_cluster_is_refused(cluster: Cluster) -> None:
    with pytest.raises(errors.InconsistentClusterId, match=CLUSTER_ID):
        cluster.register(1, cluster_id="other")


def test_the_id_of_a_live_broker_is_refused_until_its_session_is_over(cluster: Cluster) -> None:
    cluster.start(1)
    with pytest.raises(errors.DuplicateBrokerRegistration):
        cluster.register(1, incarnation_id=uuid(9))
    cluster.now_ms += SESSION_TIMEOUT_MS
    cluster.register(1, incarnation_id=uuid(9))
    assert cluster.image.brokers[1].fenced


def test_a_new_process_of_an_unfenced_broker_takes_its_leaderships_away(cluster: Cluster) -> None:
    cluster.start(1)
    cluster.topic("t", (1,))
    cluster.brokers = Brokers(cluster.image, cluster_id=CLUSTER_ID, now_ms=cluster.now_ms)
    epoch = cluster.register(1, incarnation_id=uuid(9))
    assert cluster.partition("t").leader == -1
    assert cluster.image.brokers[1].epoch == epoch < cluster.image.offset


def test_the_same_process_registers_again_under_its_epoch(cluster: Cluster) -> None:
    cluster.start(1)
    epoch = cluster.image.brokers[1].epoch
    assert cluster.register(1) == epoch
    assert not cluster.image.brokers[1].fenced


@pytest.mark.parametrize("log_dirs", [[], [bytes(16)], [uuid(5), uuid(5)], [uuid(102)]])
def test_log_directories_have_ids_of_their_own(cluster: Cluster, log_dirs: list[bytes]) -> None:
    cluster.start(2)
    with pytest.raises(errors.InvalidRegistration):
        cluster.register(1, log_dirs=log_dirs)


def test_a_broker_must_support_the_finalized_features(cluster: Cluster) -> None:
    with pytest.raises(errors.UnsupportedVersion, match=r"metadata\.version level 30"):
        cluster.register(1, features=[])


def test_a_heartbeat_unfences_once_the_registration_is_read(cluster: Cluster) -> None:
    epoch = cluster.register(1)
    behind = cluster.heartbeat(1, current_metadata_offset=epoch - 1)
    assert (behind.is_caught_up, behind.is_fenced) == (False, True)
    there = cluster.heartbeat(1, current_metadata_offset=epoch)
    assert (there.is_caught_up, there.is_fenced) == (True, False)
    assert not cluster.image.brokers[1].fenced


def test_a_broker_that_wants_to_be_fenced_stays_or_becomes_it(cluster: Cluster) -> None:
    cluster.register(1)
    assert cluster.heartbeat(1, want_fence=True).is_fenced
    assert not cluster.heartbeat(1).is_fenced
    assert cluster.heartbeat(1, want_fence=True).is_fenced


def test_a_heartbeat_with_a_wrong_epoch_is_stale(cluster: Cluster) -> None:
    cluster.start(1)
    with pytest.raises(errors.StaleBrokerEpoch, match="register again"):
        cluster.heartbeat(1, broker_epoch=99)
    with pytest.raises(errors.StaleBrokerEpoch, match="not registered"):
        allocate_producer_ids(cluster.image, AllocateProducerIdsRequest(broker_id=7))


def test_a_lost_connection_fences_and_the_only_replica_keeps_its_isr(cluster: Cluster) -> None:
    cluster.start(1)
    cluster.topic("t", (1,))
    cluster.apply(cluster.brokers.disconnected(cluster.image, 1, cluster.image.brokers[1].epoch))
    lost = cluster.partition("t")
    assert (lost.leader, lost.isr, lost.leader_epoch, lost.partition_epoch) == (-1, (1,), 1, 1)
    assert cluster.image.brokers[1].fenced
    assert not cluster.heartbeat(1).is_fenced
    back = cluster.partition("t")
    assert (back.leader, back.isr, back.leader_epoch, back.partition_epoch) == (1, (1,), 2, 2)


def test_the_lost_connection_of_an_older_process_changes_nothing(cluster: Cluster) -> None:
    cluster.start(1)
    epoch = cluster.image.brokers[1].epoch
    assert cluster.brokers.disconnected(cluster.image, 1, epoch - 1) == []
    assert cluster.brokers.disconnected(cluster.image, 7, 0) == []


def test_fencing_moves_leadership_to_the_next_active_replica_in_sync(cluster: Cluster) -> None:
    cluster.start(1, 2, 3)
    cluster.topic("t", (1, 2, 3), (2, 1, 3), (3, 2))
    cluster.apply(cluster.brokers.disconnected(cluster.image, 1, cluster.image.brokers[1].epoch))
    moved, shrunk, other = (cluster.partition("t", i) for i in range(3))
    assert (moved.leader, moved.isr, moved.leader_epoch) == (2, (2, 3), 1)
    assert (shrunk.leader, shrunk.isr, shrunk.leader_epoch) == (2, (2, 3), 0)
    assert (other.partition_epoch, other.isr) == (0, (3, 2))


def test_a_session_ends_without_heartbeats(cluster: Cluster) -> None:
    cluster.start(1, 2)
    cluster.now_ms += SESSION_TIMEOUT_MS - 1
    cluster.heartbeat(2)
    assert cluster.brokers.expired(cluster.image, now_ms=cluster.now_ms) == []
    cluster.now_ms += 1
    cluster.apply(cluster.brokers.expired(cluster.image, now_ms=cluster.now_ms))
    assert cluster.image.brokers[1].fenced
    assert not cluster.image.brokers[2].fenced
    assert cluster.brokers.expired(cluster.image, now_ms=cluster.now_ms) == []


def test_a_new_controller_gives_every_unfenced_broker_a_whole_session(cluster: Cluster) -> None:
    cluster.start(1)
    cluster.now_ms += SESSION_TIMEOUT_MS
    brokers = Brokers(cluster.image, cluster_id=CLUSTER_ID, now_ms=cluster.now_ms)
    assert brokers.expired(cluster.image, now_ms=cluster.now_ms + SESSION_TIMEOUT_MS - 1) == []
    assert brokers.expired(cluster.image, now_ms=cluster.now_ms + SESSION_TIMEOUT_MS)


def test_controlled_shutdown_moves_leaders_and_waits_until_the_others_know(
    cluster: Cluster,
) -> None:
    cluster.start(1, 2)
    cluster.topic("t", (1, 2))
    cluster.topic("alone", (1,))
    known = cluster.image.offset
    cluster.heartbeat(2)
    assert not cluster.heartbeat(1, want_shut_down=True).should_shut_down
    assert cluster.image.brokers[1].in_controlled_shutdown
    assert (cluster.partition("t").leader, cluster.partition("t").isr) == (2, (2,))
    assert (cluster.partition("alone").leader, cluster.partition("alone").isr) == (-1, (1,))
    cluster.heartbeat(2, current_metadata_offset=known)
    assert not cluster.heartbeat(1, want_shut_down=True).should_shut_down
    cluster.heartbeat(2)
    granted = cluster.heartbeat(1, want_shut_down=True)
    assert (granted.should_shut_down, granted.is_fenced) == (True, True)
    assert cluster.image.brokers[1].fenced


def test_a_fenced_broker_may_stop_at_once(cluster: Cluster) -> None:
    cluster.register(1)
    assert cluster.heartbeat(1, want_shut_down=True).should_shut_down


def test_the_last_broker_may_stop(cluster: Cluster) -> None:
    cluster.start(1)
    cluster.topic("t", (1,))
    assert not cluster.heartbeat(1, want_shut_down=True).should_shut_down
    assert cluster.heartbeat(1, want_shut_down=True).should_shut_down


def test_producer_ids_come_in_blocks_that_never_meet(cluster: Cluster) -> None:
    cluster.start(1, 2)
    starts = []
    for broker_id in (1, 2, 1):
        request = AllocateProducerIdsRequest(
            broker_id=broker_id, broker_epoch=cluster.image.brokers[broker_id].epoch
        )
        response = cluster.keep(allocate_producer_ids(cluster.image, request)).response
        assert response.producer_id_len == 1000
        starts.append(response.producer_id_start)
    assert starts == [0, 1000, 2000]
