"""DeleteTopics (20): delete topics by name or id."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, i16, i32, string, uuid


class DeleteTopicsRequest(Struct, key=20, versions="1-6", flexible="4+"):
    class DeleteTopicState(Struct):
        name: str | None = string("6+", default=None, nullable="6+")
        topic_id: bytes = uuid("6+")

    topics: list[DeleteTopicState] = array(DeleteTopicState, "6+")
    topic_names: list[str] = array(string(), "1-5")
    timeout_ms: int = i32()


class DeleteTopicsResponse(Struct, key=20, versions="1-6", flexible="4+"):
    class DeletableTopicResult(Struct):
        name: str | None = string(nullable="6+")
        topic_id: bytes = uuid("6+")
        error_code: int = i16()
        error_message: str | None = string("5+", default=None, nullable="5+")

    throttle_time_ms: int = i32()
    responses: list[DeletableTopicResult] = array(DeletableTopicResult)
