"""`fastbroker txn abort`: end a transaction whose producer does not."""
from __future__ import annotations

import sys
import time
from typing import Any

import click

from fastbroker import errors
from fastbroker.cli.client import TIMEOUT_S, TRANSACTION, Client, bootstrap_option, check
from fastbroker.cli.durations import duration
from fastbroker.cli.leaders import Leaders
from fastbroker.cli.log_offsets import bounds
from fastbroker.cli.output import Failure, count, screen_width, table, wrapped
from fastbroker.cli.spans import topics_text
from fastbroker.cli.txn.hanging import HEADER, Open, hanging_in, is_living, open_in, owners, row
from fastbroker.cli.txn.transaction import ONGOING, Transaction
from fastbroker.cli.txn.transactions import known
from fastbroker.model import TopicPartition
from fastbroker.protocol.messages.init_producer_id import InitProducerIdRequest
from fastbroker.protocol.messages.write_txn_markers import WriteTxnMarkersRequest


@click.command()
@click.argument("transactional_id", metavar="[ID]", required=False)
@click.option("--topic", metavar="T", help="Of a hanging transaction: where it hangs.")
@click.option("--partition", type=click.IntRange(0), metavar="P", help="Where it hangs.")
@click.option("--start-offset", type=click.IntRange(0), metavar="N", help="Where it begins there.")
@click.option("--producer-id", type=click.IntRange(0), metavar="N", help="Or whose it is.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@bootstrap_option
def abort(
    transactional_id: str | None,
    topic: str | None,
    partition: int | None,
    start_offset: int | None,
    producer_id: int | None,
    yes: bool,
    bootstrap: str,
) -> None:
    """Abort the open transaction of the transactional id ID, and fence its producer.

    A hanging transaction is one that no coordinator knows any more; it is named by --topic and
    --partition with --start-offset or --producer-id, and ended by an abort marker in that
    partition. Without these two, the partition's open transactions are shown. Asks first on a
    terminal.
    """
    is_hanging = topic is not None or partition is not None
    if (transactional_id is None) != is_hanging or (is_hanging and None in (topic, partition)):
        raise click.UsageError("Give a transactional id, or --topic and --partition.")
    if not is_hanging and (start_offset is not None or producer_id is not None):
        raise click.UsageError("--start-offset and --producer-id go with --topic and --partition.")
    with Client(bootstrap) as client:
        if transactional_id is not None:
            _fence(client, known(client, transactional_id), yes=yes)
        else:
            assert topic is not None
            assert partition is not None
            leaders = Leaders(client, [topic])
            where = TopicPartition(topic, partition)
            leaders.leader(where)  # it exists, and can be asked
            found = _chosen(leaders, where, start_offset=start_offset, producer_id=producer_id)
            _refuse_living(client, found)
            _mark(leaders, found, yes=yes)


def _confirm(what: str, *, yes: bool) -> None:
    """Say what is about to be done; ask, if somebody can answer."""
    click.echo(wrapped(what, screen_width(err=True)), err=True)
    if not yes and sys.stdin.isatty() and not click.confirm("go on?", err=True):
        raise Failure("nothing was changed")


def _fence(client: Client, one: Transaction, *, yes: bool) -> None:
    """As Kafka's Admin.fenceProducers: a new epoch, for which the coordinator aborts first."""
    name = one.transactional_id
    if one.state != ONGOING:
        why = "is being ended already" if one.is_open else "has no open transaction"
        raise Failure(f"{name!r} {why} (state {one.state}); there is nothing to abort")
    by_topic: dict[str, list[int]] = {}
    for each in one.partitions:
        by_topic.setdefault(each.topic, []).append(each.partition)
    _confirm(
        f"this aborts the open transaction of {name!r} in {topics_text(by_topic) or 'no partition'}"
        f" and fences producer {one.producer_id}, epoch {one.producer_epoch}: a program that still "
        "uses the id gets an error at its next call and must start anew",
        yes=yes,
    )
    request = InitProducerIdRequest(
        transactional_id=name, transaction_timeout_ms=one.timeout_ms  # the id keeps its timeout
    )

    def fence() -> Any:
        node = client.coordinators([name], TRANSACTION)[name]
        answer = client.call(request, node=node)
        check(answer.error_code, where=f"transactional id {name!r}")
        return answer

    try:
        answer = client.attempt(fence)
    except errors.ConcurrentTransactions:
        raise Failure(
            f"{name!r}: the abort was begun, but is not complete after {TIMEOUT_S:.0f} s; its "
            f"partitions may have no leader (see: fastbroker txn describe {name})"
        ) from None
    click.echo(f"aborted the transaction of {name!r}; its epoch is now {answer.producer_epoch}")


def _chosen(
    leaders: Leaders, where: TopicPartition, *, start_offset: int | None, producer_id: int | None
) -> Open:
    """The open transaction that is meant. Raises Failure that shows those there are."""
    is_open = open_in(leaders, [where])
    if not is_open:
        raise Failure(f"{where} has no open transaction")
    meant = [
        one
        for one in is_open
        if start_offset in (None, one.producer.start_offset)
        and producer_id in (None, one.producer.producer_id)
    ]
    if (start_offset is None and producer_id is None) or not meant:
        now_ms = round(time.time() * 1000)
        rows = [row(one, now_ms) for one in sorted(is_open)]
        click.echo(table(HEADER, rows, width=screen_width()))
        which = "say which with" if meant else "none of them has that"
        raise Failure(
            f"{where} has {count(len(is_open), 'open transaction')}: {which} "
            "--start-offset N or --producer-id N"
        )
    return meant[0]


def _refuse_living(client: Client, found: Open) -> None:
    """Raise Failure when a coordinator will still end the transaction in this partition."""
    known_ones = owners(client, [found.producer.producer_id])
    if not is_living(found, known_ones):
        return
    one = known_ones[found.producer.producer_id]
    name = one.transactional_id
    if one.state == ONGOING:
        how = f"which is open; abort it with: fastbroker txn abort {name}"
    else:
        how = "which is being ended; wait for its coordinator"
    raise Failure(f"it does not hang: it is the transaction of {name!r}, {how}")


def _mark(leaders: Leaders, hung: Open, *, yes: bool) -> None:
    """As Kafka's Admin.abortTransaction: an abort marker written by the partition's leader."""
    where, found = hung
    known_bounds = bounds(leaders, [where])
    for error in known_bounds.failed.values():
        raise error
    before = known_bounds.values[where]
    _confirm(
        f"no coordinator knows the transaction of producer {found.producer_id}, epoch "
        f"{found.producer_epoch}, that has been open in {where} since offset {found.start_offset} "
        f"(last write {duration(time.time() * 1000 - found.last_time_ms)} ago). This writes an "
        "abort marker there: readers of committed records will pass over its records, and go on",
        yes=yes,
    )
    if hung.identity not in {one.identity for one in hanging_in(leaders, [where])}:
        raise Failure(f"{where}: the transaction has ended meanwhile; nothing was changed")
    marker = WriteTxnMarkersRequest.WritableTxnMarker
    request = WriteTxnMarkersRequest(
        markers=[
            marker(
                producer_id=found.producer_id,
                producer_epoch=found.producer_epoch,
                transaction_result=False,
                # A producer whose transactions were never ended has -1; 0 fences nobody.
                coordinator_epoch=max(0, found.coordinator_epoch),
                topics=[
                    marker.WritableTxnMarkerTopic(
                        name=where.topic, partition_indexes=[where.partition]
                    )
                ],
            )
        ]
    )

    def write() -> None:
        (answer,) = leaders.client.call(request, node=leaders.leader(where)).markers
        check(answer.topics[0].partitions[0].error_code, where=str(where))

    leaders.client.attempt(write, timeout_s=0)
    after = bounds(leaders, [where]).values.get(where, before)
    click.echo(
        f"aborted the transaction of producer {found.producer_id} in {where}; its last stable "
        f"offset was {before.stable} and is {after.stable}"
    )
