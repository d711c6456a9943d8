"""A thread that syncs files and never holds the interpreter's lock: group commit at C speed.

One round at a time: `begin(files)` hands over file descriptors, the thread syncs one after the
other, and `done_fd` becomes readable; `end()` then says how each went. A sync holds up nobody: the
thread waits on a condition of its own, and the loop is woken by an eventfd.
"""
from libc.errno cimport errno
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc
from posix.unistd cimport close, fdatasync, fsync, read, write

cdef extern from "<sys/eventfd.h>" nogil:
    int eventfd(unsigned int initial, int flags)
    int EFD_CLOEXEC
    int EFD_NONBLOCK

cdef extern from "<pthread.h>" nogil:
    int pthread_create(pthread_t *thread, void *attributes, void *(*start)(void *) noexcept nogil,
                       void *argument)
    int pthread_join(pthread_t thread, void **value)
    int pthread_mutex_init(pthread_mutex_t *mutex, void *attributes)
    int pthread_mutex_lock(pthread_mutex_t *mutex)
    int pthread_mutex_unlock(pthread_mutex_t *mutex)
    int pthread_mutex_destroy(pthread_mutex_t *mutex)
    int pthread_cond_init(pthread_cond_t *condition, void *attributes)
    int pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
    int pthread_cond_signal(pthread_cond_t *condition)
    int pthread_cond_destroy(pthread_cond_t *condition)

cdef extern from "<unistd.h>" nogil:
    int syncfs(int fd)


def sync_file_system(int fd) -> None:
    """Everything on the file system of `fd` is on the medium when this returns. Raises OSError."""
    cdef int failed
    with nogil:
        failed = syncfs(fd)
    if failed:
        raise OSError(errno, "the file system cannot be synced")


cdef void *_work(void *argument) noexcept nogil:
    """The thread's life."""
    cdef Round *round = <Round *>argument
    cdef uint64_t one = 1
    cdef Py_ssize_t i
    cdef int failed
    while True:
        pthread_mutex_lock(&round.mutex)
        while not round.waiting and not round.stopping:
            pthread_cond_wait(&round.begun, &round.mutex)
        if not round.waiting:
            pthread_mutex_unlock(&round.mutex)
            return NULL
        pthread_mutex_unlock(&round.mutex)
        for i in range(round.count):
            failed = fsync(round.fds[i]) if round.whole[i] else fdatasync(round.fds[i])
            round.failures[i] = errno if failed else 0
        pthread_mutex_lock(&round.mutex)
        round.waiting = False
        pthread_mutex_unlock(&round.mutex)
        write(round.done_fd, &one, sizeof(one))


cdef class SyncThread:
    """Started when made; `close` ends it. One owner; no call while another is in `begin` or `end`.

    done_fd: readable once a round that was begun has been run.
    """

    def __cinit__(self):
        self.round.done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        if self.round.done_fd < 0:
            raise OSError(errno, "no eventfd for the sync thread")
        pthread_mutex_init(&self.round.mutex, NULL)
        pthread_cond_init(&self.round.begun, NULL)
        if pthread_create(&self.thread, NULL, _work, &self.round):
            raise MemoryError("the sync thread cannot be started")
        self.is_open = True

    @property
    def done_fd(self) -> int:
        return self.round.done_fd

    def begin(self, files) -> None:
        """Sync `files`, pairs of (fd, whether it is a directory), on the thread.

        The fds stay open until `end` has been called.
        """
        cdef Py_ssize_t count = len(files), i
        assert self.is_open and self.round.fds is NULL, "a round is being run"
        self.round.fds = <int *>malloc((count + 1) * sizeof(int))
        self.round.whole = <bint *>malloc((count + 1) * sizeof(bint))
        self.round.failures = <int *>malloc((count + 1) * sizeof(int))
        if not (self.round.fds and self.round.whole and self.round.failures):
            self._drop()
            raise MemoryError
        for i in range(count):
            self.round.fds[i], self.round.whole[i] = files[i]
        self.round.count = count
        pthread_mutex_lock(&self.round.mutex)
        self.round.waiting = True
        pthread_cond_signal(&self.round.begun)
        pthread_mutex_unlock(&self.round.mutex)

    def end(self) -> list:
        """The errno of each file of the round that was run, 0 for those that are synced."""
        cdef uint64_t count
        assert self.round.fds is not NULL, "no round was begun"
        read(self.round.done_fd, &count, sizeof(count))
        failures = [self.round.failures[i] for i in range(self.round.count)]
        self._drop()
        return failures

    cdef void _drop(self) noexcept:
        free(self.round.fds)
        free(self.round.whole)
        free(self.round.failures)
        self.round.fds = self.round.failures = NULL
        self.round.whole = NULL

    def close(self) -> list:
        """Run what was begun, and end the thread; as `end`, without a round: empty."""
        if not self.is_open:
            return []
        self.is_open = False
        with nogil:
            pthread_mutex_lock(&self.round.mutex)
            self.round.stopping = True
            pthread_cond_signal(&self.round.begun)
            pthread_mutex_unlock(&self.round.mutex)
            pthread_join(self.thread, NULL)
        close(self.round.done_fd)
        failures = []
        if self.round.fds is not NULL:
            failures = [self.round.failures[i] for i in range(self.round.count)]
        self._drop()
        return failures

    def __dealloc__(self):
        self.close()
        pthread_mutex_destroy(&self.round.mutex)
        pthread_cond_destroy(&self.round.begun)
