"""One controller's quorum, log and image: effects are carried out here.

The image is that of the log's end. What has not been committed yet can be seen by the next rule and
by nobody else: observers get records below the high watermark, answers wait for it.

On a full disk the reserve is used up first: deleting topics, and starting, need to write. Then
clients' requests are refused, and what has to be written waits in memory, in order, and is tried
again until there is space; nothing that it decides is told to anybody before. Any other error of
the disk ends the process: it may not go on with a state that is ahead of the disk.
"""

from __future__ import annotations

import logging
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable, Sequence
from time import time_ns

from fastbroker.config.broker import ConfigError
from fastbroker.controller.home import Home, Identity
from fastbroker.controller.snapshots import KEPT, Snapshots
from fastbroker.errors import CorruptMessage, NoSpaceLeft
from fastbroker.metadata.delta import MetadataDelta
from fastbroker.metadata.features import bootstrap_records
from fastbroker.metadata.image import MetadataImage
from fastbroker.model import Deferred, OffsetAndEpoch
from fastbroker.protocol.record_frames import decode_metadata_batch, encode_metadata_record
from fastbroker.protocol.schema import Struct
from fastbroker.raft import messages as m
from fastbroker.raft.epochs import EpochHistory
from fastbroker.raft.quorum import Quorum
from fastbroker.storage.space import LIMITS, is_fault

log = logging.getLogger(__name__)

