"""Record batches, format v2: the header read, records walked without objects, stamped in place.

    batch   := base_offset:int64 length:int32 leader_epoch:int32 magic:int8=2 crc:uint32
               attributes:int16 last_offset_delta:int32 base_timestamp:int64 max_timestamp:int64
               producer_id:int64 producer_epoch:int16 base_sequence:int32 count:int32 body
    body    := record*                       compressed as a whole when attributes say so
    record  := length:varint attributes:int8 timestamp_delta:varlong offset_delta:varint
               key_length:varint key value_length:varint value header_count:varint header*
    header  := key_length:varint key value_length:varint value      lengths of -1: null

`length` counts the bytes behind itself; the CRC-32C covers everything from `attributes` on, so that
base offset and leader epoch can be written by the leader. Attributes: bits 0-2 codec, 3 timestamp
is the append time, 4 transactional, 5 control, 6 base_timestamp is a delete horizon.

Nothing here decides: whether a finding is an error is the caller's business.
"""
from cpython.buffer cimport (
    PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int16_t, int32_t, int64_t, int8_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove

from fastbroker._c.checksum import crc32c

from fastbroker._c.buffer cimport Writer

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

HEADER_BYTES = 61
LENGTH_END = 12          # base offset and length: what must be read to know a batch's size

cdef enum:
    C_HEADER = 61
    C_LENGTH_END = 12
    AT_EPOCH = 12
    AT_MAGIC = 16
    AT_CRC = 17
    AT_ATTRIBUTES = 21
    AT_DELTA = 23
    AT_BASE_TIMESTAMP = 27
    AT_MAX_TIMESTAMP = 35
    AT_PRODUCER = 43
    AT_PRODUCER_EPOCH = 51
    AT_SEQUENCE = 53
    AT_COUNT = 57
    APPEND_TIME = 8
    # Bytes that a piece of a record between two skips can take: five varints and a byte.
    PIECE_MAX = 32
    FINDINGS_MAX = 100   # records named in one answer


class CorruptBatch(ValueError):
    """Bytes that are no v2 batch, or records that do not fill their batch exactly."""


cdef class BatchHeader:
    """The header of a batch; `size` is that of the whole batch, in bytes."""

    def __repr__(self):
        return f"BatchHeader([{self.base_offset}, {self.last_offset}], {self.size} bytes)"

    @property
    def last_offset(self) -> int:
        return self.base_offset + self.last_offset_delta

    @property
    def codec(self) -> int:
        return self.attributes & 7

    @property
    def is_append_time(self) -> bool:
        return (self.attributes & APPEND_TIME) != 0

    @property
    def is_transactional(self) -> bool:
        return (self.attributes & 16) != 0

    @property
    def is_control(self) -> bool:
        return (self.attributes & 32) != 0

    @property
    def has_delete_horizon(self) -> bool:
        return (self.attributes & 64) != 0

    @property
    def last_sequence(self) -> int:
        """Sequences wrap from 2147483647 to 0."""
        if self.base_sequence < 0:
            return -1
        return (<int64_t>self.base_sequence + self.last_offset_delta) & 0x7FFFFFFF


cdef BatchHeader _header(const uint8_t *p):
    cdef BatchHeader h = BatchHeader.__new__(BatchHeader)
    h.base_offset = <int64_t>load_u64(p)
    h.size = <int64_t><int32_t>load_u32(p + 8) + C_LENGTH_END
    h.leader_epoch = <int32_t>load_u32(p + AT_EPOCH)
    h.magic = <int8_t>p[AT_MAGIC]
    h.crc = load_u32(p + AT_CRC)
    h.attributes = <int16_t>load_u16(p + AT_ATTRIBUTES)
    h.last_offset_delta = <int32_t>load_u32(p + AT_DELTA)
    h.base_timestamp = <int64_t>load_u64(p + AT_BASE_TIMESTAMP)
    h.max_timestamp = <int64_t>load_u64(p + AT_MAX_TIMESTAMP)
    h.producer_id = <int64_t>load_u64(p + AT_PRODUCER)
    h.producer_epoch = <int16_t>load_u16(p + AT_PRODUCER_EPOCH)
    h.base_sequence = <int32_t>load_u32(p + AT_SEQUENCE)
    h.count = <int32_t>load_u32(p + AT_COUNT)
    return h


def read_header(data, Py_ssize_t at=0) -> BatchHeader:
    """The header of the batch at `at`; the batch's body need not be there.

    Raises CorruptBatch when fewer bytes than a header are there, `length` is too small for one, or
    the magic is not 2.
    """
    cdef Py_buffer view
    cdef BatchHeader header
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if at < 0 or view.len - at < C_HEADER:
            raise CorruptBatch(f"{max(view.len - at, 0)} bytes hold no batch header")
        header = _header(<const uint8_t *>view.buf + at)
    finally:
        PyBuffer_Release(&view)
    if header.magic != 2:
        raise CorruptBatch(f"magic {header.magic}: only record batches of format v2 are understood")
    if header.size < C_HEADER:
        raise CorruptBatch(f"a batch of {header.size} bytes is shorter than its header")
    return header


def crc_is_right(data, BatchHeader header, Py_ssize_t at=0) -> bool:
    """Whether the batch at `at`, all of it there, has the CRC-32C that its header names."""
    return crc32c(memoryview(data)[at + AT_ATTRIBUTES : at + header.size]) == header.crc


def skip_batches(data, int64_t offset) -> tuple:
    """Bytes of the batches at the beginning of `data` that end below `offset`.

    Returns (position, size): of the first batch with a last offset >= `offset`; size -1 when
    `data` ends before one is seen. Whole headers are needed, bodies need not be there.
    """
    cdef Py_buffer view
    cdef const uint8_t *p
    cdef Py_ssize_t at = 0
    cdef int64_t size
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        p = <const uint8_t *>view.buf
        while view.len - at >= C_HEADER:
            size = <int64_t><int32_t>load_u32(p + at + 8) + C_LENGTH_END
            if size < C_HEADER:
                raise CorruptBatch(f"a batch of {size} bytes at {at}")
            if <int64_t>load_u64(p + at) + <int32_t>load_u32(p + at + AT_DELTA) >= offset:
                return at, size
            at += size
        return at, -1
    finally:
        PyBuffer_Release(&view)


def whole_batches(data) -> tuple:
    """(bytes of the whole batches at the beginning of `data`, the offset behind them); (0, -1) when
    there is none."""
    cdef Py_buffer view
    cdef const uint8_t *p
    cdef Py_ssize_t at = 0
    cdef int64_t size, next_offset = -1
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        p = <const uint8_t *>view.buf
        while view.len - at >= C_HEADER:
            size = <int64_t><int32_t>load_u32(p + at + 8) + C_LENGTH_END
            if size < C_HEADER or size > view.len - at:
                break
            next_offset = <int64_t>load_u64(p + at) + <int32_t>load_u32(p + at + AT_DELTA) + 1
            at += size
        return at, next_offset
    finally:
        PyBuffer_Release(&view)


def stamp(data, int64_t base_offset, int32_t leader_epoch, Py_ssize_t at=0) -> None:
    """Write base offset and leader epoch into the batch at `at`; its CRC does not cover them."""
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_WRITABLE)
    try:
        assert view.len - at >= C_HEADER
        store_u64(<uint8_t *>view.buf + at, <uint64_t>base_offset)
        store_u32(<uint8_t *>view.buf + at + AT_EPOCH, <uint32_t>leader_epoch)
    finally:
        PyBuffer_Release(&view)


