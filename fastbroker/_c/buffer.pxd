"""Growing output bytes, and pieces of files; see cext/buffer.pyx."""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef class Writer:
    cdef uint8_t *data
    cdef Py_ssize_t size, capacity

    cdef uint8_t *grow(self, Py_ssize_t n) except NULL
    cdef inline uint8_t *room(self, Py_ssize_t n) except NULL:
        """`n` bytes to write into, valid until the next call."""
        cdef uint8_t *p
        if self.size + n > self.capacity:
            return self.grow(n)
        p = self.data + self.size
        self.size += n
        return p

    cdef int put_u8(self, uint8_t v) except -1
    cdef int put_u16(self, uint16_t v) except -1
    cdef int put_u32(self, uint32_t v) except -1
    cdef int put_u64(self, uint64_t v) except -1
    cdef int put_uvarint(self, uint32_t v) except -1
    cdef int put(self, const void *data, Py_ssize_t n) except -1
    cdef bytes slice(self, Py_ssize_t start, Py_ssize_t end)

cdef class FileRange:
    cdef readonly int fd
    cdef readonly int64_t offset, length
    cdef readonly object owner
