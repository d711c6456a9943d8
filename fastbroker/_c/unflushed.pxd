"""What of a log waits for a flush; see cext/unflushed.pyx."""
from libc.stdint cimport int64_t

cdef class Written:
    cdef readonly object segment
    cdef readonly int64_t position, end
    cdef object file    # None: not looked up yet

cdef class DirtyRange:
    cdef readonly object file
    cdef readonly int64_t base_offset, position, size, end_offset

cdef class Job:
    cdef readonly Dirty log
    cdef public list ranges
    cdef public object paths, directories
    cdef public bint may_be_journaled
    cdef readonly int64_t offset, number, size, largest, batches

cdef class Dirty:
    cdef public int64_t flushed_offset, recovery_point, since_ms
    cdef public int64_t opened_at           # where the log ended when it was opened
    cdef readonly int64_t written_bytes     # since it was opened
    cdef int64_t _batches                   # that no flush has been asked for
    cdef readonly bytes name
    cdef public bytes topic_id
    cdef public list _written
    cdef public dict _unsynced
    cdef public set _paths, _directories
    cdef public int64_t _jobs, _stale
