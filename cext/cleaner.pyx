"""Compaction's work on bytes: the map of keys, and batches filtered by it. No object per record.

OffsetMap     128-bit hash of a key -> its last offset, in a fixed piece of memory (24 bytes a slot)
BatchFilter   batches of old segments in; batches and index entries of the new segment out

Both walk over all whole batches of a chunk without the interpreter's lock, and stop with ASK at a
batch about which somebody else decides: a compressed, a transactional, or a control batch. The
format is that of record_batch.pyx; CRCs, counts and offsets are checked on the way.

The hash is SipHash-2-4 with a random key: who does not know the key cannot make two record keys
collide, and of 5 million keys (128 MiB) any two do with a chance of 2^-84.
"""
from cpython.buffer cimport PyBUF_READ, PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy

from fastbroker._c.record_batch import CorruptBatch

from fastbroker._c.record_batch cimport BatchHeader

cdef extern from "wire.h" nogil:
    uint16_t load_u16(const uint8_t *p)
    uint32_t load_u32(const uint8_t *p)
    uint64_t load_u64(const uint8_t *p)
    void store_u16(uint8_t *p, uint16_t v)
    void store_u32(uint8_t *p, uint32_t v)
    void store_u64(uint8_t *p, uint64_t v)
    int load_varint32(const uint8_t *p, const uint8_t *end, int32_t *out)
    int load_varint64(const uint8_t *p, const uint8_t *end, int64_t *out)
    int store_varint32(uint8_t *p, int32_t v)
    int store_varint64(uint8_t *p, int64_t v)

cdef extern from "siphash.h" nogil:
    void siphash128(const uint8_t *key, const uint8_t *data, size_t size, uint64_t *low,
                    uint64_t *high)

cdef extern from "crc32c.h" nogil:
    uint32_t crc32c_of(const uint8_t *p, size_t size, int with_instruction)

cdef extern from *:
    """
    static inline size_t place_of(uint64_t hash, size_t slots) {
        return (size_t)(((unsigned __int128)hash * slots) >> 64);
    }
    """
    size_t place_of(uint64_t hash, size_t slots) nogil


SLOT_BYTES = sizeof(Slot)

cdef enum:
    HEADER = 61
    LENGTH_END = 12
    AT_MAGIC = 16
    AT_CRC = 17
    AT_ATTRIBUTES = 21
    AT_DELTA = 23
    AT_BASE_TIMESTAMP = 27
    AT_MAX_TIMESTAMP = 35
    AT_COUNT = 57
    CODEC = 7
    APPEND_TIME = 8
    TRANSACTIONAL = 16
    CONTROL = 32
    HORIZON = 64
    REBASED_MORE = 9   # bytes that a record may grow by when its timestamp is counted anew

# How a walk ended. Below 0: the batch is damaged.
cdef enum:
    C_MORE = 0
    C_ASK = 1
    C_FULL = 2
    NO_BATCH = -1
    BAD_CRC = -2
    BAD_RECORD = -3
    BAD_COUNT = -4
    BAD_OFFSET = -5
    NO_MEMORY = -6

MORE, ASK, FULL = C_MORE, C_ASK, C_FULL

_SAID = {
    NO_BATCH: "this is no batch of format v2",
    BAD_CRC: "its CRC is wrong",
    BAD_RECORD: "a record does not end where it says",
    BAD_COUNT: "it has not as many records as it says",
    BAD_OFFSET: "its offsets do not ascend",
}


class DamagedBatch(CorruptBatch):
    """A batch that cannot be what was written; `at`: where in the bytes that were given."""

    def __init__(self, text, at):
        super().__init__(text)
        self.at = at


cdef object _fail(int status, Py_ssize_t at):
    if status == NO_MEMORY:
        raise MemoryError
    raise DamagedBatch(_SAID[status], at)


