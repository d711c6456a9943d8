"""`fastbroker topic`: create, list, describe, alter and delete topics."""
from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

from fastbroker import errors
from fastbroker.cli.client import Client, NoSuchTopic, Topic, bootstrap_option, check
from fastbroker.cli.output import Failure, count, json_option, table
from fastbroker.cli.pairs import pairs
from fastbroker.protocol.messages.create_partitions import CreatePartitionsRequest
from fastbroker.protocol.messages.create_topics import CreateTopicsRequest
from fastbroker.protocol.messages.delete_topics import DeleteTopicsRequest
from fastbroker.protocol.messages.describe_configs import DescribeConfigsRequest
from fastbroker.protocol.messages.incremental_alter_configs import IncrementalAlterConfigsRequest
from fastbroker.uuids import uuid_text

TIMEOUT_MS = 30_000
SEEN_S = 5.0  # how long to wait until the brokers know of a change
TOPIC_RESOURCE, TOPIC_SOURCE, DEFAULT_SOURCE = 2, 1, 5
SET, DELETE = 0, 1

config_option = click.option(
    "--config",
    "configs",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of the topic, as in retention.ms=60000. May be repeated.",
)


@click.group()
def topic() -> None:
    """Create, list, describe, alter and delete topics."""


@topic.command()
@click.argument("name")
@click.option(
    "--partitions", type=click.IntRange(1), metavar="N", help="Default: the broker's num.partitions"
)
@click.option(
    "--replication-factor",
    type=click.IntRange(1, 32767),
    metavar="N",
    help="Copies of each partition. Default: the broker's default.replication.factor",
)
@config_option
@click.option("--if-not-exists", is_flag=True, help="A topic that is there already is fine.")
@bootstrap_option
def create(
    name: str,
    partitions: int | None,
    replication_factor: int | None,
    configs: tuple[str, ...],
    if_not_exists: bool,
    bootstrap: str,
) -> None:
    """Create the topic NAME."""
    asked = CreateTopicsRequest.CreatableTopic
    wanted = asked(
        name=name,
        num_partitions=partitions or -1,
        replication_factor=replication_factor or -1,
        configs=[
            asked.CreatableTopicConfig(name=key, value=value) for key, value in pairs(configs)
        ],
    )
    with Client(bootstrap) as client:
        request = CreateTopicsRequest(topics=[wanted], timeout_ms=TIMEOUT_MS)
        try:
            result = client.attempt(lambda: _create(client, request))
        except errors.TopicAlreadyExists:
            if not if_not_exists:
                raise Failure(
                    f"topic {name!r} exists already; see it with: fastbroker topic describe {name}"
                ) from None
            click.echo(f"topic {name!r} exists already")
            return
        _wait(client, name, result.num_partitions)
    if result.num_partitions > 0:
        what = count(result.num_partitions, "partition")
        click.echo(f"created topic {name!r} with {what}")
    else:
        click.echo(f"created topic {name!r}")


def _create(client: Client, request: CreateTopicsRequest) -> Any:
    (result,) = client.call(request).topics
    check(result.error_code, result.error_message, where=f"topic {result.name!r}")
    return result


def _wait(client: Client, name: str, partitions: int) -> None:
    """Until the broker knows the topic and the leaders of `partitions`; SEEN_S at most."""

    def look() -> None:
        (found,) = client.topics([name])
        check(found.error_code, where=f"topic {name!r}")
        if len(found.partitions) < partitions:
            raise errors.LeaderNotAvailable()
        for one in found.partitions:
            check(one.error_code, where=f"{name}-{one.partition_index}")

    try:
        client.attempt(look, timeout_s=SEEN_S)
    except errors.KafkaError:
        click.echo(f"note: topic {name!r} has no leader for every partition yet", err=True)


