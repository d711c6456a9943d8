"""AlterClientQuotas (49): alter client quotas."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, boolean, f64, i16, i32, string


class AlterClientQuotasRequest(Struct, key=49, versions="0-1", flexible="1+"):
    class EntryData(Struct):
        class EntityData(Struct):
            entity_type: str = string()
            entity_name: str | None = string(nullable="0+")

        class OpData(Struct):
            key: str = string()
            value: float = f64()
            remove: bool = boolean()

        entity: list[EntityData] = array(EntityData)
        ops: list[OpData] = array(OpData)

    entries: list[EntryData] = array(EntryData)
    validate_only: bool = boolean()


class AlterClientQuotasResponse(Struct, key=49, versions="0-1", flexible="1+"):
    class EntryData(Struct):
        class EntityData(Struct):
            entity_type: str = string()
            entity_name: str | None = string(nullable="0+")

        error_code: int = i16()
        error_message: str | None = string(nullable="0+")
        entity: list[EntityData] = array(EntityData)

    throttle_time_ms: int = i32()
    entries: list[EntryData] = array(EntryData)
