"""One controller's quorum, log and image: effects are carried out here.

The image is that of the log's end. What has not been committed yet can be seen by the next rule and
by nobody else: observers get records below the high watermark, answers wait for it.
"""

from __future__ import annotations

import logging
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable, Sequence
from time import time_ns

from fastbroker.controller.home import Home, Identity
from fastbroker.metadata.delta import MetadataDelta
from fastbroker.metadata.features import bootstrap_records
from fastbroker.metadata.image import MetadataImage
from fastbroker.model import Deferred, OffsetAndEpoch
from fastbroker.protocol.record_frames import decode_metadata_batch, encode_metadata_record
from fastbroker.protocol.schema import Struct
from fastbroker.raft import messages as m
from fastbroker.raft.epochs import EpochHistory
from fastbroker.raft.quorum import Quorum

log = logging.getLogger(__name__)

REPLAY_BYTES = 4 << 20


def now_ms() -> int:
    """The wall clock."""
    return time_ns() // 1_000_000


class Node:
    """The controller's state and how it changes.

    answer(effect), wait(effect): what to do with a fetch that the quorum has decided on.
    fatal(error): called when a write or flush failed; nothing may go on after that.
    Owned by the controller process's loop.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        home: Home,
        identity: Identity,
        *,
        fatal: Callable[[BaseException], object],
    ) -> None:
        self.loop, self.home, self.identity, self.fatal = loop, home, identity, fatal
        self.answer: Callable[[m.Answer], object] = lambda _: None
        self.wait: Callable[[m.Wait], object] = lambda _: None
        self.log = home.open_log(now_ms())
        own = m.ReplicaKey(identity.node_id, identity.directory_id)
        self.quorum = Quorum(
            own,
            [own],
            state=home.quorum_state(),
            epochs=EpochHistory(OffsetAndEpoch(start, e) for e, start in self.log.epochs.entries),
            log_start_offset=self.log.log_start_offset,
            log_end_offset=self.log.log_end_offset,
        )
        self.image = self._replayed()
        self._uncommitted: deque[tuple[int, Deferred[None]]] = deque()
        self._flush_due = False

    def start(self) -> None:
        """Become the leader, commit its first record, and the cluster's first ones if it is new."""
        self.step(m.Started())
        self._flush()
        if not self.image.features:
            self.propose(bootstrap_records())
            self._flush()

    def propose(self, records: Sequence[Struct]) -> Deferred[None]:
        """Append `records` as one batch; done when it, and all before it, is committed.

        Without records: when everything that the image holds is committed. Raises NotController.
        """
        if records:
            # Replayed before anything is written: a record that cannot be is a bug of its rule.
            delta = MetadataDelta(self.image)
            delta.replay_all(records)
            self.step(m.Propose([encode_metadata_record(record) for record in records]))
            self.image = delta.image(self.quorum.log_end_offset - 1, self.quorum.state.epoch)
        done: Deferred[None] = Deferred()
        if self.quorum.log_end_offset <= self.quorum.high_watermark:
            done.complete(None)
        else:
            self._uncommitted.append((self.quorum.log_end_offset, done))
        return done

    def step(self, message: m.Message) -> None:
        """Give the quorum a message and carry out what it wants."""
        for effect in self.quorum.step(message, now_ms()):
            match effect:
                case m.Append():
                    self._append(effect)
                case m.Committed():
                    while self._uncommitted and self._uncommitted[0][0] <= effect.high_watermark:
                        self._uncommitted.popleft()[1].complete(None)
                case m.Answer():
                    self.answer(effect)
                case m.Wait():
                    self.wait(effect)
                case m.SaveState():
                    self.home.save(effect.state)

    def close(self) -> None:
        """Flush and close the log."""
        self.log.close()

    def _append(self, append: m.Append) -> None:
        try:
            info = self.log.append_internal(
                append.batch, leader_epoch=append.leader_epoch, now_ms=now_ms()
            )
        except BaseException as error:
            # The quorum counts the batch already: the state in memory is ahead of the disk.
            self.fatal(error)
            raise
        assert (info.first_offset, info.last_offset) == (append.first_offset, append.last_offset)
        if not self._flush_due:
            self._flush_due = True
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        if not self._flush_due:
            return
        self._flush_due = False
        try:
            self.log.flush()
            self.step(m.Flushed(self.log.flushed_offset))
        except BaseException as error:
            self.fatal(error)
            raise

    def _replayed(self) -> MetadataImage:
        """The image of the log's end."""
        delta = MetadataDelta(MetadataImage.empty())
        offset, end, epoch = self.log.log_start_offset, self.log.log_end_offset, -1
        while offset < end:
            for batch in self.log.batches(offset, REPLAY_BYTES, end):
                if not batch.header.is_control:
                    delta.replay_all(decode_metadata_batch(batch.body(), batch.header.count))
                offset, epoch = batch.header.last_offset + 1, batch.header.leader_epoch
        return delta.image(offset - 1, epoch)