@topic.command("list")
@click.option("--internal", is_flag=True, help="Kafka's own topics, too, as __consumer_offsets.")
@json_option
@bootstrap_option
def list_(internal: bool, as_json: bool, bootstrap: str) -> None:
    """List the topics."""
    with Client(bootstrap) as client:
        found = [one for one in client.topics() if internal or not one.is_internal]
    if as_json:
        click.echo(json.dumps([_summary(one) for one in found]))
    elif found:
        rows = [(one.name, len(one.partitions), _replication(one)) for one in found]
        click.echo(table(("topic", "partitions", "replicas"), rows))
    else:
        click.echo("no topics yet; create one with: fastbroker topic create NAME", err=True)


@topic.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@json_option
@bootstrap_option
def describe(names: tuple[str, ...], as_json: bool, bootstrap: str) -> None:
    """Show partitions and settings of topics.

    Of all topics without a NAME; of the settings those that differ from Kafka's defaults.
    """
    with Client(bootstrap) as client:
        if names:
            found = [_known(client, name) for name in dict.fromkeys(names)]
        else:
            found = [one for one in client.topics() if not one.is_internal]
        settings = _settings(client, [one.name or "" for one in found])
    if as_json:
        click.echo(
            json.dumps(
                [{**_summary(one), **_detail(one, settings[one.name or ""])} for one in found]
            )
        )
    elif found:
        click.echo("\n\n".join(_page(one, settings[one.name or ""]) for one in found))
    else:
        click.echo("no topics yet; create one with: fastbroker topic create NAME", err=True)


def _known(client: Client, name: str) -> Topic:
    """The topic; Failure that names one with a similar name when there is none."""
    try:
        return client.topic(name)
    except NoSuchTopic:
        names = [one.name or "" for one in client.topics()]
        near = difflib.get_close_matches(name, names, n=1)
        remedy = f"did you mean {near[0]!r}?" if near else "list them with: fastbroker topic list"
        raise Failure(f"there is no topic {name!r}; {remedy}") from None


def _settings(client: Client, names: Sequence[str]) -> dict[str, list[Any]]:
    """By topic, the settings that somebody made, on the topic or on the broker."""
    if not names:
        return {}
    asked = DescribeConfigsRequest.DescribeConfigsResource
    request = DescribeConfigsRequest(
        resources=[
            asked(resource_type=TOPIC_RESOURCE, resource_name=name, configuration_keys=None)
            for name in names
        ]
    )
    out = {}
    for result in client.call(request).results:
        check(result.error_code, result.error_message, where=f"topic {result.resource_name!r}")
        changed = [one for one in result.configs if one.config_source != DEFAULT_SOURCE]
        out[result.resource_name] = sorted(changed, key=lambda one: (one.config_source, one.name))
    return out


def _replication(found: Topic) -> int:
    return max((len(one.replica_nodes) for one in found.partitions), default=0)


def _id(found: Topic) -> str:
    """As Kafka's tools print it."""
    return uuid_text(found.topic_id)


def _summary(found: Topic) -> dict[str, Any]:
    return {
        "name": found.name,
        "id": _id(found),
        "internal": found.is_internal,
        "partition_count": len(found.partitions),
        "replication_factor": _replication(found),
    }


def _detail(found: Topic, settings: Sequence[Any]) -> dict[str, Any]:
    return {
        "configs": {one.name: one.value for one in settings},
        "partitions": [
            {
                "partition": one.partition_index,
                "leader": one.leader_id if one.leader_id >= 0 else None,
                "leader_epoch": one.leader_epoch,
                "replicas": one.replica_nodes,
                "isr": one.isr_nodes,
            }
            for one in found.partitions
        ],
    }


def _page(found: Topic, settings: Sequence[Any]) -> str:
    lines = [f"{found.name}  (id {_id(found)})"]
    for one in settings:
        origin = "" if one.config_source == TOPIC_SOURCE else "  (set for the broker)"
        lines.append(f"  {one.name} = {'(hidden)' if one.is_sensitive else one.value}{origin}")
    rows = [
        (
            one.partition_index,
            one.leader_id if one.leader_id >= 0 else "none",
            ",".join(map(str, one.replica_nodes)),
            ",".join(map(str, one.isr_nodes)) or "none",
        )
        for one in found.partitions
    ]
    lines.append(table(("partition", "leader", "replicas", "isr"), rows, indent="  "))
    return "\n".join(lines)


