"""Kafka's error table: one class per error code.

A handler raises the class, with a message that names the cause and the remedy; the response
carries its code at the partition, topic or top level it belongs to. `of(code)` is the way back
from a number. Codes and retriability are Kafka 4.3's (org.apache.kafka.common.protocol.Errors).

    KafkaError            answered to the client, by code
    CloseConnection       no answer, the connection is closed
    CorruptFrame          so, because the bytes are not Kafka's protocol
"""
from __future__ import annotations

from typing import ClassVar

NONE = 0
MESSAGE_MAX = 4_000  # characters: a name of the client's in it may be too long for older responses


class CloseConnection(Exception):
    """Nothing is answered and the connection is closed, for the reason given."""

    expected = True  # the reason says it all: no traceback in the log


class CorruptFrame(CloseConnection):
    """A frame that cannot be a Kafka message."""


class KafkaError(Exception):
    """An error that Kafka's protocol has a code for.

    message: cause and remedy in one sentence, sent as `error_message` where a response has one; of
        one that is too long the two ends.
    A subclass without a code is a kind of what it inherits from.
    """

    code: ClassVar[int] = -1
    name: ClassVar[str] = "UNKNOWN_SERVER_ERROR"
    retriable: ClassVar[bool] = False
    by_code: ClassVar[dict[int, type[KafkaError]]] = {}

    def __init_subclass__(
        cls, code: int | None = None, name: str = "", retriable: bool = False
    ) -> None:
        if code is None:
            return
        cls.code, cls.name, cls.retriable = code, name, retriable
        KafkaError.by_code[code] = cls

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        if len(message) > MESSAGE_MAX:
            message = f"{message[: MESSAGE_MAX // 2]} ... {message[-MESSAGE_MAX // 4 :]}"
        self.message = message or (type(self).__doc__ or "").strip()

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"


def of(code: int) -> type[KafkaError]:
    """The class for `code`; UnknownServerError for a code Kafka 4.3 does not have."""
    return KafkaError.by_code.get(code, UnknownServerError)


class UnknownServerError(KafkaError, code=-1, name="UNKNOWN_SERVER_ERROR"):
    """Unexpected server-side failure."""


class OffsetOutOfRange(KafkaError, code=1, name="OFFSET_OUT_OF_RANGE"):
    """Offset outside the log range."""


class CorruptMessage(KafkaError, code=2, name="CORRUPT_MESSAGE", retriable=True):
    """CRC failure, bad size, or null key on a compacted topic."""


class UnknownTopicOrPartition(
    KafkaError, code=3, name="UNKNOWN_TOPIC_OR_PARTITION", retriable=True
):
    """Topic-partition not hosted here / does not exist."""


class InvalidFetchSize(KafkaError, code=4, name="INVALID_FETCH_SIZE"):
    """Fetch size not valid."""


class LeaderNotAvailable(KafkaError, code=5, name="LEADER_NOT_AVAILABLE", retriable=True):
    """Partition has no leader now."""


class NotLeaderOrFollower(KafkaError, code=6, name="NOT_LEADER_OR_FOLLOWER", retriable=True):
    """Broker is not leader (or not a replica)."""


class RequestTimedOut(KafkaError, code=7, name="REQUEST_TIMED_OUT", retriable=True):
    """Request timed out on the broker."""


class BrokerNotAvailable(KafkaError, code=8, name="BROKER_NOT_AVAILABLE"):
    """Broker not available."""


class ReplicaNotAvailable(KafkaError, code=9, name="REPLICA_NOT_AVAILABLE", retriable=True):
    """Replica not available."""


class MessageTooLarge(KafkaError, code=10, name="MESSAGE_TOO_LARGE"):
    """Record batch larger than max.message.bytes."""


class StaleControllerEpoch(KafkaError, code=11, name="STALE_CONTROLLER_EPOCH"):
    """Request came from an old controller epoch."""


class OffsetMetadataTooLarge(KafkaError, code=12, name="OFFSET_METADATA_TOO_LARGE"):
    """Commit metadata string too long."""


class NetworkException(KafkaError, code=13, name="NETWORK_EXCEPTION", retriable=True):
    """Disconnected before the response."""


class CoordinatorLoadInProgress(
    KafkaError, code=14, name="COORDINATOR_LOAD_IN_PROGRESS", retriable=True
):
    """Coordinator still loading its partition."""


class CoordinatorNotAvailable(
    KafkaError, code=15, name="COORDINATOR_NOT_AVAILABLE", retriable=True
):
    """Coordinator not available yet."""


class NotCoordinator(KafkaError, code=16, name="NOT_COORDINATOR", retriable=True):
    """This broker is not the coordinator."""


