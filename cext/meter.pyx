"""Counts and times of requests, as plain numbers: an observation costs some nanoseconds.

A Meter is of one API and version, and outlives connections: a request on its way points to it.
Which names all of this has is for fastbroker.metrics.
"""
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdlib cimport calloc, free
from libc.stdint cimport int64_t
from libc.string cimport memset

cdef extern from "<time.h>" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec *time)
    int CLOCK_MONOTONIC

# Where to begin to look for the bound of a value with so many bits.
cdef int64_t _bounds[BOUNDS]
cdef int _first[65]


cdef void _prepare() noexcept:
    cdef int64_t power = 10000, digit
    cdef int at = 0, bits, i
    for _ in range(6):
        for digit in (1, 2, 5):
            _bounds[at] = digit * power
            at += 1
        power *= 10
    _bounds[at] = power
    for bits in range(65):
        i = 0
        if 0 < bits < 64:
            while i < BOUNDS and _bounds[i] < (<int64_t>1 << (bits - 1)):
                i += 1
        elif bits == 64:
            i = BOUNDS
        _first[bits] = i

_prepare()

cdef extern from *:
    int __builtin_clzll(unsigned long long) nogil


cdef void observe(Bins *bins, int64_t value) noexcept nogil:
    """One more value, in nanoseconds."""
    cdef int i = 0
    if value > 0:
        i = _first[64 - __builtin_clzll(value)]
        while i < BOUNDS and value > _bounds[i]:
            i += 1
        bins.total += value
    bins.counts[i] += 1


cdef int64_t now_ns() noexcept nogil:
    """The monotonic clock."""
    cdef timespec time
    clock_gettime(CLOCK_MONOTONIC, &time)
    return <int64_t>time.tv_sec * 1000000000 + time.tv_nsec


def latency_bounds() -> tuple:
    """Upper bounds of what `Meter` observes, in nanoseconds."""
    return tuple(_bounds[i] for i in range(BOUNDS))


cdef class Meter:
    """Requests of one API and version; `meter_of` has those of the process.

    is_flushed: an answer that comes later waits for the disk. To be kept for as long as there are
    connections that have counted with it.
    """

    def __cinit__(self, int key, int version, *, bint is_flushed):
        self.key, self.version = key, version
        self.waits = FLUSH if is_flushed else WAIT

    @property
    def requests(self) -> int:
        return self.count

    @property
    def request_bytes(self) -> int:
        return self.in_bytes

    @property
    def response_bytes(self) -> int:
        return self.out_bytes


cdef dict _meters = {}          # by key and version; a served version each at most


def meter_of(int key, int version, bint is_flushed) -> Meter:
    """The meter of an API's version, which lives as long as the process; see Meter."""
    cdef Meter found = _meters.get((key, version))
    if found is None:
        found = _meters[key, version] = Meter(key, version, is_flushed=is_flushed)
    return found


def all_meters() -> list:
    """Every meter there is."""
    return list(_meters.values())


def stage_of(list meters, int stage) -> tuple:
    """(counts as int64s, sum in nanoseconds) of one stage in all of `meters`."""
    cdef int64_t counts[BOUNDS + 1]
    cdef int64_t total = 0
    cdef Meter one
    cdef int i
    if not 0 <= stage < STAGE_COUNT:
        raise ValueError(f"there is no stage {stage}")
    memset(counts, 0, sizeof(counts))
    for one in meters:
        for i in range(BOUNDS + 1):
            counts[i] += one.stages[stage].counts[i]
        total += one.stages[stage].total
    return PyBytes_FromStringAndSize(<char *>counts, sizeof(counts)), total


cdef class Histogram:
    """What is observed seldom: once a flush. bounds: ascending."""

    def __cinit__(self, bounds):
        cdef Py_ssize_t i
        self.size = len(bounds)
        self.bounds = <int64_t *>calloc(self.size, sizeof(int64_t))
        self.bins = <int64_t *>calloc(self.size + 1, sizeof(int64_t))
        if self.bounds is NULL or self.bins is NULL:
            raise MemoryError
        for i in range(self.size):
            self.bounds[i] = bounds[i]

    def __dealloc__(self):
        free(self.bounds)
        free(self.bins)

    cpdef object observe(self, int64_t value):
        """One more value."""
        cdef Py_ssize_t low = 0, high = self.size, middle
        while low < high:
            middle = (low + high) // 2
            if self.bounds[middle] < value:
                low = middle + 1
            else:
                high = middle
        self.bins[low] += 1
        self.total += value

    def counts(self) -> bytes:
        """int64 of each bucket, and of what is beyond."""
        return PyBytes_FromStringAndSize(<char *>self.bins, (self.size + 1) * sizeof(int64_t))
