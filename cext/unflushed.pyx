"""What of a log waits for a flush: noted for each batch, handed out and taken back for each flush.

It is here because a thousand partitions that write a little each go through it in every round. What
happens seldom is in storage/unflushed.py, whose class is made of this one.
"""
cimport cython


@cython.freelist(1024)
cdef class Written:
    """Bytes [position, end) of a segment, written since the last flush."""

    def __init__(self, segment, int64_t position):
        self.segment = segment
        self.position = self.end = position


@cython.freelist(1024)
cdef class DirtyRange:
    """Bytes [position, position + size) of a segment that were not flushed yet: whole batches,
    with offsets below `end_offset`.

    file: kept open by being here. base_offset: of the segment.
    """


cdef class Job:
    """See storage/flush_job.py. size: of all ranges; largest: of one of them; batches: in all."""

    def __init__(self, Dirty log):
        self.log = log
        self.paths = self.directories = ()


cdef class Dirty:
    """See storage/unflushed.py. name: the log's directory, as the commit journal names it."""

    def __init__(self, bytes name):
        self.name = name
        self.topic_id = None
        self._written = []
        self._unsynced = {}
        self._paths = set()
        self._directories = set()
        self._stale = -1

    def wrote(self, segment, int64_t position, int64_t size, int64_t now_ms) -> None:
        """`size` bytes were written at `position`, the end of `segment`, the last of the log."""
        cdef list written = self._written
        cdef Written last = None
        self._batches += 1
        self.written_bytes += size
        if written:
            last = written[len(written) - 1]
        else:
            self.since_ms = now_ms
        if last is None or last.segment is not segment:
            last = Written(segment, position)
            last.file = segment.file
            written.append(last)
        last.end = position + size

    @property
    def has_rolled(self) -> bool:
        """Whether bytes that no flush has been asked for are in a segment that is closed."""
        return len(self._written) > 1

    def hand_out(self, Job job, int64_t offset) -> None:
        """Fill `job` with all that is to be synced now that the log ends at `offset`."""
        cdef list written = self._written
        cdef list ranges = [None] * len(written)
        cdef Written one
        cdef DirtyRange dirty
        cdef int64_t end = offset
        cdef Py_ssize_t i
        cdef bint was_cut = self._stale == self._jobs
        for i in range(len(written) - 1, -1, -1):
            one = written[i]
            dirty = DirtyRange.__new__(DirtyRange)
            dirty.file = one.segment.file if one.file is None else one.file
            dirty.base_offset = one.segment.base_offset
            dirty.position = one.position
            dirty.size = one.end - one.position
            dirty.end_offset = end
            end = dirty.base_offset
            job.size += dirty.size
            job.largest = max(job.largest, dirty.size)
            ranges[i] = dirty
        # Nothing fails from here on.
        self._jobs += 1
        for one in written:
            self._unsynced[one.segment] = self._jobs
        self._written = []
        if self._paths or self._directories:
            job.paths = sorted(self._paths)
            job.directories = sorted(self._directories, reverse=True)  # a parent after what is in it
            self._paths, self._directories = set(), set()
        job.ranges = ranges
        job.batches = self._batches
        self._batches = 0
        job.offset = offset
        job.number = self._jobs
        job.may_be_journaled = self.topic_id is not None and not was_cut

    def is_stale(self, Job job) -> bool:
        """Whether the log was cut since `job` began."""
        return job.number <= self._stale

    def end(self, Job job, *, bint is_journaled=False) -> None:
        """`job` has run without an error; is_journaled: its ranges are in the journal."""
        if job.number <= self._stale:
            return
        self.flushed_offset = max(self.flushed_offset, job.offset)
        if is_journaled:
            return
        self.recovery_point = max(self.recovery_point, job.offset)
        for segment in [one for one, last in self._unsynced.items() if last <= job.number]:
            del self._unsynced[segment]
