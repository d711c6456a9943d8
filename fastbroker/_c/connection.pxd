"""One connection on its raw fd; see cext/connection.pyx."""
from libc.stdint cimport int64_t, uint8_t

from fastbroker._c.meter cimport Meter

cdef struct Timing:
    void *meter                 # of the API and version; NULL: the place is not followed
    int64_t arrived, handled, replied  # by the clock; 0: not yet; replied -1: in its own dispatch

cdef class ReceiveBuffer:
    cdef uint8_t *data
    cdef Py_ssize_t capacity
    cdef Py_ssize_t exports

cdef class Connection:
    cdef readonly object loop
    cdef int fd
    cdef object dispatch, on_closed
    cdef Py_ssize_t max_frame_bytes
    cdef public object peer              # who is at the other end, for log lines and metadata
    cdef public object local             # the address that the peer reached us at
    cdef public object context           # whatever the owner keeps per connection
    cdef public bint active              # something moved since the owner last cleared it
    cdef ReceiveBuffer buffer            # None while nothing has arrived
    cdef Py_ssize_t start, end           # bytes [start, end) of it have arrived, undispatched
    cdef int64_t next_place, head_place  # places [head, next) are unanswered
    cdef dict ready                      # answers that wait for an earlier place
    cdef object out                      # deque of parts to send
    cdef Py_ssize_t out_bytes            # of all parts, less what was sent
    cdef Py_ssize_t out_sent             # of the first part
    cdef Timing *times                   # of places [sent_place, next_place), a ring; NULL: none yet
    cdef int64_t times_size, sent_place
    cdef int64_t arrived                 # when the frames that wait were read, by the clock
    cdef Py_ssize_t frame_bytes          # of the frame that is being dispatched
    cdef bint held, stalled, dispatching, flush_due, reading, writing, resting

    cpdef object reserve(self, Meter meter=*)
    cdef int _follow(self, Meter meter) except -1
    cdef void _replied(self, int64_t place) noexcept
    cdef void _handled(self, int64_t place, int64_t began, int64_t now) noexcept
    cdef void _sent(self, int64_t end) noexcept
    cdef int _count_out(self, int64_t place, Py_ssize_t size) except -1
    cpdef object reply(self, object place, object parts)
    cpdef object send(self, object parts)
    cpdef object resume(self)
    cpdef object close(self, str reason, object error=*)
    cdef bint _make_room(self) except -1
    cdef object _process(self, int64_t began=*)
    cdef void _drop_empty(self) noexcept
    cdef object _stop_reading(self)
    cdef object _queue(self, object parts)
    cdef object _schedule(self)
    cdef object _send_all(self)
    cdef bint _send_buffers(self) except -1
    cdef bint _send_file(self, object part) except -1
    cdef object _fail(self, str what, int failure)
    cdef bint _send_failed(self, int failure) except -1
