"""AlterConfigs and IncrementalAlterConfigs: overrides of topics and groups, values of brokers.

A broker resource is named by its id; the empty name means every broker. AlterConfigs replaces
all overrides of a resource, IncrementalAlterConfigs (KIP-339) changes those that it names.
Kafka: ConfigurationControlManager, ControllerConfigurationValidator, ConfigAdminManager.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fastbroker import errors
from fastbroker.config import group as group_configs
from fastbroker.config.group import GROUP_KEYS, BrokerValues
from fastbroker.config.keys import CLUSTER_WIDE, KEYS, PER_BROKER
from fastbroker.config.kinds import Kind
from fastbroker.config.topic import TOPIC_KEYS, validate_override
from fastbroker.metadata.controller.outcome import Outcome
from fastbroker.metadata.controller.topics import check_name
from fastbroker.metadata.image import BROKER, GROUP, TOPIC, MetadataImage, ResourceKey
from fastbroker.protocol.messages.alter_configs import AlterConfigsRequest, AlterConfigsResponse
from fastbroker.protocol.messages.incremental_alter_configs import (
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)
from fastbroker.protocol.metadata_records import ConfigRecord
from fastbroker.protocol.schema import Struct

BROKER_DIGITS_MAX = 10  # of an int32
SET, DELETE, APPEND, SUBTRACT = range(4)
# As in requests: topic, broker, broker logger, client metrics, group.
RESOURCE_TYPES = {2, 4, 8, 16, 32}

Changes = dict[str, str | None]


def alter_configs(
    image: MetadataImage, request: AlterConfigsRequest, *, config: BrokerValues
) -> Outcome:
    """Replace the overrides of every resource of the request that may have them.

    config: the broker's, for the bounds of what groups may have.
    """

    def changes(resource: AlterConfigsRequest.AlterConfigsResource) -> Changes:
        _check_entries((c.name for c in resource.configs), _without_value(resource.configs))
        current = image.configs.get((resource.resource_type, resource.resource_name), {})
        out: Changes = {config.name: config.value for config in resource.configs}
        return out | {name: None for name in current if name not in out}

    answer = AlterConfigsResponse.AlterConfigsResourceResponse
    records, results = _alter(image, request.resources, changes, answer, config)
    response = AlterConfigsResponse(responses=results)
    return Outcome([] if request.validate_only else records, response)


def incremental_alter_configs(
    image: MetadataImage, request: IncrementalAlterConfigsRequest, *, config: BrokerValues
) -> Outcome:
    """Change single overrides of every resource of the request that may have them.

    config: the broker's, for the bounds of what groups may have.
    """

    def changes(resource: IncrementalAlterConfigsRequest.AlterConfigsResource) -> Changes:
        set_to_null = _without_value(c for c in resource.configs if c.config_operation != DELETE)
        _check_entries((c.name for c in resource.configs), set_to_null)
        current = image.configs.get((resource.resource_type, resource.resource_name), {})
        return {
            c.name: _operated(
                resource.resource_type, c.name, c.config_operation, current.get(c.name), c.value
            )
            for c in resource.configs
        }

    answer = IncrementalAlterConfigsResponse.AlterConfigsResourceResponse
    records, results = _alter(image, request.resources, changes, answer, config)
    response = IncrementalAlterConfigsResponse(responses=results)
    return Outcome([] if request.validate_only else records, response)


def _alter(
    image: MetadataImage,
    resources: Sequence[Any],
    changes_of: Callable[[Any], Changes],
    answer: Callable[..., Any],
    config: BrokerValues,
) -> tuple[list[Struct], list[Any]]:
    times = Counter((r.resource_type, r.resource_name) for r in resources)
    records: list[Struct] = []
    results = []
    for resource in resources:
        key = (resource.resource_type, resource.resource_name)
        result = answer(resource_type=key[0], resource_name=key[1], error_message=None)
        results.append(result)
        try:
            if times[key] > 1:
                raise errors.InvalidRequest("Each resource must appear at most once.")
            _check_resource(image, key)
            changes = changes_of(resource)
            for name, value in changes.items():
                _check_value(key, name, value, config)
            if key[0] == GROUP:
                after = {**image.configs.get(key, {}), **changes}
                group_configs.validate_together(
                    {name: value for name, value in after.items() if value is not None}, config
                )
        except errors.KafkaError as error:
            result.error_code, result.error_message = error.code, error.message
            continue
        current = image.configs.get(key, {})
        records += [
            ConfigRecord(resource_type=key[0], resource_name=key[1], name=name, value=value)
            for name, value in changes.items()
            # A broker's value is written even if it is the same: that makes it read files again.
            if current.get(name) != value or key[0] == BROKER
        ]
    return records, results


def _check_resource(image: MetadataImage, key: ResourceKey) -> None:
    kind, name = key
    if kind not in RESOURCE_TYPES:
        raise errors.InvalidRequest(f"Unknown resource type {kind}.")
    if kind == TOPIC:
        if not name:
            raise errors.InvalidRequest("Default topic resources are not allowed.")
        check_name(name)
        if name not in image.topics:
            raise errors.UnknownTopicOrPartition(f"The topic '{name}' does not exist.")
    elif kind == BROKER:
        if not name:
            return
        digits = name.removeprefix("-")
        if not digits.isascii() or not digits.isdigit() or len(digits) > BROKER_DIGITS_MAX:
            raise errors.InvalidRequest("Unable to parse broker name as a base 10 number.")
        if int(name) < 0:
            raise errors.InvalidRequest("Invalid negative broker ID.")
        if int(name) not in image.brokers:
            raise errors.InvalidRequest(f"No broker with id {name} is registered.")
    elif kind == GROUP:
        if not name:
            raise errors.InvalidRequest("Default group resources are not allowed.")
    else:
        raise errors.InvalidRequest(
            f"Configs of resource type {kind} cannot be kept yet: topics (2), brokers (4) and"
            " groups (32) can"
        )


def _check_value(key: ResourceKey, name: str, value: str | None, config: BrokerValues) -> None:
    """Raise InvalidConfig for what a topic or a group may not have, InvalidRequest for what a
    broker may not.

    The two differ as on Kafka.
    """
    if key[0] == TOPIC:
        if value is not None:
            validate_override(name, value)
        elif name not in TOPIC_KEYS:
            raise errors.InvalidConfig(f"Unknown topic config name: {name}")
        return
    if key[0] == GROUP:
        if value is not None:
            group_configs.validate_override(name, value, config)
        return
    known = KEYS.get(name)
    if known is None:
        raise errors.InvalidRequest(f"Unknown broker config name: {name}")
    if known.scope == PER_BROKER and not key[1]:
        raise errors.InvalidRequest(
            f"Cannot update {name} at default cluster level: a broker id must be specified"
        )
    if known.scope not in (PER_BROKER, CLUSTER_WIDE):
        raise errors.InvalidRequest(
            f"Cannot update {name} dynamically: set it in the broker's properties file and restart"
        )
    if value is not None:
        try:
            known.kind.parse(value)
        except ValueError as error:
            raise errors.InvalidRequest(
                f"Invalid value {value} for configuration {name}: {error}"
            ) from None


def _operated(
    resource_type: int, name: str, operation: int, current: str | None, value: str | None
) -> str | None:
    if operation == SET:
        return value
    if operation == DELETE:
        return None
    if operation not in (APPEND, SUBTRACT):
        raise errors.InvalidRequest(f"Unknown config operation {operation} on {name}")
    kind, default = _kind(resource_type, name)
    if kind is None or kind.name != "LIST":
        verb = "APPEND" if operation == APPEND else "SUBTRACT"
        raise errors.InvalidConfig(f"Can't {verb} to key {name} because its type is not LIST.")
    text = current if current is not None else kind.format(default)
    items = [item for item in (text or "").split(",") if item]
    for item in (value or "").split(","):
        if operation == SUBTRACT and item in items:
            items.remove(item)
        elif operation == APPEND and item not in items:
            items.append(item)
    return ",".join(items)


def _kind(resource_type: int, name: str) -> tuple[Kind | None, Any]:
    key: Any = KEYS.get(name)
    if resource_type in (TOPIC, GROUP):
        key = (TOPIC_KEYS if resource_type == TOPIC else GROUP_KEYS).get(name)
    return (None, None) if key is None else (key.kind, key.default)


def _without_value(entries: Iterable[Any]) -> list[str]:
    return [entry.name for entry in entries if entry.value is None]


def _check_entries(names: Iterable[str], nulls: list[str]) -> None:
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise errors.InvalidRequest(f"Error due to duplicate config keys : {','.join(twice)}")
    if nulls:
        raise errors.InvalidRequest(f"Null value not supported for : {','.join(nulls)}")