def stamp_max_timestamp(data, int64_t timestamp, bint append_time, Py_ssize_t at=0) -> None:
    """Write the largest timestamp of the batch at `at`, and a new CRC.

    append_time: mark the batch LogAppendTime: `timestamp` is then that of every record.
    """
    cdef Py_buffer view
    cdef uint8_t *p
    cdef Py_ssize_t size
    PyObject_GetBuffer(data, &view, PyBUF_WRITABLE)
    try:
        p = <uint8_t *>view.buf + at
        size = <int32_t>load_u32(p + 8) + C_LENGTH_END
        assert view.len - at >= size >= C_HEADER
        if append_time:
            store_u16(p + AT_ATTRIBUTES, load_u16(p + AT_ATTRIBUTES) | APPEND_TIME)
        store_u64(p + AT_MAX_TIMESTAMP, <uint64_t>timestamp)
        store_u32(p + AT_CRC, crc32c(memoryview(data)[at + AT_ATTRIBUTES : at + size]))
    finally:
        PyBuffer_Release(&view)


def assemble(
    body, *, int64_t base_offset, int32_t leader_epoch, int attributes, int32_t last_offset_delta,
    int64_t base_timestamp, int64_t max_timestamp, int64_t producer_id, int producer_epoch,
    int32_t base_sequence, int32_t count,
) -> bytearray:
    """A batch around `body`, with its CRC."""
    cdef Py_ssize_t size = C_HEADER + len(body)
    out = bytearray(size)
    cdef uint8_t *p = <uint8_t *>out
    store_u64(p, <uint64_t>base_offset)
    store_u32(p + 8, <uint32_t>(size - C_LENGTH_END))
    store_u32(p + AT_EPOCH, <uint32_t>leader_epoch)
    p[AT_MAGIC] = 2
    store_u16(p + AT_ATTRIBUTES, <uint16_t>attributes)
    store_u32(p + AT_DELTA, <uint32_t>last_offset_delta)
    store_u64(p + AT_BASE_TIMESTAMP, <uint64_t>base_timestamp)
    store_u64(p + AT_MAX_TIMESTAMP, <uint64_t>max_timestamp)
    store_u64(p + AT_PRODUCER, <uint64_t>producer_id)
    store_u16(p + AT_PRODUCER_EPOCH, <uint16_t>producer_epoch)
    store_u32(p + AT_SEQUENCE, <uint32_t>base_sequence)
    store_u32(p + AT_COUNT, <uint32_t>count)
    out[C_HEADER:] = body
    p = <uint8_t *>out
    store_u32(p + AT_CRC, crc32c(memoryview(out)[AT_ATTRIBUTES:]))
    return out