cdef int _head(const uint8_t *p, int64_t left, Head *head) noexcept nogil:
    """The header at `p`; MORE unless the whole batch is there."""
    if left < HEADER:
        return C_MORE
    head.at = p
    head.base_offset = <int64_t>load_u64(p)
    head.size = <int64_t><int32_t>load_u32(p + 8) + LENGTH_END
    if head.size < HEADER or p[AT_MAGIC] != 2:
        return NO_BATCH
    if left < head.size:
        return C_MORE
    head.attributes = load_u16(p + AT_ATTRIBUTES)
    head.last_delta = <int32_t>load_u32(p + AT_DELTA)
    head.base_timestamp = <int64_t>load_u64(p + AT_BASE_TIMESTAMP)
    head.max_timestamp = <int64_t>load_u64(p + AT_MAX_TIMESTAMP)
    head.count = <int32_t>load_u32(p + AT_COUNT)
    if head.last_delta < 0:
        return BAD_OFFSET
    return C_ASK


cdef inline bint _is_right(Head *head) noexcept nogil:
    return load_u32(head.at + AT_CRC) == crc32c_of(
        head.at + AT_ATTRIBUTES, head.size - AT_ATTRIBUTES, 1
    )


cdef inline int _record(const uint8_t *p, const uint8_t *end, Found *found) noexcept nogil:
    """The record at `p`: 1, or 0 when it does not end before `end`."""
    cdef int32_t length
    cdef int n = load_varint32(p, end, &length)
    if n <= 0 or length < 1 or length > end - p - n:
        return 0
    found.begin = p
    p += n
    found.stop = p + length
    p += 1
    found.times = p
    n = load_varint64(p, found.stop, &found.time_delta)
    if n <= 0:
        return 0
    p += n
    found.rest = p
    n = load_varint32(p, found.stop, &found.delta)
    if n <= 0:
        return 0
    p += n
    n = load_varint32(p, found.stop, &found.key_size)
    if n <= 0:
        return 0
    p += n
    found.key = p
    if found.key_size > 0:
        if found.key_size > found.stop - p:
            return 0
        p += found.key_size
    n = load_varint32(p, found.stop, &length)
    if n <= 0 or length > found.stop - p - n:
        return 0
    found.has_value = length >= 0
    return 1


cdef int _reserve(Bytes *b, Py_ssize_t more) noexcept nogil:
    """Room for `more` bytes; 0, or NO_MEMORY."""
    cdef Py_ssize_t capacity = b.capacity
    cdef uint8_t *data
    if b.size + more <= capacity:
        return 0
    if capacity < 4096:
        capacity = 4096
    while capacity < b.size + more:
        capacity *= 2
    data = <uint8_t *>realloc(b.data, capacity)
    if data is NULL:
        return NO_MEMORY
    b.data, b.capacity = data, capacity
    return 0


cdef inline void _put(Bytes *b, const void *data, Py_ssize_t size) noexcept nogil:
    memcpy(b.data + b.size, data, size)
    b.size += size


cdef void _from_header(BatchHeader header, Head *head):
    head.at = NULL
    head.size = header.size
    head.base_offset = header.base_offset
    head.base_timestamp = header.base_timestamp
    head.max_timestamp = header.max_timestamp
    head.last_delta = header.last_offset_delta
    head.count = header.count
    head.attributes = header.attributes


# ---- the map -------------------------------------------------------------------------------------

