"""A thread that syncs files and writes a journal; see cext/sync_thread.pyx."""
from libc.stdint cimport int64_t, uint8_t

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_t:
        pass
    ctypedef struct pthread_mutex_t:
        pass
    ctypedef struct pthread_cond_t:
        pass

cdef struct Copy:
    int fd              # read `size` bytes from `position` of it
    int64_t position
    size_t size

cdef struct Frame:
    int64_t position    # in the journal
    const uint8_t *head
    size_t head_size
    size_t size         # with what is copied
    Py_ssize_t copies   # how many of the round's are its own

cdef struct Round:
    pthread_mutex_t mutex
    pthread_cond_t begun
    int done_fd
    bint waiting        # a round is to be run
    bint stopping
    Py_ssize_t count
    int *fds
    int *how
    int journal         # fd, -1: none in this round
    Py_ssize_t frame_count
    Frame *frames
    Py_ssize_t copy_count
    Copy *copies
    int *failures       # errno of each file, each copy, and the journal; 0: done
    uint8_t *buffer     # a frame; kept for the next
    size_t capacity

cdef class SyncThread:
    cdef Round round
    cdef pthread_t thread
    cdef bint is_open
    cdef object heads   # bytes that frames point into

    cdef int _set_journal(self, int fd, list frames) except -1
    cdef list _failures(self)
    cdef void _drop(self) noexcept