REPLAY_BYTES = 4 << 20
FULL_RETRY_S = 0.5  # between two tries to write on a full disk
SPACE_BYTES = 128 << 10  # what a client's request may need
SAVE_POINT_S = 60.0  # between two saves of how much of the log is on disk
SNAPSHOT_CHECK_S = 5.0  # between two looks whether a snapshot is due
RESERVE_RETRY_S = 10.0  # between two tries to take the reserve again


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
        self.log.fault = self._fault
        self.snapshots = Snapshots(
            home.disk, home.log_path, home.config, now_ms=self._monotonic_ms()
        )
        try:
            self.image = self._replayed()
        except CorruptMessage as error:
            raise ConfigError(
                f"the metadata log is damaged, {error.message}: restore it from a backup; nothing"
                " was changed"
            ) from error
        own = m.ReplicaKey(identity.node_id, identity.directory_id)
        self.quorum = Quorum(
            own,
            [own],
            state=home.quorum_state(),
            epochs=EpochHistory(OffsetAndEpoch(start, e) for e, start in self.log.epochs.entries),
            log_start_offset=self.log.log_start_offset,
            log_end_offset=self.log.log_end_offset,
            snapshot=self.snapshots.newest,
        )
        self._uncommitted: deque[tuple[int, Deferred[None]]] = deque()
        self._flush_due = False
        self._saved_point = 0
        self._held: deque[m.Effect] = deque()  # what a full disk holds up

    def has_space(self) -> bool:
        """Whether what is proposed now will be written at once; gives the reserve away if need be.

        An answer that waits for space would hold up all others of its connection.
        """
        _, free = self.home.disk.usable_bytes(self.home.path)
        if free < SPACE_BYTES and self._release():
            _, free = self.home.disk.usable_bytes(self.home.path)
        return free >= SPACE_BYTES and not self._held

    def start(self) -> None:
        """Become the leader, commit its first record, and the cluster's first ones if it is new."""
        self._reserve()
        self._save_recovery_point()
        self.loop.call_later(SNAPSHOT_CHECK_S, self._snapshot_when_due)
        self.step(m.Started())
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
            if self._held and self._has_to_wait(effect):
                self._held.append(effect)
            elif not self._carried_out(effect):
                self._held.append(effect)
                self.loop.call_later(FULL_RETRY_S, self._try_again)
                log.error(
                    "%s is full: changes of the cluster's metadata wait until there is space",
                    self.home.path,
                )

    def _has_to_wait(self, effect: m.Effect) -> bool:
        """Writes keep their order, and nothing is told before a state that was to be saved is."""
        is_write = isinstance(effect, m.Append | m.SaveState)
        return is_write or any(isinstance(one, m.SaveState) for one in self._held)

    def _try_again(self) -> None:
        while self._held:
            if not self._carried_out(self._held[0]):
                self.loop.call_later(FULL_RETRY_S, self._try_again)
                return
            self._held.popleft()
        log.warning("%s: changes of the cluster's metadata are written again", self.home.path)

    def _carried_out(self, effect: m.Effect) -> bool:
        """Do what the quorum wants, from the reserve if need be; False: the disk is full."""
        if self._carry_out(effect):
            return True
        return self._release() and self._carry_out(effect)

    def _release(self) -> bool:
        """Give the reserve away; False: it is gone already."""
        if not self.home.reserve.release():
            return False
        log.error(
            "%s is full: the last of its space is used now, changes of the cluster's metadata are"
            " refused after that; free space there", self.home.path,
        )  # fmt: skip
        self.loop.call_later(RESERVE_RETRY_S, self._reserve)
        return True

    def _save_recovery_point(self) -> None:
        """From time to time; a full disk keeps the one before."""
        if self.log.flushed_offset > self._saved_point:
            try:
                if self.log.save_when_due():
                    self.home.disk.sync_file(self.log.epochs.path)
                    self.log.epochs.synced()
                self.home.save_recovery_point(self.log.recovery_point)
                self._saved_point = self.log.recovery_point
            except OSError as error:
                self._fault(error)
        self.loop.call_later(SAVE_POINT_S, self._save_recovery_point)

    def _reserve(self) -> None:
        """Keep space for when there is none."""
        if not self.home.reserve.hold():
            self.loop.call_later(RESERVE_RETRY_S, self._reserve)

    def _carry_out(self, effect: m.Effect) -> bool:
        """Do what the quorum wants; False: the disk is full, nothing was done."""
        match effect:
            case m.Append():
                return self._append(effect)
            case m.Committed():
                while self._uncommitted and self._uncommitted[0][0] <= effect.high_watermark:
                    self._uncommitted.popleft()[1].complete(None)
            case m.Answer():
                self.answer(effect)
            case m.Wait():
                self.wait(effect)
            case m.SaveState():
                return self._save(effect)
        return True

    def close(self) -> None:
        """Flush and close the log; what a full disk leaves undone is done at the next start."""
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        try:
            self.log.close()
            self.home.save_recovery_point(self.log.flushed_offset)
        except (NoSpaceLeft, OSError) as error:
            log.warning("the metadata log is closed as after a crash: %s", error)

    def _fault(self, error: OSError) -> None:
        if is_fault(error):
            self.fatal(error)

    def _save(self, save: m.SaveState) -> bool:
        try:
            self.home.save(save.state)
        except OSError as error:
            if error.errno in LIMITS:
                return False
            self.fatal(error)
            raise
        return True

    def _append(self, append: m.Append) -> bool:
        try:
            info = self.log.append_internal(
                append.batch, leader_epoch=append.leader_epoch, now_ms=now_ms()
            )
        except NoSpaceLeft:
            return False
        except BaseException as error:
            # The quorum counts the batch already: the state in memory is ahead of the disk.
            self.fatal(error)
            raise
        assert (info.first_offset, info.last_offset) == (append.first_offset, append.last_offset)
        self.snapshots.bytes_since += len(append.batch)
        if not self._flush_due:
            self._flush_due = True
            self.loop.call_soon(self._flush)
        return True

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
        """The image of the log's end: the newest snapshot, and what the log has behind it.

        Raises CorruptMessage.
        """
        image = self.snapshots.load()
        offset, end, epoch = image.offset + 1, self.log.log_end_offset, image.epoch
        if not self.log.log_start_offset <= offset <= end:
            raise CorruptMessage(
                f"it has offsets {self.log.log_start_offset} to {end}, what is known without it"
                f" ends at {offset}"
            )
        delta = MetadataDelta(image)
        while offset < end:
            for batch in self.log.batches(offset, REPLAY_BYTES, end):
                if batch.header.last_offset < offset:
                    continue
                if not batch.header.is_control:
                    delta.replay_all(decode_metadata_batch(batch.body(), batch.header.count))
                self.snapshots.bytes_since += batch.header.size
                offset, epoch = batch.header.last_offset + 1, batch.header.leader_epoch
        return delta.image(offset - 1, epoch)

    # ---- snapshots

    def _snapshot_when_due(self) -> None:
        """From time to time, and only of what is committed: the image is that of the log's end."""
        self.loop.call_later(SNAPSHOT_CHECK_S, self._snapshot_when_due)
        end, now = self.quorum.log_end_offset, self._monotonic_ms()
        if self.quorum.high_watermark < end or self._held or not self.snapshots.is_due(now):
            return
        self.snapshots.begin(
            self.loop,
            self.image,
            OffsetAndEpoch(end, self.quorum.epochs.last_epoch),
            now_ms=now,
            timestamp_ms=self.log.segments[-1].max_timestamp,
            done=self._snapshot_done,
        )

    def _snapshot_done(self, error: OSError | None) -> None:
        if error is not None:
            self._fault(error)
            log.warning("%s: no snapshot of the metadata was written: %s", self.home.path, error)
            return
        self.quorum.snapshot = self.snapshots.newest
        if len(self.snapshots.ids) < KEPT:
            return
        try:
            self._drop_segments(self.snapshots.ids[0].offset)
        except OSError as failed:
            self._fault(failed)
            log.warning("%s: old segments stay for now: %s", self.home.path, failed)

    def _drop_segments(self, offset: int) -> None:
        """Those that end before `offset`."""
        first = max(s.base_offset for s in self.log.segments if s.base_offset <= offset)
        if self.log.advance_start(first):
            for path in self.log.retain(now_ms(), self.quorum.high_watermark):
                self.home.disk.remove(path)
            self.quorum.log_start_offset = self.log.log_start_offset

    def _monotonic_ms(self) -> int:
        return int(self.loop.time() * 1000)
