"""Sample lines of Prometheus' text format, many at a time.

    sample := name ["{" labels "}"] " " number "\\n"

A page of ten thousand partitions has a hundred thousand of them. Labels come as text that is
escaped already (fastbroker.metrics.labels), once for all families.
"""
from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE,
)
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from libc.stdint cimport INT64_MIN, int32_t, int64_t, uint64_t
from libc.string cimport memcpy

cdef extern from "Python.h":
    char *PyOS_double_to_string(double value, char code, int precision, int flags, int *kind) \
        except NULL

cdef enum:
    FIRST_BYTES = 65536
    NUMBER_MAX = 24             # characters of an int64, and of a double's shortest text


cdef class _Text:
    """Bytes that grow."""

    cdef char *data
    cdef Py_ssize_t size, capacity

    def __cinit__(self):
        self.size, self.capacity = 0, FIRST_BYTES
        self.data = <char *>PyMem_Malloc(FIRST_BYTES)
        if self.data is NULL:
            raise MemoryError

    def __dealloc__(self):
        PyMem_Free(self.data)

    cdef char *room(self, Py_ssize_t count) except NULL:
        """Where `count` more bytes go; `size` is for the caller to move."""
        cdef char *grown
        cdef Py_ssize_t capacity = self.capacity
        if self.size + count > capacity:
            while self.size + count > capacity:
                capacity *= 2
            grown = <char *>PyMem_Realloc(self.data, capacity)
            if grown is NULL:
                raise MemoryError
            self.data, self.capacity = grown, capacity
        return self.data + self.size

    cdef bytes whole(self):
        return PyBytes_FromStringAndSize(self.data, self.size)


cdef char *_put(char *at, bytes text) noexcept:
    cdef Py_ssize_t size = PyBytes_GET_SIZE(text)
    memcpy(at, PyBytes_AS_STRING(text), size)
    return at + size


cdef char *_put_int(char *at, int64_t value) noexcept:
    cdef char digits[NUMBER_MAX]
    cdef int count = 0
    cdef uint64_t left = <uint64_t>value
    if value < 0:
        at[0] = b'-'
        at += 1
        left = 0 - left
    while True:
        digits[count] = <char>(48 + left % 10)
        count += 1
        left //= 10
        if left == 0:
            break
    while count:
        count -= 1
        at[0] = digits[count]
        at += 1
    return at


cdef char *_put_thousandths(char *at, int64_t value) noexcept:
    cdef int rest
    if value < 0:
        at[0] = b'-'
        at += 1
        value = -value
    at = _put_int(at, value // 1000)
    rest = <int>(value % 1000)
    if rest:
        at[0] = b'.'
        at[1] = <char>(48 + rest // 100)
        at[2] = <char>(48 + rest // 10 % 10)
        at[3] = <char>(48 + rest % 10)
        at += 4
    return at


def number(double value) -> bytes:
    """A number as Prometheus reads it: the shortest text that is the same double."""
    if value != value:
        return b"NaN"
    if value - value != 0:
        return b"+Inf" if value > 0 else b"-Inf"
    if -1e15 < value < 1e15 and value == <int64_t>value:
        return str(<int64_t>value).encode()
    cdef char *text = PyOS_double_to_string(value, b'r', 0, 0, NULL)
    try:
        return <bytes>text
    finally:
        PyMem_Free(text)


def lines(bytes name, list labels, values, *, bint thousandths=False) -> bytes:
    """A line for each value, but for those that are missing: the least int64, or NaN.

    labels: of each value, without braces. values: as many int64 or float64. thousandths: int64 of
    which a thousand are 1, as milliseconds told in seconds.
    """
    cdef _Text out = _Text()
    cdef const int64_t[::1] whole
    cdef const double[::1] real
    cdef Py_ssize_t i, count = len(labels), name_size = PyBytes_GET_SIZE(name)
    cdef bint is_whole
    cdef bytes one
    cdef char *at
    view = memoryview(values)
    if len(view) != count:
        raise ValueError(f"{len(view)} values for {count} rows")
    is_whole = view.format in ("q", "l")
    if is_whole:
        whole = values
    else:
        real = values
    for i in range(count):
        if is_whole:
            if whole[i] == INT64_MIN:
                continue
        elif real[i] != real[i]:
            continue
        one = <bytes?>labels[i]
        at = out.room(name_size + PyBytes_GET_SIZE(one) + NUMBER_MAX + 8)
        at = _put(at, name)
        if PyBytes_GET_SIZE(one):
            at[0] = b'{'
            at = _put(at + 1, one)
            at[0] = b'}'
            at += 1
        at[0] = b' '
        at += 1
        if is_whole and thousandths:
            at = _put_thousandths(at, whole[i])
        elif is_whole:
            at = _put_int(at, whole[i])
        else:
            at = _put(at, number(real[i]))
        at[0] = b'\n'
        out.size = at + 1 - out.data
    return out.whole()


def partition_labels(bytes topic, const int32_t[::1] numbers) -> list:
    """The labels of a topic's partitions. topic: the pair that names it."""
    cdef _Text out = _Text()
    cdef Py_ssize_t i
    cdef char *at
    cdef char *begin
    cdef list found = []
    begin = out.room(PyBytes_GET_SIZE(topic) + NUMBER_MAX + 16)
    for i in range(numbers.shape[0]):
        at = _put(begin, topic)
        memcpy(at, b',partition="', 12)
        at = _put_int(at + 12, numbers[i])
        at[0] = b'"'
        found.append(PyBytes_FromStringAndSize(begin, at + 1 - begin))
    return found


def histogram_lines(
    bytes name, bytes labels, list bounds, const int64_t[::1] counts, double total
) -> bytes:
    """The lines of one histogram.

    bounds: upper bounds as text, without +Inf. counts: observed in each bucket, and beyond.
    """
    cdef _Text out = _Text()
    cdef Py_ssize_t i, count = len(bounds), fixed
    cdef int64_t seen = 0
    cdef bytes bound, sum_text = number(total)
    cdef char *at
    if counts.shape[0] != count + 1:
        raise ValueError(f"{counts.shape[0]} counts for {count} bounds")
    fixed = PyBytes_GET_SIZE(name) + PyBytes_GET_SIZE(labels) + NUMBER_MAX + 32
    for i in range(count + 1):
        seen += counts[i]
        bound = <bytes?>bounds[i] if i < count else b"+Inf"
        at = out.room(fixed + PyBytes_GET_SIZE(bound))
        at = _put(_put(at, name), b"_bucket{")
        if PyBytes_GET_SIZE(labels):
            at = _put(_put(at, labels), b",")
        at = _put(_put(_put(at, b'le="'), bound), b'"} ')
        at = _put_int(at, seen)
        at[0] = b'\n'
        out.size = at + 1 - out.data
    braced = b"{" + labels + b"}" if labels else b""
    return b"%b%b_sum%b %b\n%b_count%b %d\n" % (
        out.whole(), name, braced, sum_text, name, braced, seen
    )