@topic.command()
@click.argument("name")
@click.option(
    "--partitions", type=click.IntRange(1), metavar="N", help="The new number; it can only grow."
)
@config_option
@click.option(
    "--delete-config",
    "removed",
    multiple=True,
    metavar="KEY",
    help="Back to the default. May be repeated.",
)
@bootstrap_option
def alter(
    name: str,
    partitions: int | None,
    configs: tuple[str, ...],
    removed: tuple[str, ...],
    bootstrap: str,
) -> None:
    """Change settings or the number of partitions of the topic NAME."""
    changes = [(key, SET, value) for key, value in pairs(configs)]
    changes += [(key, DELETE, "") for key in removed]
    if not changes and partitions is None:
        raise click.UsageError("Nothing to change: give --partitions, --config or --delete-config.")
    with Client(bootstrap) as client:
        before = len(_known(client, name).partitions)
        if changes:
            _alter_configs(client, name, changes)
            for key, operation, value in changes:
                what = f"set {key} = {value}" if operation == SET else f"{key} is the default again"
                click.echo(f"topic {name!r}: {what}")
        if partitions is not None:
            _add_partitions(client, name, partitions)
            _wait(client, name, partitions)
            click.echo(f"topic {name!r}: {count(partitions, 'partition')}, before {before}")


def _alter_configs(client: Client, name: str, changes: Iterable[tuple[str, int, str]]) -> None:
    resource = IncrementalAlterConfigsRequest.AlterConfigsResource
    request = IncrementalAlterConfigsRequest(
        resources=[
            resource(
                resource_type=TOPIC_RESOURCE,
                resource_name=name,
                configs=[
                    resource.AlterableConfig(
                        name=key,
                        config_operation=operation,
                        value=value if operation == SET else None,
                    )
                    for key, operation, value in changes
                ],
            )
        ]
    )

    def change() -> None:
        (result,) = client.call(request).responses
        check(result.error_code, result.error_message, where=f"topic {name!r}")

    client.attempt(change)


def _add_partitions(client: Client, name: str, partitions: int) -> None:
    asked = CreatePartitionsRequest.CreatePartitionsTopic
    request = CreatePartitionsRequest(
        topics=[asked(name=name, count=partitions, assignments=None)], timeout_ms=TIMEOUT_MS
    )

    def change() -> None:
        (result,) = client.call(request).results
        check(result.error_code, result.error_message, where=f"topic {name!r}")

    client.attempt(change)


@topic.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@bootstrap_option
def delete(names: tuple[str, ...], yes: bool, bootstrap: str) -> None:
    """Delete topics with all of their records. Asks first on a terminal."""
    with Client(bootstrap) as client:
        for found in [_known(client, name) for name in dict.fromkeys(names)]:
            name = found.name or ""
            what = f"topic {name!r} with {count(len(found.partitions), 'partition')}"
            if not yes and sys.stdin.isatty():
                question = f"delete {what} and all of its records?"
                if not click.confirm(question, err=True):
                    raise Failure(f"topic {name!r} stays as it was")
            _delete(client, name)
            click.echo(f"deleted {what}")


def _delete(client: Client, name: str) -> None:
    """Delete, and wait until the broker has forgotten it, SEEN_S at most."""
    request = DeleteTopicsRequest(
        topics=[DeleteTopicsRequest.DeleteTopicState(name=name)],
        topic_names=[name],
        timeout_ms=TIMEOUT_MS,
    )

    def change() -> None:
        (result,) = client.call(request).responses
        check(result.error_code, result.error_message, where=f"topic {name!r}")

    def is_gone() -> None:
        if client.topics([name])[0].error_code != errors.UnknownTopicOrPartition.code:
            raise errors.LeaderNotAvailable()

    client.attempt(change, timeout_s=0)
    try:
        client.attempt(is_gone, timeout_s=SEEN_S)
    except errors.LeaderNotAvailable:
        click.echo(f"note: topic {name!r} is still being deleted", err=True)
