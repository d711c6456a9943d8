"""A thread that syncs files and never holds the interpreter's lock: group commit at C speed.

One round at a time: `begin(files, journal, frames)` hands over file descriptors, the thread writes
the frames into the journal and syncs it, syncs the files one after the other, and `done_fd` becomes
readable; `end()` then says how each went. A sync holds up nobody: the thread waits on a condition of
its own, and the loop is woken by an eventfd.

A frame is a head that the caller has made, with a place for a CRC-32C of all that follows the CRC,
and behind it bytes that are copied from files. It is written with zeros up to a multiple of
FRAME_ALIGN, so that no page has to be read to be written.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.errno cimport EINTR, ENODATA, ENOMEM, errno
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset
from posix.types cimport off_t
from posix.unistd cimport close, fdatasync, fsync, pread, pwrite, read, write

cdef extern from "crc32c.h" nogil:
    uint32_t crc32c_of(const uint8_t *data, size_t size, int with_instruction)

cdef extern from "<unistd.h>" nogil:
    int syncfs(int fd)

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

cdef enum:
    _DATA = 0           # fdatasync
    _WHOLE = 1          # fsync, with all metadata: a directory
    _FILE_SYSTEM = 2    # syncfs: everything on the file system of that fd
    _CRC_AT = 4         # bytes of a frame before its CRC, a big-endian uint32
    _FRAME_ALIGN = 4096

DATA, WHOLE, FILE_SYSTEM = _DATA, _WHOLE, _FILE_SYSTEM
CRC_AT, FRAME_ALIGN = _CRC_AT, _FRAME_ALIGN

cdef int _sync(int fd, int how) noexcept nogil:
    """The errno; 0: synced."""
    cdef int failed
    if how == _FILE_SYSTEM:
        failed = syncfs(fd)
    elif how == _WHOLE:
        failed = fsync(fd)
    else:
        failed = fdatasync(fd)
    return errno if failed else 0

cdef int _copy(Copy *copy, uint8_t *to) noexcept nogil:
    """Read what is to be copied; the errno. What a file does not have is zeros, and ENODATA."""
    cdef size_t done = 0
    cdef ssize_t count
    while done < copy.size:
        count = pread(copy.fd, to + done, copy.size - done, <off_t>(copy.position + done))
        if count < 0 and errno == EINTR:
            continue
        if count <= 0:
            memset(to + done, 0, copy.size - done)
            return errno if count < 0 else ENODATA
        done += count
    return 0

cdef int _write(int fd, const uint8_t *data, size_t size, int64_t position) noexcept nogil:
    """All of `data`; the errno."""
    cdef size_t done = 0
    cdef ssize_t count
    while done < size:
        count = pwrite(fd, data + done, size - done, <off_t>(position + done))
        if count < 0:
            if errno == EINTR:
                continue
            return errno
        done += count
    return 0

cdef int _write_frames(Round *round) noexcept nogil:
    """Write this round's frames and sync the journal; the errno."""
    cdef Frame *frame
    cdef Copy *copy = round.copies
    cdef int *failure = round.failures + round.count
    cdef Py_ssize_t i, j
    cdef size_t at, padded
    cdef uint32_t crc
    cdef uint8_t *grown
    cdef int failed
    for i in range(round.frame_count):
        frame = round.frames + i
        padded = (frame.size + _FRAME_ALIGN - 1) & ~<size_t>(_FRAME_ALIGN - 1)
        if padded > round.capacity:
            grown = <uint8_t *>realloc(round.buffer, padded)
            if grown is NULL:
                return ENOMEM
            round.buffer, round.capacity = grown, padded
        memcpy(round.buffer, frame.head, frame.head_size)
        at = frame.head_size
        for j in range(frame.copies):
            failure[0] = _copy(copy, round.buffer + at)
            at += copy.size
            copy += 1
            failure += 1
        memset(round.buffer + at, 0, padded - at)
        crc = crc32c_of(round.buffer + _CRC_AT + 4, frame.size - _CRC_AT - 4, 1)
        round.buffer[_CRC_AT] = crc >> 24
        round.buffer[_CRC_AT + 1] = crc >> 16 & 255
        round.buffer[_CRC_AT + 2] = crc >> 8 & 255
        round.buffer[_CRC_AT + 3] = crc & 255
        failed = _write(round.journal, round.buffer, padded, frame.position)
        if failed:
            return failed
    return _sync(round.journal, _DATA)