# ---- records without objects -------------------------------------------------------------------

cdef enum:
    RECORD, VALUE, HEADERS, HEADER_KEY, HEADER_VALUE


cdef class RecordWalk:
    """Walks the records of one batch's uncompressed body, given in pieces of any size.

    Memory does not grow with the body: of a record only its lengths are looked at. After `finish`:

    count, max_timestamp   of the records seen; max_timestamp -1: none
    out_of_range    indexes of records with a timestamp, other than -1, outside [lowest, highest]
    keyless         indexes of records without a key

    Raises CorruptBatch from either call when the records do not fill the body exactly, an offset
    delta is not the record's index, or there are not `count` of them.
    """

    def __init__(self, BatchHeader header, *, int64_t lowest, int64_t highest):
        self.expected = header.count
        self.base_timestamp = header.base_timestamp
        self.lowest, self.highest = lowest, highest
        self.count = 0
        self.max_timestamp = -1
        self.state = RECORD
        self.skip = self.left = self.headers_left = 0
        self.tail_size = 0
        self.out_of_range = []
        self.keyless = []

    def feed(self, data) -> None:
        """The next piece of the body."""
        cdef Py_buffer view
        cdef Py_ssize_t used, take
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            used = 0
            # A piece that ends inside a varint leaves a short tail; it is completed first.
            while self.tail_size and used < view.len:
                take = min(<Py_ssize_t>(PIECE_MAX * 2 - self.tail_size), view.len - used)
                memcpy(self.tail + self.tail_size, <const uint8_t *>view.buf + used, take)
                take = self._resume_tail(take)
                used += take
            if not self.tail_size and used < view.len:
                self._walk(<const uint8_t *>view.buf + used, view.len - used)
        finally:
            PyBuffer_Release(&view)

    def finish(self) -> None:
        """The body has ended."""
        if self.skip or self.tail_size or self.state != RECORD:
            raise CorruptBatch(f"record {self.count} ends behind its batch")
        if self.count != self.expected:
            raise CorruptBatch(f"{self.count} records in a batch that claims {self.expected}")

    cdef Py_ssize_t _resume_tail(self, Py_ssize_t added) except -1:
        """Walk the tail with `added` bytes behind it; how many of those are used up."""
        cdef Py_ssize_t had = self.tail_size, total = self.tail_size + added, walked
        self.tail_size = 0
        walked = self._advance(self.tail, self.tail + total)
        if walked <= had and total < PIECE_MAX * 2:
            # Still inside the same varint (or only the old bytes were used): keep everything.
            memmove(self.tail, self.tail + walked, total - walked)
            self.tail_size = total - walked
            return added
        if walked < had:
            raise CorruptBatch(f"record {self.count} holds a length of too many bytes")
        return walked - had

    cdef int _walk(self, const uint8_t *p, Py_ssize_t size) except -1:
        cdef Py_ssize_t walked = self._advance(p, p + size)
        if walked < size:
            if size - walked > PIECE_MAX:
                raise CorruptBatch(f"record {self.count} holds a length of too many bytes")
            memcpy(self.tail, p + walked, size - walked)
            self.tail_size = size - walked
        return 0

    cdef int _length(self, const uint8_t **p, const uint8_t *end, int32_t *out) except -2:
        """A varint that counts against the record; 0 when the piece ends inside it."""
        cdef int n = load_varint32(p[0], end, out)
        if n < 0:
            raise CorruptBatch(f"record {self.count} holds a varint of more than 32 bits")
        if n > 0:
            p[0] += n
            self.left -= n
            if self.left < 0:
                raise CorruptBatch(f"record {self.count} is longer than it says")
        return n

    cdef int _skip_bytes(self, int32_t length, bint nullable) except -1:
        if length < -1 or (length < 0 and not nullable) or length > self.left:
            raise CorruptBatch(f"record {self.count} holds a field of {length} bytes")
        if length > 0:
            self.skip = length
            self.left -= length
        return 0

    cdef Py_ssize_t _advance(self, const uint8_t *start, const uint8_t *end) except -1:
        """Walk as far as whole pieces go; bytes used."""
        cdef const uint8_t *p = start
        cdef const uint8_t *q
        cdef int32_t length, delta
        cdef int64_t timestamp_delta, timestamp
        cdef int n, prefix
        while True:
            if self.skip:
                if end - p < self.skip:
                    self.skip -= end - p
                    return end - start
                p += self.skip
                self.skip = 0
            if self.state == RECORD:
                if p == end:
                    break
                # length, attributes, timestamp delta, offset delta, key length: all or nothing
                q = p
                n = load_varint32(q, end, &length)
                if n == 0:
                    break
                if n < 0 or length < 0:
                    raise CorruptBatch(f"record {self.count} has an impossible length")
                prefix = n
                q += n + 1
                if q > end:
                    break
                n = load_varint64(q, end, &timestamp_delta)
                if n < 0:
                    raise CorruptBatch(f"record {self.count} has an impossible timestamp")
                if n == 0:
                    break
                q += n
                n = load_varint32(q, end, &delta)
                if n < 0:
                    raise CorruptBatch(f"record {self.count} has an impossible offset")
                if n == 0:
                    break
                q += n
                self.left = length - (q - p - prefix)
                if self.left < 0:
                    raise CorruptBatch(f"record {self.count} is longer than it says")
                n = load_varint32(q, end, &length)
                if n < 0:
                    raise CorruptBatch(f"record {self.count} has an impossible key length")
                if n == 0:
                    break
                q += n
                self.left -= n
                if self.count == self.expected:
                    raise CorruptBatch(f"more records than the {self.expected} the batch claims")
                if delta != self.count:
                    raise CorruptBatch(f"record {self.count} has the offset delta {delta}")
                self._skip_bytes(length, True)
                if length < 0 and len(self.keyless) < FINDINGS_MAX:
                    self.keyless.append(self.count)
                timestamp = self.base_timestamp + timestamp_delta
                if timestamp > self.max_timestamp:
                    self.max_timestamp = timestamp
                if timestamp != -1 and not self.lowest <= timestamp <= self.highest:
                    if len(self.out_of_range) < FINDINGS_MAX:
                        self.out_of_range.append(self.count)
                p = q
                self.state = VALUE
            elif self.state == VALUE:
                if self._length(&p, end, &length) == 0:
                    break
                self._skip_bytes(length, True)
                self.state = HEADERS
            elif self.state == HEADERS:
                if self._length(&p, end, &length) == 0:
                    break
                if length < 0 or length > self.left:
                    raise CorruptBatch(f"record {self.count} claims {length} headers")
                self.headers_left = length
                self._next_header()
            elif self.state == HEADER_KEY:
                if self._length(&p, end, &length) == 0:
                    break
                self._skip_bytes(length, False)
                self.state = HEADER_VALUE
            else:
                if self._length(&p, end, &length) == 0:
                    break
                self._skip_bytes(length, True)
                self.headers_left -= 1
                self._next_header()
        return p - start

    cdef int _next_header(self) except -1:
        if self.headers_left:
            self.state = HEADER_KEY
            return 0
        if self.left:
            raise CorruptBatch(f"record {self.count} has {self.left} bytes too many")
        self.count += 1
        self.state = RECORD
        return 0


