"""DescribeConfigs, AlterConfigs, IncrementalAlterConfigs: values of topics, groups and brokers."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastbroker.config.group import GROUP_KEYS, GroupKey
from fastbroker.config.keys import KEYS, READ_ONLY
from fastbroker.config.topic import TOPIC_KEYS, TopicConfig, TopicKey
from fastbroker.errors import InvalidRequest, KafkaError, RequestTimedOut
from fastbroker.handlers.context import Broker, RequestContext
from fastbroker.handlers.creation import arrived
from fastbroker.handlers.metadata import check_topic_name
from fastbroker.handlers.registry import handles
from fastbroker.metadata.image import BROKER, GROUP, TOPIC
from fastbroker.model import Deferred
from fastbroker.protocol.messages.alter_configs import AlterConfigsRequest, AlterConfigsResponse
from fastbroker.protocol.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResponse,
)
from fastbroker.protocol.messages.incremental_alter_configs import (
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)

Result = DescribeConfigsResponse.DescribeConfigsResult
Entry = Result.DescribeConfigsResourceResult
Synonym = Entry.DescribeConfigsSynonym
Chain = list[tuple[str, str | None, int]]  # (name, value, source), the one in force first

# Where a value comes from, as DescribeConfigs says it.
OF_TOPIC, DYNAMIC_BROKER, DYNAMIC_DEFAULT_BROKER, STATIC_BROKER, DEFAULT = 1, 2, 3, 4, 5
OF_GROUP = 8
# Broker keys by those that count instead when they are set, as log.roll.hours by log.roll.ms.
OLDER = {
    name: key.broker_keys[at + 1 :]
    for key in TOPIC_KEYS.values()
    for at, name in enumerate(key.broker_keys)
    if key.older
}
CHANGE_ARRIVAL_MS = 200


@handles(DescribeConfigsRequest)
def describe_configs(
    ctx: RequestContext, request: DescribeConfigsRequest
) -> DescribeConfigsResponse:
    """Behaviour
    - Topics, and this broker (by its id, or "" for the defaults of all): each key with its value in
      force, where that comes from, and with include_synonyms what stands behind it.
    - A group, whether or not it exists.
    - An unknown topic is UNKNOWN_TOPIC_OR_PARTITION; another broker's id, or another kind of
      resource, INVALID_REQUEST.

    Versions: 1 is the first; 3 documentation and types.
    """
    results = [_describe(ctx, one, request) for one in request.resources]
    return DescribeConfigsResponse(results=results)


def _describe(ctx: RequestContext, asked: Any, request: DescribeConfigsRequest) -> Any:
    kind, name = asked.resource_type, asked.resource_name
    result = Result(resource_type=kind, resource_name=name, configs=[])
    try:
        if kind == TOPIC:
            check_topic_name(name)
            ctx.broker.topic(name)
            entries = _topic_entries(ctx.broker, name)
        elif kind == BROKER:
            entries = _broker_entries(ctx.broker, name)
        elif kind == GROUP:
            entries = _group_entries(ctx.broker, name)
        else:
            raise InvalidRequest(
                f"resource type {kind} is not supported: topics (2), brokers (4), groups (32)"
            )
    except KafkaError as error:
        result.error_code, result.error_message = error.code, error.message
        return result
    wanted = asked.configuration_keys or None  # an empty list asks for all, too
    for entry in entries:
        if wanted is None or entry.name in wanted:
            if not request.include_synonyms:
                entry.synonyms = ()
            if not request.include_documentation:
                entry.documentation = None
            result.configs.append(entry)
    return result


def _topic_entries(broker: Broker, topic: str) -> list[Any]:
    overrides, config = broker.image.topic_configs(topic), broker.topic_config(topic)
    return [_topic_entry(broker, key, overrides, config) for key in TOPIC_KEYS.values()]


def _topic_entry(
    broker: Broker, key: TopicKey, overrides: Mapping[str, str], config: TopicConfig
) -> Any:
    chain: Chain = []
    if key.name in overrides:
        chain.append((key.name, overrides[key.name], OF_TOPIC))
    for name in key.broker_keys:
        # Older keys show when they are set; the defaults of all are the topic's own.
        if name == key.synonym or name in broker.config.explicit:
            found = _broker_chain(broker, name)
            chain += found
            if found:
                break
    value = key.kind.format(getattr(config, key.attribute))
    return Entry(
        name=key.name,
        value=overrides.get(key.name, value),
        config_source=chain[0][2] if chain else DEFAULT,
        synonyms=_synonyms(chain),
        config_type=key.kind.code,
        documentation=key.doc,
    )


def _broker_chain(broker: Broker, name: str) -> Chain:
    """What was set for a broker key and its default, strongest first; behind them, if there are
    any, older keys of the same meaning."""
    out = _chain_of_one(broker, name)
    for older in OLDER.get(name, ()) if out else ():
        out += _chain_of_one(broker, older)
    return out


def _chain_of_one(broker: Broker, name: str) -> Chain:
    key, configs = KEYS[name], broker.image.configs
    texts = [
        (configs.get((BROKER, str(broker.broker_id)), {}).get(name), DYNAMIC_BROKER),
        (configs.get((BROKER, ""), {}).get(name), DYNAMIC_DEFAULT_BROKER),
        (broker.config.given.get(name), STATIC_BROKER),
        (key.kind.format(key.default), DEFAULT),
    ]
    return [
        (name, key.kind.format(key.kind.parse(text)), source)
        for text, source in texts
        if text is not None
    ]


def _synonyms(chain: Chain) -> list[Any]:
    return [Synonym(name=name, value=value, source=source) for name, value, source in chain]


def _broker_entries(broker: Broker, name: str) -> list[Any]:
    if name == "":
        defaults = broker.image.configs.get((BROKER, ""), {})
        return [
            _entry(key, [(key, value, DYNAMIC_DEFAULT_BROKER)]) for key, value in defaults.items()
        ]
    if name != str(broker.broker_id):
        raise InvalidRequest(
            f"broker {name} cannot be described here: this is {broker.broker_id}; ask that one"
        )
    return [_entry(key, _broker_chain(broker, key)) for key in KEYS]


def _group_entries(broker: Broker, group_id: str) -> list[Any]:
    if not group_id:
        raise InvalidRequest("Group name must not be empty")
    overrides = broker.image.group_configs(group_id)
    return [_group_entry(broker, key, overrides) for key in GROUP_KEYS.values()]


def _group_entry(broker: Broker, key: GroupKey, overrides: Mapping[str, str]) -> Any:
    chain: Chain = [(key.name, overrides[key.name], OF_GROUP)] if key.name in overrides else []
    if key.synonym in KEYS:
        chain += _broker_chain(broker, key.synonym)
    else:
        chain.append((key.synonym, key.kind.format(key.default), DEFAULT))
    return Entry(
        name=key.name,
        value=chain[0][1],
        config_source=chain[0][2],
        synonyms=_synonyms(chain),
        config_type=key.kind.code,
        documentation=key.doc,
    )


def _entry(name: str, chain: Chain) -> Any:
    key = KEYS[name]
    return Entry(
        name=name,
        value=chain[0][1] if chain else None,
        read_only=key.scope == READ_ONLY,
        config_source=chain[0][2] if chain else DEFAULT,
        synonyms=_synonyms(chain),
        config_type=key.kind.code,
        documentation=key.doc,
    )


def _altered(ctx: RequestContext, request: Any, response: type[Any]) -> Deferred[Any]:
    """The controller's answer, given once this broker has the change."""
    done: Deferred[Any] = Deferred()
    before = ctx.broker.image.offset

    def answered(answer: Deferred[Any]) -> None:
        if answer.error is not None:
            code = getattr(answer.error, "code", RequestTimedOut.code)
            one = response.AlterConfigsResourceResponse
            failed = [
                one(
                    error_code=code,
                    error_message=str(answer.error),
                    resource_type=asked.resource_type,
                    resource_name=asked.resource_name,
                )
                for asked in request.resources
            ]
            done.complete(response(responses=failed))
            return
        said = answer.result()
        if request.validate_only or all(one.error_code for one in said.responses):
            done.complete(said)
            return
        arrived(
            ctx, lambda: ctx.broker.image.offset > before, within_ms=CHANGE_ARRIVAL_MS
        ).then(lambda _: done.complete(said))

    ctx.broker.forward(request, ctx).then(answered)
    return done


@handles(AlterConfigsRequest)
def alter_configs(ctx: RequestContext, request: AlterConfigsRequest) -> Deferred[Any]:
    """Behaviour
    - Replaces all overrides of a resource; see metadata/controller/configs.py. Topic values take
      effect at once.

    Versions: 2 is flexible.
    """
    return _altered(ctx, request, AlterConfigsResponse)


@handles(IncrementalAlterConfigsRequest)
def incremental_alter_configs(
    ctx: RequestContext, request: IncrementalAlterConfigsRequest
) -> Deferred[Any]:
    """Behaviour
    - Sets, deletes, appends to or subtracts from single overrides (KIP-339).

    Versions: 1 is flexible.
    """
    return _altered(ctx, request, IncrementalAlterConfigsResponse)
