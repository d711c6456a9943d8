"""DescribeClientQuotas (48): describe client quotas."""

from __future__ import annotations

from fastbroker.protocol.schema import Struct, array, boolean, f64, i8, i16, i32, string


class DescribeClientQuotasRequest(Struct, key=48, versions="0-1", flexible="1+"):
    class ComponentData(Struct):
        entity_type: str = string()
        match_type: int = i8()
        match: str | None = string(nullable="0+")

    components: list[ComponentData] = array(ComponentData)
    strict: bool = boolean()


class DescribeClientQuotasResponse(Struct, key=48, versions="0-1", flexible="1+"):
    class EntryData(Struct):
        class EntityData(Struct):
            entity_type: str = string()
            entity_name: str | None = string(nullable="0+")

        class ValueData(Struct):
            key: str = string()
            value: float = f64()

        entity: list[EntityData] = array(EntityData)
        values: list[ValueData] = array(ValueData)

    throttle_time_ms: int = i32()
    error_code: int = i16()
    error_message: str | None = string(nullable="0+")
    entries: list[EntryData] | None = array(EntryData, nullable="0+")