# ---- records as objects: coordinators, the metadata log, tests -----------------------------------

cdef int _put_varint(Writer out, int32_t v) except -1:
    cdef uint8_t scratch[5]
    out.put(scratch, store_varint32(scratch, v))
    return 0


cdef int _put_blob(Writer out, object data) except -1:
    cdef Py_buffer view
    if data is None:
        return _put_varint(out, -1)
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        _put_varint(out, <int32_t>view.len)
        out.put(view.buf, view.len)
    finally:
        PyBuffer_Release(&view)
    return 0


def encode_records(records, int64_t base_timestamp) -> bytes:
    """The body of a batch: records are (key, value, headers, timestamp_ms), as build_batch's."""
    cdef Writer out = Writer()
    cdef Writer one = Writer()
    cdef uint8_t scratch[10]
    cdef int32_t index = 0
    for key, value, headers, timestamp in records:
        one.size = 0
        one.put_u8(0)
        one.put(scratch, store_varint64(scratch, <int64_t>timestamp - base_timestamp))
        _put_varint(one, index)
        _put_blob(one, key)
        _put_blob(one, value)
        _put_varint(one, <int32_t>len(headers))
        for name, content in headers:
            _put_blob(one, name.encode())
            _put_blob(one, content)
        _put_varint(out, <int32_t>one.size)
        out.put(one.data, one.size)
        index += 1
    return out.getvalue()