cdef class OffsetMap:
    """Record keys -> their last offsets, for one cleaning.

    slots: how many there are, of SLOT_BYTES each. limit: how many keys are taken; the map is full
    then. seed: 16 random bytes, the hash's key. size: keys in it. latest_offset: everything from
    the first dirty offset up to it is in the map; -1: nothing is.
    """

    def __cinit__(self, *, Py_ssize_t slots, Py_ssize_t limit, bytes seed):
        assert 1 <= limit < slots and len(seed) == 16  # one slot stays free: that ends a search
        self.slots, self.limit = slots, limit
        self.latest_offset = -1
        memcpy(self.seed, <const uint8_t *><char *>seed, 16)
        # Fresh pages are zero: those that no key falls into are never there.
        self.table = <Slot *>calloc(slots, sizeof(Slot))
        if self.table is NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.table)

    cdef Slot *_slot(self, uint64_t low, uint64_t high) noexcept nogil:
        """The slot of a key with this hash, or the free one where it belongs."""
        cdef size_t place = place_of(low, self.slots)
        while self.table[place].after and (
            self.table[place].low != low or self.table[place].high != high
        ):
            place += 1
            if place == <size_t>self.slots:
                place = 0
        return &self.table[place]

    cdef int64_t _after(self, const uint8_t *key, Py_ssize_t size) noexcept nogil:
        """The last offset of a key, plus 1; 0: it is not in the map."""
        cdef uint64_t low, high
        siphash128(self.seed, key, size, &low, &high)
        return self._slot(low, high).after

    def get(self, key) -> int:
        """The last offset of `key`; -1: it is not in the map."""
        cdef Py_buffer view
        PyObject_GetBuffer(key, &view, PyBUF_SIMPLE)
        try:
            return self._after(<const uint8_t *>view.buf, view.len) - 1
        finally:
            PyBuffer_Release(&view)

    def advance(self, int64_t offset) -> None:
        """Everything up to `offset` has been looked at."""
        if offset > self.latest_offset:
            self.latest_offset = offset

    def add(self, data, Py_ssize_t at, int64_t start) -> tuple:
        """Take in the records from offset `start` on of the whole batches in `data` from `at` on.

        Returns (where it ended, how): MORE: `data` has no more whole batches; ASK: see the module;
        FULL: no more keys fit. Raises DamagedBatch.
        """
        cdef Py_buffer view
        cdef int status
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            with nogil:
                status = self._add(<const uint8_t *>view.buf, view.len, &at, start)
        finally:
            PyBuffer_Release(&view)
        if status < 0:
            _fail(status, at)
        return at, status

    cdef int _add(
        self, const uint8_t *p, Py_ssize_t size, Py_ssize_t *at, int64_t start
    ) noexcept nogil:
        cdef Head head
        cdef int status
        cdef int64_t last
        while True:
            status = _head(p + at[0], size - at[0], &head)
            if status != C_ASK:
                return status
            last = head.base_offset + head.last_delta
            if last >= start:
                if not _is_right(&head):
                    return BAD_CRC
                if head.attributes & (CODEC | TRANSACTIONAL | CONTROL):
                    return C_ASK
                status = self._add_body(head.at + HEADER, head.at + head.size, &head, start)
                if status:
                    return status
                if last > self.latest_offset:
                    self.latest_offset = last
            at[0] += head.size

    def add_body(self, body, BatchHeader header, int64_t start) -> bool:
        """Take in the records of an uncompressed `body`; False: the map is full.

        Raises DamagedBatch.
        """
        cdef Py_buffer view
        cdef Head head
        cdef int status
        _from_header(header, &head)
        PyObject_GetBuffer(body, &view, PyBUF_SIMPLE)
        try:
            with nogil:
                status = self._add_body(
                    <const uint8_t *>view.buf, <const uint8_t *>view.buf + view.len, &head, start
                )
        finally:
            PyBuffer_Release(&view)
        if status < 0:
            _fail(status, 0)
        return status != C_FULL

    cdef int _add_body(
        self, const uint8_t *p, const uint8_t *end, Head *head, int64_t start
    ) noexcept nogil:
        cdef Found found
        cdef Slot *slot
        cdef uint64_t low, high
        cdef int32_t count = 0, before = -1
        cdef int64_t offset
        while p < end:
            if not _record(p, end, &found):
                return BAD_RECORD
            if found.delta <= before or found.delta > head.last_delta:
                return BAD_OFFSET
            before = found.delta
            count += 1
            offset = head.base_offset + found.delta
            if found.key_size >= 0 and offset >= start:
                if self.size >= self.limit:
                    return C_FULL
                siphash128(self.seed, found.key, found.key_size, &low, &high)
                slot = self._slot(low, high)
                if not slot.after:
                    slot.low, slot.high = low, high
                    self.size += 1
                slot.after = offset + 1
                self.latest_offset = offset
            p = found.stop
        return 0 if count == head.count else BAD_COUNT


