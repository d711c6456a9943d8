"""What a client of a coordinator is told when a write into its internal topic failed."""
from __future__ import annotations

from fastbroker import errors

_TOLD = {
    errors.UnknownTopicOrPartition: errors.CoordinatorNotAvailable,
    errors.NotEnoughReplicas: errors.CoordinatorNotAvailable,
    errors.NoSpaceLeft: errors.CoordinatorNotAvailable,
    errors.NotEnoughReplicasAfterAppend: errors.CoordinatorNotAvailable,
    errors.RequestTimedOut: errors.CoordinatorNotAvailable,
    errors.NotLeaderOrFollower: errors.NotCoordinator,
    errors.KafkaStorageError: errors.NotCoordinator,
    errors.MessageTooLarge: errors.UnknownServerError,
    errors.RecordListTooLarge: errors.UnknownServerError,
}


def append_error(error: BaseException) -> int:
    """The error code for a failed write: what the log says makes no sense to its client."""
    kind = type(error)
    if not isinstance(error, errors.KafkaError):
        return errors.UnknownServerError.code
    return _TOLD.get(kind, kind).code  # type: ignore[arg-type]