cdef object _get_blob(const uint8_t **p, const uint8_t *end):
    cdef int32_t length
    cdef int n = load_varint32(p[0], end, &length)
    if n <= 0 or length < -1 or length > end - p[0] - n:
        raise CorruptBatch("a record's field ends behind the record")
    p[0] += n
    if length < 0:
        return None
    p[0] += length
    return PyBytes_FromStringAndSize(<const char *>p[0] - length, length)


def decode_records(body, int32_t count) -> list:
    """[(offset delta, timestamp delta, key, value, headers)] of an uncompressed body.

    Raises CorruptBatch when `count` records do not fill it exactly.
    """
    cdef Py_buffer view
    cdef const uint8_t *p
    cdef const uint8_t *end
    cdef const uint8_t *stop
    cdef int32_t length, delta, header_count, i
    cdef int64_t timestamp_delta
    cdef int n
    cdef list out = []
    PyObject_GetBuffer(body, &view, PyBUF_SIMPLE)
    try:
        p = <const uint8_t *>view.buf
        end = p + view.len
        while p < end:
            if len(out) == count:
                raise CorruptBatch(f"more records than the {count} that the batch claims")
            n = load_varint32(p, end, &length)
            if n <= 0 or length < 1 or length > end - p - n:
                raise CorruptBatch(f"record {len(out)} ends behind its batch")
            p += n
            stop = p + length
            p += 1
            n = load_varint64(p, stop, &timestamp_delta)
            if n <= 0:
                raise CorruptBatch(f"record {len(out)} has an impossible timestamp")
            p += n
            n = load_varint32(p, stop, &delta)
            if n <= 0:
                raise CorruptBatch(f"record {len(out)} has an impossible offset")
            p += n
            key = _get_blob(&p, stop)
            value = _get_blob(&p, stop)
            n = load_varint32(p, stop, &header_count)
            if n <= 0 or header_count < 0 or header_count > stop - p:
                raise CorruptBatch(f"record {len(out)} claims an impossible number of headers")
            p += n
            headers = []
            for i in range(header_count):
                name = _get_blob(&p, stop)
                if name is None:
                    raise CorruptBatch(f"record {len(out)} has a header without a key")
                headers.append((name.decode("utf-8", "replace"), _get_blob(&p, stop)))
            if p != stop:
                raise CorruptBatch(f"record {len(out)} is longer than its fields")
            out.append((delta, timestamp_delta, key, value, headers))
    finally:
        PyBuffer_Release(&view)
    if len(out) != count:
        raise CorruptBatch(f"{len(out)} records in a batch that claims {count}")
    return out