# ---- the filter ----------------------------------------------------------------------------------

cdef class BatchFilter:
    """Makes the bytes of one new segment from the batches of old ones.

    keys: of the dirty part. now_ms: when this cleaning began. horizon_ms: until when tombstones
    that are met for the first time are kept. kept: ascending last offsets of batches that stay even
    when they have no records left. recodes: a batch that changes is to be compressed, so it is
    asked for. base_offset, index_interval_bytes: of the new segment.

    size: bytes of the segment so far. end_offset: behind its last batch. is_changed: something is
    not as it was. The rest is what a segment knows of itself.
    """

    def __cinit__(
        self, OffsetMap keys, *, int64_t now_ms, int64_t horizon_ms, kept, bint recodes,
        int64_t base_offset, int64_t index_interval_bytes,
    ):
        cdef Py_ssize_t i
        self.keys, self.now_ms, self.horizon_ms = keys, now_ms, horizon_ms
        self.recodes, self.base_offset = recodes, base_offset
        self.index_interval = index_interval_bytes
        self.kept_count = len(kept)
        self.kept = <int64_t *>malloc((self.kept_count + 1) * sizeof(int64_t))
        if self.kept is NULL:
            raise MemoryError
        for i in range(self.kept_count):
            self.kept[i] = kept[i]
        self.size = self.since_index = self.largest_batch = 0
        self.end_offset = self.offset_of_max = base_offset
        self.max_timestamp = self.first_timestamp = self.last_time = -1

    def __dealloc__(self):
        free(self.kept)
        free(self.out.data)
        free(self.entries.data)
        free(self.times.data)
        free(self.scratch.data)

    # ---- what comes out

    @property
    def pending(self) -> int:
        """Bytes that wait to be written."""
        return self.out.size

    def output(self) -> memoryview:
        """The bytes that wait to be written, behind all that were; until the next call."""
        return PyMemoryView_FromMemory(<char *>self.out.data, self.out.size, PyBUF_READ)

    def clear(self) -> None:
        """They have been written."""
        self.out.size = 0

    def index_entries(self) -> bytes:
        """The content of the segment's .index file."""
        return PyBytes_FromStringAndSize(<char *>self.entries.data, self.entries.size)

    def time_entries(self) -> bytes:
        """The content of the segment's .timeindex file; the segment is complete."""
        if self.max_timestamp >= 0 and self.max_timestamp > self.last_time:
            if self._time_entry():
                raise MemoryError
        return PyBytes_FromStringAndSize(<char *>self.times.data, self.times.size)

    cdef int _time_entry(self) noexcept nogil:
        cdef uint8_t entry[12]
        if _reserve(&self.times, 12):
            return NO_MEMORY
        store_u64(entry, <uint64_t>self.max_timestamp)
        store_u32(entry + 8, <uint32_t>(self.offset_of_max - self.base_offset))
        _put(&self.times, entry, 12)
        self.last_time = self.max_timestamp
        return 0

    cdef int _written(self, Py_ssize_t begin) noexcept nogil:
        """A batch stands in `out` from `begin` on: what the indexes say of it."""
        cdef const uint8_t *p = self.out.data + begin
        cdef int64_t size = self.out.size - begin
        cdef int64_t first = <int64_t>load_u64(p)
        cdef int64_t last = first + <int32_t>load_u32(p + AT_DELTA)
        cdef int64_t timestamp = <int64_t>load_u64(p + AT_MAX_TIMESTAMP)
        cdef uint8_t entry[8]
        if first < self.end_offset:
            return BAD_OFFSET
        self.end_offset = last + 1
        if self.size == 0:
            self.first_timestamp = timestamp
        if timestamp > self.max_timestamp:
            self.max_timestamp, self.offset_of_max = timestamp, last
        if self.since_index > self.index_interval:
            if _reserve(&self.entries, 8):
                return NO_MEMORY
            store_u32(entry, <uint32_t>(last - self.base_offset))
            store_u32(entry + 4, <uint32_t>self.size)
            _put(&self.entries, entry, 8)
            if self.max_timestamp > self.last_time and self._time_entry():
                return NO_MEMORY
            self.since_index = 0
        self.since_index += size
        if size > self.largest_batch:
            self.largest_batch = size
        self.size += size
        return 0

    cdef bint _keeps(self, int64_t last_offset) noexcept nogil:
        cdef Py_ssize_t low = 0, high = self.kept_count, middle
        while low < high:
            middle = (low + high) // 2
            if self.kept[middle] < last_offset:
                low = middle + 1
            else:
                high = middle
        return low < self.kept_count and self.kept[low] == last_offset

    # ---- whole chunks

    def run(self, data, Py_ssize_t at) -> tuple:
        """Filter the whole batches in `data` from `at` on.

        Returns (where it ended, how): MORE: `data` has no more whole batches; ASK: see the module.
        Raises DamagedBatch.
        """
        cdef Py_buffer view
        cdef int status
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            with nogil:
                status = self._run(<const uint8_t *>view.buf, view.len, &at)
        finally:
            PyBuffer_Release(&view)
        if status < 0:
            _fail(status, at)
        return at, status

    cdef int _run(self, const uint8_t *p, Py_ssize_t size, Py_ssize_t *at) noexcept nogil:
        cdef Head head
        cdef int status
        while True:
            status = _head(p + at[0], size - at[0], &head)
            if status != C_ASK:
                return status
            if not _is_right(&head):
                return BAD_CRC
            if head.attributes & (CODEC | TRANSACTIONAL | CONTROL):
                return C_ASK
            status = self._filter(&head)
            if status:
                return status
            at[0] += head.size

    cdef int _filter(self, Head *head) noexcept nogil:
        """An uncompressed batch of data, from nobody's transaction."""
        cdef Py_ssize_t begin = self.out.size
        cdef int64_t base_timestamp = head.base_timestamp, timestamp
        cdef int attributes = head.attributes
        cdef bint sets
        cdef uint8_t *p
        cdef int status
        if _reserve(&self.out, head.size):
            return NO_MEMORY
        self.out.size += HEADER
        status = self._choose(head.at + HEADER, head.at + head.size, head, False, &self.out)
        if status:
            return status
        sets = self.has_tombstone and not attributes & HORIZON
        if self.chosen == 0:
            self.out.size = begin
            return self._empty(head)
        if self.chosen == head.count and not sets:
            memcpy(self.out.data + begin, head.at, HEADER)
            self.records_read += head.count
            self.records_kept += head.count
            return self._written(begin)
        if self.recodes:
            self.out.size = begin
            return C_ASK
        self.is_changed = True
        self.records_read += head.count
        self.records_kept += self.chosen
        if sets:
            base_timestamp = self.horizon_ms
            attributes |= HORIZON
            status = self._rebase(
                begin + HEADER,
                <int64_t>(<uint64_t>head.base_timestamp - <uint64_t>base_timestamp), &self.out,
            )
            if status:
                return status
        timestamp = head.max_timestamp if attributes & APPEND_TIME else self.latest
        p = self.out.data + begin
        memcpy(p, head.at, HEADER)
        store_u32(p + 8, <uint32_t>(self.out.size - begin - LENGTH_END))
        store_u16(p + AT_ATTRIBUTES, <uint16_t>attributes)
        store_u64(p + AT_BASE_TIMESTAMP, <uint64_t>base_timestamp)
        store_u64(p + AT_MAX_TIMESTAMP, <uint64_t>timestamp)
        store_u32(p + AT_COUNT, <uint32_t>self.chosen)
        store_u32(p + AT_CRC, crc32c_of(p + AT_ATTRIBUTES, self.out.size - begin - AT_ATTRIBUTES, 1))
        return self._written(begin)

    cdef int _choose(
        self, const uint8_t *p, const uint8_t *end, Head *head, bint all_of_them, Bytes *to
    ) noexcept nogil:
        """Copy the records that stay behind what is in `to`, where there is room.

        Sets `chosen` to their number, `latest` to their largest timestamp, and `has_tombstone`.
        """
        cdef Found found
        cdef const uint8_t *begin = NULL  # of the records that stay and have not been copied
        cdef int32_t count = 0, before = -1
        cdef int64_t offset, timestamp
        cdef bint stays
        cdef bint is_past = head.attributes & HORIZON and head.base_timestamp <= self.now_ms
        self.chosen, self.has_tombstone, self.latest = 0, False, -1
        while p < end:
            if not _record(p, end, &found):
                return BAD_RECORD
            if found.delta <= before or found.delta > head.last_delta:
                return BAD_OFFSET
            before = found.delta
            count += 1
            offset = head.base_offset + found.delta
            if all_of_them or offset > self.keys.latest_offset:
                stays = True
            elif found.key_size < 0:
                stays = False
            elif not found.has_value and is_past:
                stays = False
            else:
                stays = offset + 1 >= self.keys._after(found.key, found.key_size)
            if stays:
                self.chosen += 1
                if not found.has_value:
                    self.has_tombstone = True
                timestamp = <int64_t>(<uint64_t>head.base_timestamp + <uint64_t>found.time_delta)
                if timestamp > self.latest:
                    self.latest = timestamp
                if begin is NULL:
                    begin = found.begin
            elif begin is not NULL:
                _put(to, begin, found.begin - begin)
                begin = NULL
            p = found.stop
        if begin is not NULL:
            _put(to, begin, end - begin)
        return 0 if count == head.count else BAD_COUNT

    cdef int _rebase(self, Py_ssize_t begin, int64_t shift, Bytes *data) noexcept nogil:
        """Add `shift` to the timestamp deltas of the records in `data` from `begin` on."""
        cdef const uint8_t *p = data.data + begin
        cdef const uint8_t *end = data.data + data.size
        cdef Found found
        cdef uint8_t varint[10]
        cdef uint8_t length[5]
        cdef int n, m
        self.scratch.size = 0
        if _reserve(&self.scratch, data.size - begin + self.chosen * (REBASED_MORE + 1)):
            return NO_MEMORY
        while p < end:
            _record(p, end, &found)
            n = store_varint64(
                varint, <int64_t>(<uint64_t>found.time_delta + <uint64_t>shift)
            )
            m = store_varint32(length, <int32_t>(1 + n + (found.stop - found.rest)))
            _put(&self.scratch, length, m)
            _put(&self.scratch, found.times - 1, 1)  # the record's attributes
            _put(&self.scratch, varint, n)
            _put(&self.scratch, found.rest, found.stop - found.rest)
            p = found.stop
        data.size = begin
        if _reserve(data, self.scratch.size):
            return NO_MEMORY
        _put(data, self.scratch.data, self.scratch.size)
        return 0

    cdef int _empty(self, Head *head) noexcept nogil:
        """No record of the batch stays: nor does its header, unless it is one of `kept`."""
        cdef Py_ssize_t begin = self.out.size
        cdef uint8_t *p
        self.records_read += head.count
        if not self._keeps(head.base_offset + head.last_delta):
            self.is_changed = True
            return 0
        if head.count or head.size > HEADER:
            self.is_changed = True
        if _reserve(&self.out, HEADER):
            return NO_MEMORY
        _put(&self.out, head.at, HEADER)
        p = self.out.data + begin
        store_u32(p + 8, HEADER - LENGTH_END)
        store_u16(p + AT_ATTRIBUTES, <uint16_t>(
            head.attributes & (APPEND_TIME | TRANSACTIONAL | CONTROL)
        ))
        store_u64(p + AT_BASE_TIMESTAMP, <uint64_t>-1)
        store_u32(p + AT_COUNT, 0)
        store_u32(p + AT_CRC, crc32c_of(p + AT_ATTRIBUTES, HEADER - AT_ATTRIBUTES, 1))
        return self._written(begin)

    # ---- single batches, which somebody has decided about

    def keep(self, batch) -> None:
        """Write a whole batch as it is. Raises DamagedBatch."""
        cdef int32_t count = self._whole(batch)
        self.records_read += count
        self.records_kept += count

    cdef int32_t _whole(self, batch) except -1:
        """Write a whole batch; the number of its records."""
        cdef Head head
        cdef Py_buffer view
        cdef Py_ssize_t begin = self.out.size
        cdef int status
        PyObject_GetBuffer(batch, &view, PyBUF_SIMPLE)
        try:
            status = _head(<const uint8_t *>view.buf, view.len, &head)
            assert status == C_ASK and head.size == view.len
            if _reserve(&self.out, view.len):
                raise MemoryError
            _put(&self.out, view.buf, view.len)
        finally:
            PyBuffer_Release(&view)
        status = self._written(begin)
        if status:
            _fail(status, 0)
        return head.count

    def replace(self, batch, int32_t read, int32_t kept) -> None:
        """Write a whole batch that stands for one of `read` records, and has `kept`."""
        self.is_changed = True
        self.records_read += read
        self.records_kept += kept
        self._whole(batch)

    def empty(self, batch) -> None:
        """No record of the whole batch `batch` stays. Raises DamagedBatch."""
        cdef Head head
        cdef Py_buffer view
        cdef int status
        PyObject_GetBuffer(batch, &view, PyBUF_SIMPLE)
        try:
            status = _head(<const uint8_t *>view.buf, view.len, &head)
            assert status == C_ASK
            status = self._empty(&head)
        finally:
            PyBuffer_Release(&view)
        if status:
            _fail(status, 0)

    def choose(
        self, body, BatchHeader header, *, bint all_of_them=False, bint sets_horizon=False
    ) -> tuple:
        """What stays of a batch's uncompressed `body`.

        Returns (number of records, their largest timestamp, whether the batch gets a horizon now,
        the new body). The body is None when all records stay as they are.
        all_of_them, sets_horizon: for a marker. Raises DamagedBatch.
        """
        cdef Head head
        cdef Py_buffer view
        cdef Bytes to
        cdef int status
        cdef bint sets
        _from_header(header, &head)
        to.data, to.size, to.capacity = NULL, 0, 0
        PyObject_GetBuffer(body, &view, PyBUF_SIMPLE)
        try:
            with nogil:
                status = _reserve(&to, view.len)
                if not status:
                    status = self._choose(
                        <const uint8_t *>view.buf, <const uint8_t *>view.buf + view.len, &head,
                        all_of_them, &to,
                    )
                sets = (self.has_tombstone or sets_horizon) and not head.attributes & HORIZON
                if not status and sets:
                    status = self._rebase(
                        0,
                        <int64_t>(<uint64_t>head.base_timestamp - <uint64_t>self.horizon_ms), &to,
                    )
            if status:
                _fail(status, 0)
            if self.chosen == head.count and not sets:
                return self.chosen, self.latest, False, None
            chosen = PyBytes_FromStringAndSize(<char *>to.data, to.size)
            return self.chosen, self.latest, sets, chosen
        finally:
            free(to.data)
            PyBuffer_Release(&view)


def hash_of(bytes seed, data) -> bytes:
    """The 16 bytes that stand for a key in the map, in the order of the reference's output."""
    cdef uint64_t low, high
    cdef Py_buffer view
    assert len(seed) == 16
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        siphash128(<const uint8_t *><char *>seed, <const uint8_t *>view.buf, view.len, &low, &high)
    finally:
        PyBuffer_Release(&view)
    return int(low).to_bytes(8, "little") + int(high).to_bytes(8, "little")


def crc_of(data) -> int:
    """The CRC-32C of `data`, as the walks here count it."""
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return crc32c_of(<const uint8_t *>view.buf, view.len, 1)
    finally:
        PyBuffer_Release(&view)