cdef void *_work(void *argument) noexcept nogil:
    """The thread's life."""
    cdef Round *round = <Round *>argument
    cdef uint64_t one = 1
    cdef Py_ssize_t i
    while True:
        pthread_mutex_lock(&round.mutex)
        while not round.waiting and not round.stopping:
            pthread_cond_wait(&round.begun, &round.mutex)
        if not round.waiting:
            pthread_mutex_unlock(&round.mutex)
            return NULL
        pthread_mutex_unlock(&round.mutex)
        if round.journal >= 0:
            round.failures[round.count + round.copy_count] = _write_frames(round)
        for i in range(round.count):
            round.failures[i] = _sync(round.fds[i], round.how[i])
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

    def begin(self, files, int journal=-1, frames=()) -> None:
        """Sync `files`, pairs of (fd, how), on the thread; how: DATA, WHOLE or FILE_SYSTEM.

        journal: an fd to write `frames` to, and to sync; -1: none. A frame is (position in the
        journal, head, what is copied behind it as (fd, position, size)). The fds stay open until
        `end` has been called.
        """
        cdef Py_ssize_t count = len(files), copies = 0, i
        assert self.is_open and self.round.fds is NULL, "a round is being run"
        if journal >= 0:
            for _, _, copied in frames:
                copies += len(copied)
        self.round.fds = <int *>malloc((count + 1) * sizeof(int))
        self.round.how = <int *>malloc((count + 1) * sizeof(int))
        self.round.failures = <int *>calloc(count + copies + 1, sizeof(int))
        self.round.copies = <Copy *>malloc((copies + 1) * sizeof(Copy))
        self.round.frames = <Frame *>malloc((len(frames) + 1) * sizeof(Frame))
        if not (self.round.fds and self.round.how and self.round.failures
                and self.round.copies and self.round.frames):
            self._drop()
            raise MemoryError
        try:
            for i in range(count):
                self.round.fds[i], self.round.how[i] = files[i]
            self._set_journal(journal, list(frames))
        except BaseException:
            self._drop()
            raise
        self.round.count = count
        pthread_mutex_lock(&self.round.mutex)
        self.round.waiting = True
        pthread_cond_signal(&self.round.begun)
        pthread_mutex_unlock(&self.round.mutex)

    cdef int _set_journal(self, int fd, list frames) except -1:
        cdef Copy *copy = self.round.copies
        cdef Frame *frame = self.round.frames
        cdef bytes head
        self.heads = []
        self.round.journal = fd
        self.round.frame_count = len(frames)
        for position, head, copied in frames:
            self.heads.append(head)
            frame.position = position
            frame.head = <const uint8_t *>PyBytes_AS_STRING(head)
            frame.head_size = frame.size = PyBytes_GET_SIZE(head)
            frame.copies = len(copied)
            for one in copied:
                copy.fd, copy.position, copy.size = one
                frame.size += copy.size
                copy += 1
            frame += 1
        self.round.copy_count = copy - self.round.copies

    def end(self) -> list:
        """The errno of each file of the round that was run, 0 for those that are synced; with a
        journal then those of what was copied, and the journal's own."""
        cdef uint64_t count
        assert self.round.fds is not NULL, "no round was begun"
        read(self.round.done_fd, &count, sizeof(count))
        failures = self._failures()
        self._drop()
        return failures

    cdef list _failures(self):
        cdef Py_ssize_t count = self.round.count
        if self.round.journal >= 0:
            count += self.round.copy_count + 1
        return [self.round.failures[i] for i in range(count)]

    cdef void _drop(self) noexcept:
        free(self.round.fds)
        free(self.round.how)
        free(self.round.failures)
        free(self.round.copies)
        free(self.round.frames)
        self.round.fds = self.round.how = self.round.failures = NULL
        self.round.copies = NULL
        self.round.frames = NULL
        self.heads = None

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
            failures = self._failures()
        self._drop()
        free(self.round.buffer)
        self.round.buffer = NULL
        self.round.capacity = 0
        return failures

    def __dealloc__(self):
        self.close()
        pthread_mutex_destroy(&self.round.mutex)
        pthread_cond_destroy(&self.round.begun)


def sync_file_system(int fd) -> None:
    """Everything on the file system of `fd` is on the medium. Raises OSError: of writes that failed
    since `fd` was opened, too, from Linux 5.8 on."""
    cdef int number
    with nogil:
        number = _sync(fd, _FILE_SYSTEM)
    if number:
        raise OSError(number, "syncfs failed")


def crc32c(bytes data, bint with_instruction) -> int:
    """The CRC that frames get, for tests: by the processor's instruction, or by the table."""
    return crc32c_of(<const uint8_t *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data),
                     with_instruction)