class InvalidTopicException(KafkaError, code=17, name="INVALID_TOPIC_EXCEPTION"):
    """Topic name/operation on it not valid."""


class RecordListTooLarge(KafkaError, code=18, name="RECORD_LIST_TOO_LARGE"):
    """Batch larger than the segment size."""


class NotEnoughReplicas(KafkaError, code=19, name="NOT_ENOUGH_REPLICAS", retriable=True):
    """ISR smaller than min.insync.replicas, nothing written."""


class NoSpaceLeft(NotEnoughReplicas):
    """The disk is full, or nearly so: nothing was written.

    Told as NOT_ENOUGH_REPLICAS: of the errors that all clients try again on, it is the one that
    does not make them ask for metadata each time, as KAFKA_STORAGE_ERROR does. The message says
    what it is.
    """


class NotEnoughReplicasAfterAppend(
    KafkaError, code=20, name="NOT_ENOUGH_REPLICAS_AFTER_APPEND", retriable=True
):
    """Written, but ISR fell below min.insync.replicas."""


class InvalidRequiredAcks(KafkaError, code=21, name="INVALID_REQUIRED_ACKS"):
    """Acks value other than -1, 0, 1."""


class IllegalGeneration(KafkaError, code=22, name="ILLEGAL_GENERATION"):
    """Group generation does not match."""


class InconsistentGroupProtocol(KafkaError, code=23, name="INCONSISTENT_GROUP_PROTOCOL"):
    """Member protocols incompatible with the group."""


class InvalidGroupId(KafkaError, code=24, name="INVALID_GROUP_ID"):
    """Group id empty or not valid."""


class UnknownMemberId(KafkaError, code=25, name="UNKNOWN_MEMBER_ID"):
    """Member id unknown to the coordinator."""


class InvalidSessionTimeout(KafkaError, code=26, name="INVALID_SESSION_TIMEOUT"):
    """Session timeout outside broker bounds."""


class RebalanceInProgress(KafkaError, code=27, name="REBALANCE_IN_PROGRESS"):
    """Group is rebalancing; rejoin."""


class InvalidCommitOffsetSize(KafkaError, code=28, name="INVALID_COMMIT_OFFSET_SIZE"):
    """Offset commit record too large."""


class TopicAuthorizationFailed(KafkaError, code=29, name="TOPIC_AUTHORIZATION_FAILED"):
    """No permission on topic."""


class GroupAuthorizationFailed(KafkaError, code=30, name="GROUP_AUTHORIZATION_FAILED"):
    """No permission on group."""


class ClusterAuthorizationFailed(KafkaError, code=31, name="CLUSTER_AUTHORIZATION_FAILED"):
    """No permission on cluster."""


class InvalidTimestamp(KafkaError, code=32, name="INVALID_TIMESTAMP"):
    """Record timestamp outside the accepted window."""


class UnsupportedSaslMechanism(KafkaError, code=33, name="UNSUPPORTED_SASL_MECHANISM"):
    """SASL mechanism not enabled."""


class IllegalSaslState(KafkaError, code=34, name="ILLEGAL_SASL_STATE"):
    """Request not allowed in this SASL state."""


class UnsupportedVersion(KafkaError, code=35, name="UNSUPPORTED_VERSION"):
    """API version not supported."""


class TopicAlreadyExists(KafkaError, code=36, name="TOPIC_ALREADY_EXISTS"):
    """Topic exists already."""


class InvalidPartitions(KafkaError, code=37, name="INVALID_PARTITIONS"):
    """Partition count not valid."""


class InvalidReplicationFactor(KafkaError, code=38, name="INVALID_REPLICATION_FACTOR"):
    """Replication factor not valid."""


class InvalidReplicaAssignment(KafkaError, code=39, name="INVALID_REPLICA_ASSIGNMENT"):
    """Manual replica assignment not valid."""


class InvalidConfig(KafkaError, code=40, name="INVALID_CONFIG"):
    """Config value not valid."""


class NotController(KafkaError, code=41, name="NOT_CONTROLLER", retriable=True):
    """Not the active controller."""


class InvalidRequest(KafkaError, code=42, name="INVALID_REQUEST"):
    """Malformed request."""


class UnsupportedForMessageFormat(KafkaError, code=43, name="UNSUPPORTED_FOR_MESSAGE_FORMAT"):
    """Message format too old for this request."""


class PolicyViolation(KafkaError, code=44, name="POLICY_VIOLATION"):
    """Rejected by create-topic/alter-config policy."""


class OutOfOrderSequenceNumber(KafkaError, code=45, name="OUT_OF_ORDER_SEQUENCE_NUMBER"):
    """Idempotent sequence gap."""


