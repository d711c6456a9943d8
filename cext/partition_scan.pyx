"""Goes through a broker's partitions and writes down numbers of each: ten thousand of them in a few
milliseconds, some at a time.

It looks things up and adds them up. What the numbers are is said by the classes that have them,
fastbroker.partition.partition.Partition and fastbroker.storage.log.Log, and which names they have,
by worker/partition_metrics.py.
"""
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.stdint cimport INT64_MIN, int32_t, int64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memset

cdef enum:
    _COLUMNS = 11
    _ADDED_UP = 9               # the first so many of them make sense as a sum
    TOPICS_FIRST = 64

COLUMNS, ADDED_UP, MISSING = _COLUMNS, _ADDED_UP, INT64_MIN

cdef extern from "Python.h":
    PyObject *PyDict_GetItemWithError(object, object) except? NULL
    object PyObject_GenericGetAttr(object, object)

cdef struct Topic:
    int64_t records, in_bytes, out_bytes
    int64_t min_isr


cdef class PartitionScan:
    """One pass; `step` until it returns False. Beyond `most` partitions are summed in `folded`.

    logs: those that are open, by name. min_isr(topic): asked once for each.
    The columns: bytes, segments, start and end of the log; and of those that the broker leads what
    can be read, the log's start, replicas, those in sync, whether some are not, the leader, whether
    it is the preferred one.
    """

    cdef list partitions
    cdef dict logs, numbers
    cdef object min_isr
    cdef int64_t broker_id
    cdef Py_ssize_t at, most, capacity
    cdef int64_t *values                # _COLUMNS rows of `most` values
    cdef int32_t *partition_numbers
    cdef Topic *topics
    cdef int64_t sums[_COLUMNS]
    cdef object last_topic
    cdef Py_ssize_t last_number
    cdef readonly list names            # of topics, in the order they were met
    cdef list runs                      # [topic, first row] where another topic begins
    cdef readonly int64_t led, under_replicated, under_min_isr

    def __cinit__(self, list partitions, dict logs, int64_t broker_id, Py_ssize_t most, min_isr):
        self.partitions, self.logs, self.min_isr = partitions, logs, min_isr
        self.broker_id, self.most = broker_id, min(most, len(partitions))
        self.values = <int64_t *>malloc((self.most + 1) * _COLUMNS * sizeof(int64_t))
        self.partition_numbers = <int32_t *>malloc((self.most + 1) * sizeof(int32_t))
        self.capacity = TOPICS_FIRST
        self.topics = <Topic *>calloc(self.capacity, sizeof(Topic))
        if self.values is NULL or self.partition_numbers is NULL or self.topics is NULL:
            raise MemoryError
        memset(self.sums, 0, sizeof(self.sums))
        self.names, self.runs, self.numbers = [], [], {}
        self.last_topic = None

    def __dealloc__(self):
        free(self.values)
        free(self.partition_numbers)
        free(self.topics)

    def step(self, Py_ssize_t count) -> bool:
        """Look at `count` more; whether there are others."""
        cdef Py_ssize_t end = min(self.at + count, len(self.partitions))
        while self.at < end:
            self._look(self.partitions[self.at])
            self.at += 1
        return self.at < len(self.partitions)

    cdef Topic *_topic(self, object name) except NULL:
        cdef Topic *grown
        cdef Py_ssize_t number
        if name is self.last_topic:
            return self.topics + self.last_number
        found = self.numbers.get(name)
        if found is None:
            number = len(self.names)
            if number == self.capacity:
                grown = <Topic *>realloc(self.topics, 2 * self.capacity * sizeof(Topic))
                if grown is NULL:
                    raise MemoryError
                memset(grown + self.capacity, 0, self.capacity * sizeof(Topic))
                self.topics = grown
                self.capacity *= 2
            self.topics[number].min_isr = self.min_isr(name)
            self.names.append(name)
            self.numbers[name] = number
        else:
            number = found
        self.last_topic, self.last_number = name, number
        if self.at < self.most:
            self.runs.append((name, self.at))
        return self.topics + number

    cdef int _look(self, object partition) except -1:
        cdef object name = partition.name
        cdef object leadership = partition.leadership
        cdef Topic *topic = self._topic(name[0])
        cdef int64_t values[_COLUMNS]
        cdef int64_t in_sync, replicas, leader, readable = INT64_MIN
        cdef int i
        cdef list segments
        cdef PyObject *found = PyDict_GetItemWithError(self.logs, name)
        for i in range(_COLUMNS):
            values[i] = INT64_MIN
        topic.out_bytes += <int64_t>partition.sent_bytes
        kept = partition.kept
        if kept is not None:
            topic.records += <int64_t>kept[0]
            topic.in_bytes += <int64_t>kept[1]
        if found is not NULL:
            log = <object>found
            unflushed = log.unflushed
            segments = log.segments._all
            values[3] = log.log_end_offset
            values[2] = log.log_start_offset
            values[1] = len(segments)
            values[0] = 0
            for segment in segments:
                values[0] += <int64_t>segment.size
            topic.records += values[3] - <int64_t>unflushed.opened_at
            topic.in_bytes += <int64_t>unflushed.written_bytes
            # A slot, and no question: a partition whose log is not open would open it.
            readable = PyObject_GenericGetAttr(partition, "high_watermark")
        elif kept is not None:
            for i in range(4):
                values[i] = kept[2 + i]
            readable = values[3]
        leader = leadership[0]
        if leader == self.broker_id:
            replicas, in_sync = len(leadership[3]), len(leadership[4])
            self.led += 1
            self.under_replicated += in_sync < replicas
            self.under_min_isr += in_sync < topic.min_isr
            values[4], values[5] = readable, values[2]
            values[6], values[7], values[8] = replicas, in_sync, in_sync < replicas
            values[9] = leader
            values[10] = replicas > 0 and leadership[3][0] == leader
        if self.at < self.most:
            self.partition_numbers[self.at] = name[1]
            for i in range(_COLUMNS):
                self.values[i * self.most + self.at] = values[i]
        else:
            for i in range(_ADDED_UP):
                if values[i] != INT64_MIN:
                    self.sums[i] += values[i]
        return 0

    # ---- what was found

    def rows(self) -> list:
        """(topic, int32s of partitions) of those with values of their own, in order."""
        cdef Py_ssize_t n, first, end
        out = []
        for n in range(len(self.runs)):
            name, first = self.runs[n]
            end = self.runs[n + 1][1] if n + 1 < len(self.runs) else self.most
            out.append((name, PyBytes_FromStringAndSize(
                <char *>(self.partition_numbers + first), (end - first) * sizeof(int32_t))))
        return out

    def columns(self) -> list:
        """int64s of each column."""
        return [
            PyBytes_FromStringAndSize(
                <char *>(self.values + i * self.most), self.most * sizeof(int64_t))
            for i in range(_COLUMNS)
        ]

    def folded(self) -> list:
        """The sums of the others; of a column that makes no sense as a sum, MISSING."""
        return [self.sums[i] if i < _ADDED_UP else INT64_MIN for i in range(_COLUMNS)]

    def topic_sums(self) -> list:
        """(records in, bytes in, bytes out) of each of `names`."""
        return [
            (self.topics[n].records, self.topics[n].in_bytes, self.topics[n].out_bytes)
            for n in range(len(self.names))
        ]
