"""Counts and times of requests; see cext/meter.pyx."""
from libc.stdint cimport int64_t

cdef enum:
    BOUNDS = 19                 # upper bounds of a latency
    STAGE_COUNT = 7

cdef enum Stage:                # in the order of fastbroker.metrics.stages
    QUEUE = 0
    APPEND = 1
    FLUSH = 2
    REPLICATE = 3
    WAIT = 4
    SEND = 5
    TOTAL = 6

cdef struct Bins:
    int64_t counts[BOUNDS + 1]
    int64_t total

cdef void observe(Bins *bins, int64_t value) noexcept nogil
cdef int64_t now_ns() noexcept nogil

cdef class Meter:
    cdef readonly int key, version
    cdef Stage waits            # what an answer that comes later has waited in
    cdef int64_t count, in_bytes, out_bytes
    cdef Bins stages[STAGE_COUNT]

cdef class Histogram:
    cdef int64_t *bounds
    cdef int64_t *bins
    cdef Py_ssize_t size
    cdef readonly int64_t total

    cpdef object observe(self, int64_t value)