class DuplicateSequenceNumber(KafkaError, code=46, name="DUPLICATE_SEQUENCE_NUMBER"):
    """Duplicate sequence, batch no longer in the 5-batch cache."""


class InvalidProducerEpoch(KafkaError, code=47, name="INVALID_PRODUCER_EPOCH"):
    """Producer epoch older than the current one."""


class InvalidTxnState(KafkaError, code=48, name="INVALID_TXN_STATE"):
    """Transactional call not legal in the current transaction state."""


class InvalidProducerIdMapping(KafkaError, code=49, name="INVALID_PRODUCER_ID_MAPPING"):
    """Producer id not mapped to this transactional id."""


class InvalidTransactionTimeout(KafkaError, code=50, name="INVALID_TRANSACTION_TIMEOUT"):
    """Transaction timeout above transaction.max.timeout.ms."""


class ConcurrentTransactions(KafkaError, code=51, name="CONCURRENT_TRANSACTIONS", retriable=True):
    """Another operation of this transaction still in progress."""


class TransactionCoordinatorFenced(KafkaError, code=52, name="TRANSACTION_COORDINATOR_FENCED"):
    """Marker from an old coordinator epoch."""


class TransactionalIdAuthorizationFailed(
    KafkaError, code=53, name="TRANSACTIONAL_ID_AUTHORIZATION_FAILED"
):
    """No permission on transactional id."""


class SecurityDisabled(KafkaError, code=54, name="SECURITY_DISABLED"):
    """No authorizer configured."""


class OperationNotAttempted(KafkaError, code=55, name="OPERATION_NOT_ATTEMPTED"):
    """Operation skipped because another in the batch failed."""


class KafkaStorageError(KafkaError, code=56, name="KAFKA_STORAGE_ERROR", retriable=True):
    """Disk error on a log directory."""


class LogDirNotFound(KafkaError, code=57, name="LOG_DIR_NOT_FOUND"):
    """Log directory not configured."""


class SaslAuthenticationFailed(KafkaError, code=58, name="SASL_AUTHENTICATION_FAILED"):
    """SASL authentication failed."""


class UnknownProducerId(KafkaError, code=59, name="UNKNOWN_PRODUCER_ID"):
    """No producer state for this producer id."""


class ReassignmentInProgress(KafkaError, code=60, name="REASSIGNMENT_IN_PROGRESS"):
    """Partition reassignment already running."""


class DelegationTokenAuthDisabled(KafkaError, code=61, name="DELEGATION_TOKEN_AUTH_DISABLED"):
    """Delegation tokens disabled."""


class DelegationTokenNotFound(KafkaError, code=62, name="DELEGATION_TOKEN_NOT_FOUND"):
    """Delegation token not found."""


class DelegationTokenOwnerMismatch(KafkaError, code=63, name="DELEGATION_TOKEN_OWNER_MISMATCH"):
    """Principal is neither owner nor renewer."""


class DelegationTokenRequestNotAllowed(
    KafkaError, code=64, name="DELEGATION_TOKEN_REQUEST_NOT_ALLOWED"
):
    """Token requests not allowed on this channel type."""


class DelegationTokenAuthorizationFailed(
    KafkaError, code=65, name="DELEGATION_TOKEN_AUTHORIZATION_FAILED"
):
    """No permission on delegation token."""


class DelegationTokenExpired(KafkaError, code=66, name="DELEGATION_TOKEN_EXPIRED"):
    """Delegation token expired."""


class InvalidPrincipalType(KafkaError, code=67, name="INVALID_PRINCIPAL_TYPE"):
    """Principal type not supported."""


class NonEmptyGroup(KafkaError, code=68, name="NON_EMPTY_GROUP"):
    """Group still has members."""


class GroupIdNotFound(KafkaError, code=69, name="GROUP_ID_NOT_FOUND"):
    """Group id does not exist."""


class FetchSessionIdNotFound(
    KafkaError, code=70, name="FETCH_SESSION_ID_NOT_FOUND", retriable=True
):
    """Fetch session id unknown."""


class InvalidFetchSessionEpoch(
    KafkaError, code=71, name="INVALID_FETCH_SESSION_EPOCH", retriable=True
):
    """Fetch session epoch not the expected one."""


class ListenerNotFound(KafkaError, code=72, name="LISTENER_NOT_FOUND", retriable=True):
    """Leader has no endpoint for the listener used."""


class TopicDeletionDisabled(KafkaError, code=73, name="TOPIC_DELETION_DISABLED"):
    """Topic deletion disabled."""


