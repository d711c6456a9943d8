"""The registry of APIs: from an api key to its request and response classes.

Modules are imported at first use, so a process pays for the APIs that it serves. Versions are
stated once, in the class of the request.
"""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from fastbroker.protocol.schema import Struct

# Keys 4 to 7 were ZooKeeper's and are gone since Kafka 4.0.
NAMES = {
    0: "Produce", 1: "Fetch", 2: "ListOffsets", 3: "Metadata", 8: "OffsetCommit", 9: "OffsetFetch",
    10: "FindCoordinator", 11: "JoinGroup", 12: "Heartbeat", 13: "LeaveGroup", 14: "SyncGroup",
    15: "DescribeGroups", 16: "ListGroups", 17: "SaslHandshake", 18: "ApiVersions",
    19: "CreateTopics", 20: "DeleteTopics", 21: "DeleteRecords", 22: "InitProducerId",
    23: "OffsetForLeaderEpoch", 24: "AddPartitionsToTxn", 25: "AddOffsetsToTxn", 26: "EndTxn",
    27: "WriteTxnMarkers", 28: "TxnOffsetCommit", 29: "DescribeAcls", 30: "CreateAcls",
    31: "DeleteAcls", 32: "DescribeConfigs", 33: "AlterConfigs", 34: "AlterReplicaLogDirs",
    35: "DescribeLogDirs", 36: "SaslAuthenticate", 37: "CreatePartitions",
    38: "CreateDelegationToken", 39: "RenewDelegationToken", 40: "ExpireDelegationToken",
    41: "DescribeDelegationToken", 42: "DeleteGroups", 43: "ElectLeaders",
    44: "IncrementalAlterConfigs", 45: "AlterPartitionReassignments",
    46: "ListPartitionReassignments", 47: "OffsetDelete", 48: "DescribeClientQuotas",
    49: "AlterClientQuotas", 50: "DescribeUserScramCredentials", 51: "AlterUserScramCredentials",
    52: "Vote", 53: "BeginQuorumEpoch", 54: "EndQuorumEpoch", 55: "DescribeQuorum",
    56: "AlterPartition", 57: "UpdateFeatures", 58: "Envelope", 59: "FetchSnapshot",
    60: "DescribeCluster", 61: "DescribeProducers", 62: "BrokerRegistration",
    63: "BrokerHeartbeat", 64: "UnregisterBroker", 65: "DescribeTransactions",
    66: "ListTransactions", 67: "AllocateProducerIds", 68: "ConsumerGroupHeartbeat",
    69: "ConsumerGroupDescribe", 70: "ControllerRegistration", 71: "GetTelemetrySubscriptions",
    72: "PushTelemetry", 73: "AssignReplicasToDirs", 74: "ListConfigResources",
    75: "DescribeTopicPartitions", 76: "ShareGroupHeartbeat", 77: "ShareGroupDescribe",
    78: "ShareFetch", 79: "ShareAcknowledge", 80: "AddRaftVoter", 81: "RemoveRaftVoter",
    82: "UpdateRaftVoter", 83: "InitializeShareGroupState", 84: "ReadShareGroupState",
    85: "WriteShareGroupState", 86: "DeleteShareGroupState", 87: "ReadShareGroupStateSummary",
    88: "StreamsGroupHeartbeat", 89: "StreamsGroupDescribe", 90: "DescribeShareGroupOffsets",
    91: "AlterShareGroupOffsets", 92: "DeleteShareGroupOffsets",
}  # fmt: skip
KEYS = {name: key for key, name in NAMES.items()}


class Api(NamedTuple):
    """One API. [first, last] are the versions Kafka 4.3 has; the highest may be unstable."""

    key: int
    name: str
    first: int
    last: int
    last_stable: int
    first_flexible: int
    request: type[Struct]
    response: type[Struct]


_apis: dict[int, Api] = {}


def api(key: int) -> Api:
    """The API called by `key`; KeyError for a number that Kafka 4.3 does not know."""
    found = _apis.get(key)
    if found is None:
        name = NAMES[key]
        module = import_module(f"fastbroker.protocol.messages.{snake_case(name)}")
        request: type[Struct] = getattr(module, f"{name}Request")
        first, last = request.VERSIONS
        last_stable = min(last, request.UNSTABLE[0] - 1) if request.UNSTABLE[0] > 1 else last
        flexible = request.FLEXIBLE[0] if request.FLEXIBLE[0] <= request.FLEXIBLE[1] else 32767
        response: type[Struct] = getattr(module, f"{name}Response")
        found = Api(key, name, first, last, last_stable, flexible, request, response)
        _apis[key] = found
    return found


def snake_case(name: str) -> str:
    """OffsetForLeaderEpoch -> offset_for_leader_epoch."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
