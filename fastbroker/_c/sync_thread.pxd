"""A thread that syncs files; see cext/sync_thread.pyx."""

cdef extern from "<pthread.h>" nogil:
    ctypedef struct pthread_t:
        pass
    ctypedef struct pthread_mutex_t:
        pass
    ctypedef struct pthread_cond_t:
        pass

cdef struct Round:
    pthread_mutex_t mutex
    pthread_cond_t begun
    int done_fd
    bint waiting        # a round is to be run
    bint stopping
    Py_ssize_t count
    int *fds
    bint *whole         # fsync, with all metadata: a directory
    int *failures       # errno of each, 0: synced

cdef class SyncThread:
    cdef Round round
    cdef pthread_t thread
    cdef bint is_open

    cdef void _drop(self) noexcept