class FencedLeaderEpoch(KafkaError, code=74, name="FENCED_LEADER_EPOCH", retriable=True):
    """Leader epoch in request older than the broker has."""


class UnknownLeaderEpoch(KafkaError, code=75, name="UNKNOWN_LEADER_EPOCH", retriable=True):
    """Leader epoch in request newer than the broker has."""


class UnsupportedCompressionType(KafkaError, code=76, name="UNSUPPORTED_COMPRESSION_TYPE"):
    """Compression type not supported by the requester."""


class StaleBrokerEpoch(KafkaError, code=77, name="STALE_BROKER_EPOCH"):
    """Broker epoch changed."""


class OffsetNotAvailable(KafkaError, code=78, name="OFFSET_NOT_AVAILABLE", retriable=True):
    """High watermark not caught up since the election."""


class MemberIdRequired(KafkaError, code=79, name="MEMBER_ID_REQUIRED"):
    """Join again with the member id now given."""


class PreferredLeaderNotAvailable(
    KafkaError, code=80, name="PREFERRED_LEADER_NOT_AVAILABLE", retriable=True
):
    """Preferred replica not available for election."""


class GroupMaxSizeReached(KafkaError, code=81, name="GROUP_MAX_SIZE_REACHED"):
    """Group at group.max.size."""


class FencedInstanceId(KafkaError, code=82, name="FENCED_INSTANCE_ID"):
    """Static instance id taken over by another member."""


class EligibleLeadersNotAvailable(
    KafkaError, code=83, name="ELIGIBLE_LEADERS_NOT_AVAILABLE", retriable=True
):
    """No eligible leader."""


class ElectionNotNeeded(KafkaError, code=84, name="ELECTION_NOT_NEEDED", retriable=True):
    """Election not needed."""


class NoReassignmentInProgress(KafkaError, code=85, name="NO_REASSIGNMENT_IN_PROGRESS"):
    """No reassignment running."""


class GroupSubscribedToTopic(KafkaError, code=86, name="GROUP_SUBSCRIBED_TO_TOPIC"):
    """Group still subscribes to the topic."""


class InvalidRecord(KafkaError, code=87, name="INVALID_RECORD"):
    """Record failed broker validation."""


class UnstableOffsetCommit(KafkaError, code=88, name="UNSTABLE_OFFSET_COMMIT", retriable=True):
    """Transactional offsets still pending."""


class ThrottlingQuotaExceeded(
    KafkaError, code=89, name="THROTTLING_QUOTA_EXCEEDED", retriable=True
):
    """Controller mutation quota exceeded."""


class ProducerFenced(KafkaError, code=90, name="PRODUCER_FENCED"):
    """Newer producer with the same transactional id exists."""


class ResourceNotFound(KafkaError, code=91, name="RESOURCE_NOT_FOUND"):
    """Referenced resource does not exist."""


class DuplicateResource(KafkaError, code=92, name="DUPLICATE_RESOURCE"):
    """Resource named twice in the request."""


class UnacceptableCredential(KafkaError, code=93, name="UNACCEPTABLE_CREDENTIAL"):
    """Credential not acceptable (SCRAM)."""


class InconsistentVoterSet(KafkaError, code=94, name="INCONSISTENT_VOTER_SET"):
    """Sender or receiver not in the voter set."""


class InvalidUpdateVersion(KafkaError, code=95, name="INVALID_UPDATE_VERSION"):
    """Update version not valid."""


class FeatureUpdateFailed(KafkaError, code=96, name="FEATURE_UPDATE_FAILED"):
    """Feature update failed."""


class PrincipalDeserializationFailure(
    KafkaError, code=97, name="PRINCIPAL_DESERIALIZATION_FAILURE"
):
    """Forwarded principal could not be decoded."""


class SnapshotNotFound(KafkaError, code=98, name="SNAPSHOT_NOT_FOUND"):
    """Snapshot does not exist."""


class PositionOutOfRange(KafkaError, code=99, name="POSITION_OUT_OF_RANGE"):
    """Snapshot position out of range."""


class UnknownTopicId(KafkaError, code=100, name="UNKNOWN_TOPIC_ID", retriable=True):
    """Topic id unknown."""


class DuplicateBrokerRegistration(KafkaError, code=101, name="DUPLICATE_BROKER_REGISTRATION"):
    """Broker id in use."""


class BrokerIdNotRegistered(KafkaError, code=102, name="BROKER_ID_NOT_REGISTERED"):
    """Broker id not registered."""


class InconsistentTopicId(KafkaError, code=103, name="INCONSISTENT_TOPIC_ID", retriable=True):
    """Log topic id differs from the request."""