# ---- sorted fixed-width entries: the index files -------------------------------------------------

def floor_entry(data, Py_ssize_t entries, int width, int key_bytes, int64_t key) -> int:
    """Number of the last of `entries` entries whose leading big-endian key is <= `key`; -1: none.

    data: entries of `width` bytes, ascending by a key of `key_bytes` (4: unsigned, or 8: signed).
    """
    cdef Py_buffer view
    cdef const uint8_t *p
    cdef Py_ssize_t low = 0, high = entries, middle
    cdef int64_t here
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        assert entries * width <= view.len and key_bytes in (4, 8)
        p = <const uint8_t *>view.buf
        while low < high:
            middle = (low + high) // 2
            if key_bytes == 4:
                here = <int64_t>load_u32(p + middle * width)
            else:
                here = <int64_t>load_u64(p + middle * width)
            if here <= key:
                low = middle + 1
            else:
                high = middle
        return low - 1
    finally:
        PyBuffer_Release(&view)


def sound_entries(data, Py_ssize_t entries, int width, int key_bytes) -> int:
    """How many of the first entries ascend, in their leading key and in the uint32 behind it.

    data, width, key_bytes: see `floor_entry`. What a power cut leaves of an index file, zeros or
    the bytes of somebody else, does not ascend.
    """
    cdef Py_buffer view
    cdef const uint8_t *p
    cdef Py_ssize_t n
    cdef int64_t key, second, last_key = -1, last_second = -1
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        assert entries * width <= view.len and key_bytes in (4, 8) and width >= key_bytes + 4
        p = <const uint8_t *>view.buf
        for n in range(entries):
            key = <int64_t>load_u32(p) if key_bytes == 4 else <int64_t>load_u64(p)
            second = <int64_t>load_u32(p + key_bytes)
            if key <= last_key or second <= last_second:
                return n
            last_key, last_second = key, second
            p += width
        return entries
    finally:
        PyBuffer_Release(&view)
