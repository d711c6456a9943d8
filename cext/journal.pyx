"""Frames of the commit journal, without what is copied into them; see storage/journal.py."""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from fastbroker._c.buffer cimport Writer
from fastbroker._c.unflushed cimport Dirty, DirtyRange, Job
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

cdef extern from "wire.h" nogil:
    void store_u16(uint8_t *p, uint16_t v)
    void store_u32(uint8_t *p, uint32_t v)
    void store_u64(uint8_t *p, uint64_t v)

cdef enum:
    _HEAD_BYTES = 48
    _ENTRY_BYTES = 46       # and the name
    _TOPIC_ID_BYTES = 16
    _RUN_BYTES = 16
    _VERSION = 1
    _ALIGN = 4096

VERSION = _VERSION


cdef class Frames:
    """Frames for the ranges of `jobs`, one behind the other: see SyncThread.begin.

    sequence: of the first. frame_bytes: no frame is larger. frames: where they begin counts from
    `at`, see `place`. size: of all, up to where the next may begin.
    """

    cdef readonly list frames
    cdef readonly int64_t size
    cdef readonly uint64_t next_sequence
    cdef bytes run
    cdef Writer head
    cdef list copies
    cdef Py_ssize_t copied      # bytes

    def __init__(self, jobs, *, bytes run, uint64_t sequence, Py_ssize_t frame_bytes):
        cdef Job job
        cdef DirtyRange one
        cdef Dirty log
        cdef Py_ssize_t entry
        assert len(run) == _RUN_BYTES
        self.frames = []
        self.run, self.next_sequence = run, sequence
        self._begin()
        for job in jobs:
            log = job.log
            entry = _ENTRY_BYTES + PyBytes_GET_SIZE(log.name)
            for one in job.ranges:
                if one.size == 0:
                    continue
                if self.head.size + entry + self.copied + one.size > frame_bytes:
                    self._close()
                self._put(log, one)
        if self.copies:
            self._close()

    def place(self, int64_t at) -> list:
        """The frames, the first of which begins at `at`."""
        return [(at + begin, head, copies) for begin, head, copies in self.frames]

    cdef int _begin(self) except -1:
        self.head = Writer()
        self.head.room(_HEAD_BYTES)
        self.copies = []
        self.copied = 0
        return 0

    cdef int _put(self, Dirty log, DirtyRange one) except -1:
        cdef Py_ssize_t name = PyBytes_GET_SIZE(log.name)
        cdef uint8_t *p = self.head.room(_ENTRY_BYTES + name)
        assert PyBytes_GET_SIZE(log.topic_id) == _TOPIC_ID_BYTES
        memcpy(p, PyBytes_AS_STRING(log.topic_id), _TOPIC_ID_BYTES)
        store_u64(p + 16, <uint64_t>one.base_offset)
        store_u64(p + 24, <uint64_t>one.position)
        store_u64(p + 32, <uint64_t>one.end_offset)
        store_u32(p + 40, <uint32_t>one.size)
        store_u16(p + 44, <uint16_t>name)
        memcpy(p + _ENTRY_BYTES, PyBytes_AS_STRING(log.name), name)
        self.copies.append((one.file.fd, one.position, one.size))
        self.copied += one.size
        return 0

    cdef int _close(self) except -1:
        cdef uint8_t *p = self.head.data
        cdef int64_t size = self.head.size + self.copied
        memset(p, 0, _HEAD_BYTES)       # a place for the CRC among it
        memcpy(p, b"FBCJ", 4)
        store_u16(p + 8, _VERSION)
        store_u32(p + 12, <uint32_t>len(self.copies))
        store_u64(p + 16, <uint64_t>size)
        store_u64(p + 24, self.next_sequence)
        memcpy(p + 32, PyBytes_AS_STRING(self.run), _RUN_BYTES)
        self.frames.append((self.size, self.head.getvalue(), self.copies))
        self.size += (size + _ALIGN - 1) & ~<int64_t>(_ALIGN - 1)
        self.next_sequence += 1
        return self._begin()