class InconsistentClusterId(KafkaError, code=104, name="INCONSISTENT_CLUSTER_ID"):
    """Cluster id differs."""


class TransactionalIdNotFound(KafkaError, code=105, name="TRANSACTIONAL_ID_NOT_FOUND"):
    """Transactional id unknown."""


class FetchSessionTopicIdError(
    KafkaError, code=106, name="FETCH_SESSION_TOPIC_ID_ERROR", retriable=True
):
    """Fetch session mixes topic ids and names."""


class IneligibleReplica(KafkaError, code=107, name="INELIGIBLE_REPLICA"):
    """Proposed ISR has an ineligible replica."""


class NewLeaderElected(KafkaError, code=108, name="NEW_LEADER_ELECTED"):
    """ISR change done but leader changed."""


class OffsetMovedToTieredStorage(KafkaError, code=109, name="OFFSET_MOVED_TO_TIERED_STORAGE"):
    """Offset now only in tiered storage (follower must build aux state)."""


class FencedMemberEpoch(KafkaError, code=110, name="FENCED_MEMBER_EPOCH"):
    """KIP-848 member epoch fenced; rejoin."""


class UnreleasedInstanceId(KafkaError, code=111, name="UNRELEASED_INSTANCE_ID"):
    """Instance id still held by another member."""


class UnsupportedAssignor(KafkaError, code=112, name="UNSUPPORTED_ASSIGNOR"):
    """Server-side assignor not supported."""


class StaleMemberEpoch(KafkaError, code=113, name="STALE_MEMBER_EPOCH"):
    """Member epoch old; retry with new epoch."""


class MismatchedEndpointType(KafkaError, code=114, name="MISMATCHED_ENDPOINT_TYPE"):
    """Request sent to wrong endpoint kind (broker/controller)."""


class UnsupportedEndpointType(KafkaError, code=115, name="UNSUPPORTED_ENDPOINT_TYPE"):
    """Endpoint type not supported."""


class UnknownControllerId(KafkaError, code=116, name="UNKNOWN_CONTROLLER_ID"):
    """Controller id unknown."""


class UnknownSubscriptionId(KafkaError, code=117, name="UNKNOWN_SUBSCRIPTION_ID"):
    """Telemetry subscription id unknown."""


class TelemetryTooLarge(KafkaError, code=118, name="TELEMETRY_TOO_LARGE"):
    """Telemetry payload too large."""


class InvalidRegistration(KafkaError, code=119, name="INVALID_REGISTRATION"):
    """Broker registration rejected."""


class TransactionAbortable(KafkaError, code=120, name="TRANSACTION_ABORTABLE"):
    """Transaction must be aborted, producer may go on."""


class InvalidRecordState(KafkaError, code=121, name="INVALID_RECORD_STATE"):
    """Share record not in a state that allows this ack."""


class ShareSessionNotFound(KafkaError, code=122, name="SHARE_SESSION_NOT_FOUND", retriable=True):
    """Share session unknown."""


class InvalidShareSessionEpoch(
    KafkaError, code=123, name="INVALID_SHARE_SESSION_EPOCH", retriable=True
):
    """Share session epoch not the expected one."""


class FencedStateEpoch(KafkaError, code=124, name="FENCED_STATE_EPOCH"):
    """Share-group state epoch fenced."""


class InvalidVoterKey(KafkaError, code=125, name="INVALID_VOTER_KEY"):
    """Raft voter key does not match."""


class DuplicateVoter(KafkaError, code=126, name="DUPLICATE_VOTER"):
    """Voter already in the set."""


class VoterNotFound(KafkaError, code=127, name="VOTER_NOT_FOUND"):
    """Voter not in the set."""


class InvalidRegularExpression(KafkaError, code=128, name="INVALID_REGULAR_EXPRESSION"):
    """Regular expression (RE2J) not valid."""


class RebootstrapRequired(KafkaError, code=129, name="REBOOTSTRAP_REQUIRED"):
    """Client must re-bootstrap its metadata."""


class StreamsInvalidTopology(KafkaError, code=130, name="STREAMS_INVALID_TOPOLOGY"):
    """Streams topology not valid."""


class StreamsInvalidTopologyEpoch(KafkaError, code=131, name="STREAMS_INVALID_TOPOLOGY_EPOCH"):
    """Streams topology epoch not valid."""


class StreamsTopologyFenced(KafkaError, code=132, name="STREAMS_TOPOLOGY_FENCED"):
    """Streams topology epoch outdated."""


class ShareSessionLimitReached(
    KafkaError, code=133, name="SHARE_SESSION_LIMIT_REACHED", retriable=True
):
    """Share session limit reached."""
