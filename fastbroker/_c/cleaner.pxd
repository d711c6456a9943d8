"""Compaction's work on bytes; see cext/cleaner.pyx."""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

cdef struct Slot:
    uint64_t low, high
    int64_t after  # the key's last offset, plus 1; 0: the slot is free

cdef struct Bytes:
    uint8_t *data
    Py_ssize_t size, capacity

cdef struct Head:
    # A batch's header, and where it stands.
    const uint8_t *at
    int64_t size, base_offset, base_timestamp, max_timestamp
    int32_t last_delta, count
    int attributes

cdef struct Found:
    # One record of a body: [begin, stop) with its length, [times, rest) is its timestamp delta.
    const uint8_t *begin
    const uint8_t *times
    const uint8_t *rest
    const uint8_t *stop
    const uint8_t *key
    int64_t time_delta
    int32_t delta, key_size
    bint has_value

cdef class OffsetMap:
    cdef readonly Py_ssize_t slots, limit, size
    cdef readonly int64_t latest_offset
    cdef Slot *table
    cdef uint8_t seed[16]

    cdef Slot *_slot(self, uint64_t low, uint64_t high) noexcept nogil
    cdef int64_t _after(self, const uint8_t *key, Py_ssize_t size) noexcept nogil
    cdef int _add(
        self, const uint8_t *p, Py_ssize_t size, Py_ssize_t *at, int64_t start
    ) noexcept nogil
    cdef int _add_body(
        self, const uint8_t *p, const uint8_t *end, Head *head, int64_t start
    ) noexcept nogil

cdef class BatchFilter:
    cdef OffsetMap keys
    cdef Bytes out, entries, times, scratch
    cdef int64_t *kept
    cdef Py_ssize_t kept_count
    cdef int64_t now_ms, horizon_ms, since_index, last_time
    cdef bint recodes
    cdef int64_t index_interval
    cdef int32_t chosen
    cdef bint has_tombstone
    cdef int64_t latest
    cdef readonly int64_t base_offset, size, end_offset, max_timestamp, offset_of_max
    cdef readonly int64_t first_timestamp, largest_batch, records_read, records_kept
    cdef readonly bint is_changed

    cdef int _run(self, const uint8_t *p, Py_ssize_t size, Py_ssize_t *at) noexcept nogil
    cdef int _filter(self, Head *head) noexcept nogil
    cdef int _choose(
        self, const uint8_t *p, const uint8_t *end, Head *head, bint all_of_them, Bytes *to
    ) noexcept nogil
    cdef int _rebase(self, Py_ssize_t begin, int64_t shift, Bytes *data) noexcept nogil
    cdef int _empty(self, Head *head) noexcept nogil
    cdef int _time_entry(self) noexcept nogil
    cdef int _written(self, Py_ssize_t begin) noexcept nogil
    cdef int32_t _whole(self, batch) except -1
    cdef bint _keeps(self, int64_t last_offset) noexcept nogil
