"""Growing output bytes, and pieces of files that go out without being read.

Writer   appends big-endian integers, varints and bytes to memory that doubles as it fills.
FileRange   `length` bytes of the file `fd` from `offset`, sent by sendfile; `owner` keeps fd open.
"""
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from "wire.h" nogil:
    void store_u16(uint8_t *p, uint16_t v)
    void store_u32(uint8_t *p, uint32_t v)
    void store_u64(uint8_t *p, uint64_t v)
    int store_uvarint32(uint8_t *p, uint32_t v)

cdef enum:
    FIRST_BYTES = 512


cdef class Writer:
    def __cinit__(self):
        self.size = 0
        self.capacity = FIRST_BYTES
        self.data = <uint8_t *>PyMem_Malloc(FIRST_BYTES)
        if self.data is NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self.data)

    def __len__(self):
        return self.size

    cdef uint8_t *grow(self, Py_ssize_t n) except NULL:
        cdef Py_ssize_t capacity = self.capacity * 2
        cdef uint8_t *data
        while capacity < self.size + n:
            capacity *= 2
        data = <uint8_t *>PyMem_Realloc(self.data, capacity)
        if data is NULL:
            raise MemoryError
        self.data = data
        self.capacity = capacity
        data += self.size
        self.size += n
        return data

    cdef int put_u8(self, uint8_t v) except -1:
        self.room(1)[0] = v
        return 0

    cdef int put_u16(self, uint16_t v) except -1:
        store_u16(self.room(2), v)
        return 0

    cdef int put_u32(self, uint32_t v) except -1:
        store_u32(self.room(4), v)
        return 0

    cdef int put_u64(self, uint64_t v) except -1:
        store_u64(self.room(8), v)
        return 0

    cdef int put_uvarint(self, uint32_t v) except -1:
        cdef uint8_t scratch[5]
        cdef int n = store_uvarint32(scratch, v)
        memcpy(self.room(n), scratch, n)
        return 0

    cdef int put(self, const void *data, Py_ssize_t n) except -1:
        if n:
            memcpy(self.room(n), data, n)
        return 0

    cdef bytes slice(self, Py_ssize_t start, Py_ssize_t end):
        return PyBytes_FromStringAndSize(<char *>self.data + start, end - start)

    def getvalue(self) -> bytes:
        """A copy of everything written."""
        return self.slice(0, self.size)


cdef class FileRange:
    def __init__(self, int fd, int64_t offset, int64_t length, object owner=None):
        self.fd = fd
        self.offset = offset
        self.length = length
        self.owner = owner

    def __len__(self):
        return self.length

    def __repr__(self):
        return f"FileRange(fd={self.fd}, offset={self.offset}, length={self.length})"
