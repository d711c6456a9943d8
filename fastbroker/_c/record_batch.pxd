"""Record batches v2; see cext/record_batch.pyx."""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

cdef class BatchHeader:
    cdef readonly int64_t base_offset, size, base_timestamp, max_timestamp, producer_id
    cdef readonly int32_t leader_epoch, last_offset_delta, base_sequence, count
    cdef readonly uint32_t crc
    cdef readonly int magic, attributes, producer_epoch

cdef class RecordWalk:
    cdef int64_t base_timestamp, lowest, highest, skip, left
    cdef int32_t expected, headers_left
    cdef readonly int32_t count
    cdef readonly int64_t max_timestamp
    cdef readonly list out_of_range, keyless
    cdef int state
    cdef uint8_t tail[64]
    cdef Py_ssize_t tail_size

    cdef Py_ssize_t _resume_tail(self, Py_ssize_t added) except -1
    cdef int _walk(self, const uint8_t *p, Py_ssize_t size) except -1
    cdef int _length(self, const uint8_t **p, const uint8_t *end, int32_t *out) except -2
    cdef int _skip_bytes(self, int32_t length, bint nullable) except -1
    cdef Py_ssize_t _advance(self, const uint8_t *start, const uint8_t *end) except -1
    cdef int _next_header(self) except -1
