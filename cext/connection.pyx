"""One connection on its raw, non-blocking fd: size-prefixed frames in, ordered answers out.

    frame  := size:int32 payload:size*byte          (Kafka's framing, both directions)

The connection is driven by the event loop's add_reader/add_writer and calls recv, writev and
sendfile itself. It knows nothing of what a frame means.

In.  Bytes arrive in a ReceiveBuffer. Each whole frame is handed to `dispatch` as a memoryview of
that buffer; whoever keeps the view keeps the buffer, which is then left to them and replaced
instead of being overwritten. A buffer grows with the bytes that have arrived, not with what a size
prefix promises; its memory comes from, and goes back to, a bounded pool of the process. A small
buffer is always given; a larger one only while the process is below its limit.

Out. `reserve()` takes the next place in the order of answers; `reply(place, parts)` fills it, in any
order. Parts are buffers, sent together by one writev, and file ranges (anything with `fd`, `offset`
and `length`), sent by sendfile. What the socket does not take waits for it to become writable.

Limits. While more than UNANSWERED_MAX frames are unanswered, or OUT_BYTES_MAX bytes unsent, or a
dispatch has asked to hold, no further frame is dispatched; reading goes on until the buffer is full
and then stops, so the peer's own send buffer fills. Nothing is dropped. After DISPATCHES_MAX frames
the other connections get their turn.

Times. While `measure(True)` is in force, a place that was reserved with a Meter is followed until
the socket has its answer. The clock is read when bytes have arrived, after each dispatch, and when
everything was sent; and for an answer that comes later, when it comes.

Owned by one event loop; no call from another thread.
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.memoryview cimport PyMemoryView_FromObject
from libc.errno cimport EAGAIN, ECONNRESET, EINTR, EPIPE, errno
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove, strerror
from posix.types cimport off_t

from collections import deque

from fastbroker._c.meter cimport APPEND, QUEUE, SEND, TOTAL, Meter, now_ns, observe

cdef extern from "wire.h" nogil:
    uint32_t load_u32(const uint8_t *p)

cdef extern from "sys/types.h":
    ctypedef Py_ssize_t ssize_t

cdef extern from "sys/uio.h" nogil:
    struct iovec:
        void *iov_base
        size_t iov_len

cdef extern from "sys/socket.h" nogil:
    struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen
        void *msg_name
        size_t msg_namelen
        void *msg_control
        size_t msg_controllen
        int msg_flags
    int MSG_NOSIGNAL
    int MSG_MORE
    int SHUT_RDWR
    ssize_t recv(int fd, void *data, size_t size, int flags)
    ssize_t sendmsg(int fd, const msghdr *message, int flags)
    int shutdown(int fd, int how)

cdef extern from "sys/sendfile.h" nogil:
    ssize_t c_sendfile "sendfile"(int out, int source, off_t *offset, size_t count)

cdef extern from "unistd.h" nogil:
    int c_close "close"(int fd)

cdef enum:
    SMALL_BYTES = 65536              # what a connection begins with
    LARGE_BYTES = 1048576 + 65536    # a frame of 1 MiB with its headers
    POOL_SMALL_MAX = 64              # 4 MiB kept for reuse
    POOL_LARGE_MAX = 8               # 8.5 MiB kept for reuse
    IOVECS_MAX = 64
    READS_MAX = 8                    # recv calls for one readiness, so that others get their turn
    DISPATCHES_MAX = 16              # frames in one turn, so that others get theirs
    UNANSWERED_MAX = 512
    OUT_BYTES_MAX = 4194304
    TIMES_MIN = 8                    # places that are followed at first
    TIMES_MAX = 1024                 # a power of two, more than UNANSWERED_MAX

# ---- memory of receive buffers: one pool a process, single threaded ----------------------------

cdef void *_small[POOL_SMALL_MAX]
cdef void *_large[POOL_LARGE_MAX]
cdef int _small_n = 0
cdef int _large_n = 0
cdef size_t _in_use = 0              # bytes of all receive buffers handed out
cdef size_t _in_use_max = 1 << 30


def receive_bytes() -> int:
    """Bytes of memory now handed out to receive buffers in this process."""
    return _in_use


def receive_bytes_left() -> int:
    """Bytes that receive buffers may still grow by; 0 or less: frames wait for memory."""
    return <Py_ssize_t>_in_use_max - <Py_ssize_t>_in_use


def limit_receive_bytes(size_t limit) -> None:
    """Give no buffer beyond the smallest while the process holds more than `limit` bytes."""
    global _in_use_max
    _in_use_max = limit


cdef Py_ssize_t _unsent = 0          # bytes of answers that wait in memory, all connections


def unsent_bytes() -> int:
    """Bytes that wait in memory to be sent in this process; file ranges do not count."""
    return _unsent


cdef bint _is_measured = False


def measure(bint is_on) -> None:
    """Whether requests are followed from here on."""
    global _is_measured
    _is_measured = is_on


cdef Py_ssize_t _held_by(object part) except -1:
    """The memory that a part of an answer keeps."""
    if PyBytes_CheckExact(part):
        return PyBytes_GET_SIZE(part)
    if isinstance(part, memoryview):
        return part.nbytes
    return 0 if hasattr(part, "length") else len(part)


cdef void *_take(Py_ssize_t size) noexcept:
    global _small_n, _large_n, _in_use
    cdef void *p
    if size == SMALL_BYTES and _small_n:
        _small_n -= 1
        p = _small[_small_n]
    elif size == LARGE_BYTES and _large_n:
        _large_n -= 1
        p = _large[_large_n]
    else:
        p = malloc(size)
    if p is not NULL:
        _in_use += size
    return p


cdef void _give(void *p, Py_ssize_t size) noexcept:
    global _small_n, _large_n, _in_use
    _in_use -= size
    if size == SMALL_BYTES and _small_n < POOL_SMALL_MAX:
        _small[_small_n] = p
        _small_n += 1
    elif size == LARGE_BYTES and _large_n < POOL_LARGE_MAX:
        _large[_large_n] = p
        _large_n += 1
    else:
        free(p)


cdef class ReceiveBuffer:
    """Memory that frames arrive in. `exports` counts the views of it that somebody holds."""

    def __dealloc__(self):
        if self.data is not NULL:
            _give(self.data, self.capacity)

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, self.data, self.capacity, 0, flags)
        self.exports += 1

    def __releasebuffer__(self, Py_buffer *view):
        self.exports -= 1


cdef ReceiveBuffer _new_buffer(Py_ssize_t size):
    cdef ReceiveBuffer buffer = ReceiveBuffer.__new__(ReceiveBuffer)
    if size <= SMALL_BYTES:
        size = SMALL_BYTES
    elif size <= LARGE_BYTES:
        size = LARGE_BYTES
    buffer.data = <uint8_t *>_take(size)
    if buffer.data is NULL:
        raise MemoryError(f"no memory for a receive buffer of {size} bytes")
    buffer.capacity = size
    return buffer


# ---- the connection ----------------------------------------------------------------------------

cdef class Connection:
    """One socket. See the module's docstring for the contract.

    loop: needs add_reader, remove_reader, add_writer, remove_writer, call_soon, call_later.
    fd: a connected, non-blocking stream socket; owned by the connection from here on.
    dispatch(connection, frame) -> bool: called for each frame without its size prefix. False: hold
        further frames back until `resume()`. An exception closes the connection.
    closed(connection, reason, error): called once; `error` is what dispatch raised, or None.
    max_frame_bytes: a larger or negative size prefix closes the connection.
    """

    def __init__(self, loop, int fd, dispatch, closed, *, Py_ssize_t max_frame_bytes,
                 object peer=None, object local=None):
        self.loop = loop
        self.fd = fd
        self.dispatch = dispatch
        self.on_closed = closed
        self.max_frame_bytes = max_frame_bytes
        self.peer = peer
        self.local = local
        self.context = None
        self.active = True
        self.start = self.end = 0
        self.next_place = self.head_place = 0
        self.ready = {}
        self.out = deque()
        self.out_bytes = self.out_sent = 0
        self.held = self.stalled = self.dispatching = self.flush_due = self.writing = False
        self.resting = False
        self.times = NULL
        self.times_size = 0
        self.sent_place = 0
        self.arrived = 0
        self.reading = True
        loop.add_reader(fd, self._readable)

    def __dealloc__(self):
        if self.fd >= 0:
            c_close(self.fd)
        free(self.times)

    @property
    def is_closed(self) -> bool:
        return self.fd < 0

    @property
    def unanswered(self) -> int:
        """Frames whose answers have not been handed to the socket's queue."""
        return self.next_place - self.head_place

    @property
    def large_frame(self) -> int:
        """Number, from 1, of a frame beyond the smallest buffer that is here in part; 0: none."""
        if self.buffer is None or self.end - self.start < 4 or self.held or self.stalled:
            return 0
        cdef Py_ssize_t size = <int32_t>load_u32(self.buffer.data + self.start)
        return self.next_place + 1 if size + 4 > SMALL_BYTES else 0

    @property
    def unsent_bytes(self) -> int:
        """Bytes queued for the socket, file ranges included."""
        return self.out_bytes

    def fileno(self) -> int:
        return self.fd

    cpdef object reserve(self, Meter meter=None):
        """Take the next place in the order of answers. meter: counts the frame that is being
        dispatched, and follows its answer."""
        cdef object place = self.next_place
        if _is_measured or self.times is not NULL:
            self._follow(meter if _is_measured else None)
        self.next_place += 1
        return place

    cdef int _follow(self, Meter meter) except -1:
        """Begin to follow the next place."""
        cdef Timing *times
        cdef int64_t size, old, at
        if self.times is NULL:
            self.sent_place = self.next_place
        if self.times is NULL or self.next_place - self.sent_place >= self.times_size:
            if self.times_size == TIMES_MAX:
                # Answers wait for a slow reader: what was handed to the queue first is told now.
                self._sent(self.sent_place + 1)
            else:
                size = self.times_size * 2 if self.times_size else TIMES_MIN
                times = <Timing *>malloc(size * sizeof(Timing))
                if times is NULL:
                    raise MemoryError
                old = self.times_size
                for at in range(self.sent_place, self.next_place):
                    times[at & (size - 1)] = self.times[at & (old - 1)]
                free(self.times)
                self.times, self.times_size = times, size
        times = self.times + (self.next_place & (self.times_size - 1))
        times.meter = <void *>meter if meter is not None else NULL
        times.arrived = self.arrived
        times.handled = times.replied = 0
        if meter is not None:
            meter.count += 1
            meter.in_bytes += self.frame_bytes
        return 0

    cdef void _replied(self, int64_t place) noexcept:
        """The answer of a place is there."""
        cdef Timing *one
        if place < self.sent_place or self.times is NULL:
            return
        one = self.times + (place & (self.times_size - 1))
        if one.meter is NULL:
            return
        if one.handled == 0:
            one.replied = -1            # it is being dispatched: the clock is read afterwards
        else:
            one.replied = now_ns()
            observe(&(<Meter>one.meter).stages[<int>(<Meter>one.meter).waits],
                    one.replied - one.handled)

    cdef void _handled(self, int64_t place, int64_t began, int64_t now) noexcept:
        """The dispatch that reserved a place, and began at `began`, is over."""
        cdef Timing *one = self.times + (place & (self.times_size - 1))
        cdef Meter meter
        if place < self.sent_place or one.meter is NULL:
            return
        meter = <Meter>one.meter
        one.handled = now
        if one.replied:
            one.replied = now
        observe(&meter.stages[<int>QUEUE], began - one.arrived)
        observe(&meter.stages[<int>APPEND], now - began)

    cdef void _sent(self, int64_t end) noexcept:
        """The socket has the answers of places below `end`."""
        cdef int64_t now = now_ns(), place
        cdef Timing *one
        cdef Meter meter
        for place in range(self.sent_place, end):
            one = self.times + (place & (self.times_size - 1))
            if one.meter is not NULL and one.replied > 0:
                meter = <Meter>one.meter
                observe(&meter.stages[<int>SEND], now - one.replied)
                observe(&meter.stages[<int>TOTAL], now - one.arrived)
        self.sent_place = end

    cdef int _count_out(self, int64_t place, Py_ssize_t size) except -1:
        """An answer of `size` bytes was queued."""
        cdef Timing *one
        if place >= self.sent_place and self.times is not NULL:
            one = self.times + (place & (self.times_size - 1))
            if one.meter is not NULL:
                (<Meter>one.meter).out_bytes += size
        return 0

    cpdef object reply(self, object place, object parts):
        """Fill `place` with `parts`, a list of buffers and file ranges; None: nothing is sent."""
        cdef object waiting
        cdef int64_t at = place
        cdef Py_ssize_t before
        if self.fd < 0:
            return
        if self.times is not NULL:
            self._replied(at)
        if at != self.head_place:
            self.ready[place] = parts
            return
        before = self.out_bytes
        if parts is not None:
            self._queue(parts)
        if self.times is not NULL:
            self._count_out(at, self.out_bytes - before)
        self.head_place += 1
        while self.ready and self.head_place in self.ready:
            waiting = self.ready.pop(self.head_place)
            before = self.out_bytes
            if waiting is not None:
                self._queue(waiting)
            if self.times is not NULL:
                self._count_out(self.head_place, self.out_bytes - before)
            self.head_place += 1
        if self.stalled and self.next_place - self.head_place < UNANSWERED_MAX // 2:
            self.stalled = False
            self.loop.call_soon(self._unstall)
        self._schedule()

    cpdef object send(self, object parts):
        """Queue `parts` at once, outside the order of answers: a client's request."""
        if self.fd < 0:
            return
        self._queue(parts)
        self._schedule()

    cpdef object resume(self):
        """Let frames be dispatched again after a dispatch returned False."""
        self.held = False
        if self.fd >= 0 and not self.dispatching:
            self._process()

    cpdef object close(self, str reason, object error=None):
        """Close the socket and drop what is queued; the first reason is the one reported."""
        global _unsent
        cdef int fd = self.fd
        cdef Py_ssize_t held = 0
        cdef object part
        if fd < 0:
            return
        self.fd = -1
        for part in self.out:
            held += _held_by(part)
        if self.out and _held_by(self.out[0]):
            held -= self.out_sent
        _unsent -= held
        if self.reading:
            self.loop.remove_reader(fd)
        if self.writing:
            self.loop.remove_writer(fd)
        shutdown(fd, SHUT_RDWR)
        c_close(fd)
        self.buffer = None
        self.ready.clear()
        self.out.clear()
        self.out_bytes = 0
        closed, self.on_closed, self.dispatch = self.on_closed, None, None
        if closed is not None:
            closed(self, reason, error)

    # ---- in

    def _readable(self):
        cdef ssize_t got
        cdef Py_ssize_t room
        cdef int fd, turn, failure
        cdef uint8_t *at
        if self.fd < 0:
            return
        self.active = True
        for turn in range(READS_MAX):
            if not self._make_room():
                return
            room = self.buffer.capacity - self.end
            at = self.buffer.data + self.end
            fd = self.fd
            got = recv(fd, at, room, 0)
            if got <= 0:
                if got == 0:
                    self.close("closed by the peer")
                    return
                failure = errno
                if failure == EINTR:
                    continue
                if failure == EAGAIN:
                    self._drop_empty()
                    return
                self._fail("reading", failure)
                return
            if _is_measured and (
                self.start == self.end or not (self.held or self.stalled or self.resting)
            ):
                self.arrived = now_ns()     # otherwise: of the frames that wait
            self.end += got
            self._process(self.arrived)
            if self.fd < 0 or self.resting or got < room:
                return

    cdef bint _make_room(self) except -1:
        """Have room behind `end`; False: reading has been stopped until there is."""
        cdef Py_ssize_t waiting = self.end - self.start
        cdef Py_ssize_t need, size
        cdef ReceiveBuffer old = self.buffer
        cdef ReceiveBuffer new
        if old is None:
            self.buffer = _new_buffer(SMALL_BYTES)
            self.start = self.end = 0
            return True
        need = SMALL_BYTES
        if waiting >= 4:
            need = <int32_t>load_u32(old.data + self.start) + 4
            if need < 4 or need - 4 > self.max_frame_bytes:
                need = SMALL_BYTES      # a refused prefix behind held frames: no room for it
            elif need > SMALL_BYTES and 2 * waiting < SMALL_BYTES:
                need = SMALL_BYTES      # a promise so far: nothing large for a few bytes
            elif need > LARGE_BYTES and need > 2 * waiting:
                need = max(<Py_ssize_t>LARGE_BYTES, 2 * waiting)
        if self.start + need <= old.capacity and self.end < old.capacity:
            return True
        if waiting >= need:             # whole frames wait for their dispatch: the buffer is full
            if self.end < old.capacity:
                return True
            self._stop_reading()
            return False
        if old.exports == 0 and need <= old.capacity:
            if self.start:
                memmove(old.data, old.data + self.start, waiting)
                self.start = 0
                self.end = waiting
            return True
        # What others hold counts: a frame that is alone here is read, however large.
        if _in_use > _in_use_max + old.capacity and need > SMALL_BYTES:
            self._stop_reading()
            self.loop.call_later(0.01, self._start_reading)
            return False
        new = _new_buffer(max(need, waiting))
        memcpy(new.data, old.data + self.start, waiting)
        self.buffer = new
        self.start = 0
        self.end = waiting
        return True

    cdef object _process(self, int64_t began=0):
        """Dispatch the whole frames that have arrived, as far as the limits allow. began: by the
        clock; 0: nobody has looked."""
        cdef Py_ssize_t size, waiting
        cdef object view, go
        cdef int turn = 0
        cdef int64_t now, place
        if self.dispatching or self.resting:
            return
        self.dispatching = True
        if _is_measured and began == 0:
            began = now_ns()
        try:
            while (
                self.fd >= 0
                and not self.held
                and self.buffer is not None
                and self.next_place - self.head_place < UNANSWERED_MAX
                and self.out_bytes < OUT_BYTES_MAX
            ):
                waiting = self.end - self.start
                if waiting < 4:
                    break
                size = <int32_t>load_u32(self.buffer.data + self.start)
                if size < 0 or size > self.max_frame_bytes:
                    self.close(
                        f"a frame of {size} bytes was announced, at most {self.max_frame_bytes}"
                        " are accepted (socket.request.max.bytes)"
                    )
                    return
                if waiting < size + 4:
                    break
                if turn == DISPATCHES_MAX:
                    self.resting = True
                    self.loop.call_soon(self._rested)
                    break
                turn += 1
                view = PyMemoryView_FromObject(self.buffer)[self.start + 4 : self.start + 4 + size]
                self.start += size + 4
                self.frame_bytes = size + 4
                place = self.next_place
                try:
                    go = self.dispatch(self, view)
                except Exception as error:
                    self.close(f"{type(error).__name__}: {error}", error)
                    return
                view = None
                if self.times is not NULL and self.next_place > place and self.fd >= 0:
                    now = now_ns()
                    self._handled(place, began, now)
                    began = now
                if go is False:
                    self.held = True
        finally:
            self.dispatching = False
        if self.fd < 0:
            return
        self._drop_empty()
        self.stalled = self.end - self.start >= 4 and (
            self.next_place - self.head_place >= UNANSWERED_MAX or self.out_bytes >= OUT_BYTES_MAX
        )
        if self.flush_due:
            self._flush()
        if not self.reading and self.fd >= 0 and not self.held and not self.stalled:
            self._start_reading()

    def _rested(self):
        self.resting = False
        if self.fd >= 0:
            self._process()

    def _unstall(self):
        if self.fd >= 0 and not self.held:
            self._process()

    cdef void _drop_empty(self) noexcept:
        if self.start == self.end and self.buffer is not None:
            self.buffer = None          # its memory goes back to the pool with the last view of it
            self.start = self.end = 0

    cdef object _stop_reading(self):
        if self.reading and self.fd >= 0:
            self.reading = False
            self.loop.remove_reader(self.fd)

    def _start_reading(self):
        if not self.reading and self.fd >= 0:
            self.reading = True
            self.loop.add_reader(self.fd, self._readable)

    # ---- out

    cdef object _queue(self, object parts):
        global _unsent
        cdef object part
        cdef Py_ssize_t held
        for part in parts:
            self.out.append(part)
            held = _held_by(part)
            _unsent += held
            self.out_bytes += held if held else getattr(part, "length", 0)

    cdef object _schedule(self):
        """Send soon: answers given in one turn of the loop leave together."""
        if not self.flush_due and not self.writing:
            self.flush_due = True
            if not self.dispatching:
                self.loop.call_soon(self._flush)

    def _flush(self):
        self.flush_due = False
        if self.fd < 0 or self.writing:
            return
        self._send_all()
        if self.fd >= 0 and self.out:
            self.writing = True
            self.loop.add_writer(self.fd, self._writable)
        elif self.sent_place < self.head_place and self.times is not NULL:
            self._sent(self.head_place)

    def _writable(self):
        self.active = True
        self._send_all()
        if self.fd >= 0 and not self.out:
            self.writing = False
            self.loop.remove_writer(self.fd)
            if self.sent_place < self.head_place and self.times is not NULL:
                self._sent(self.head_place)
        if self.fd >= 0 and self.out_bytes < OUT_BYTES_MAX:
            self._process()             # what the unsent bytes held back

    cdef object _send_all(self):
        """Send until the queue is empty or the socket takes no more."""
        cdef object head
        while self.out and self.fd >= 0:
            head = self.out[0]
            if PyBytes_CheckExact(head) or isinstance(head, memoryview) or not hasattr(head, "fd"):
                if not self._send_buffers():
                    return
            elif not self._send_file(head):
                return

    cdef bint _send_buffers(self) except -1:
        global _unsent
        cdef iovec vectors[IOVECS_MAX]
        cdef Py_buffer views[IOVECS_MAX]
        cdef int n = 0, flags = MSG_NOSIGNAL, i, failure
        cdef ssize_t sent
        cdef msghdr message
        cdef object part
        for part in self.out:
            if n == IOVECS_MAX:
                break
            if not PyBytes_CheckExact(part) and not isinstance(part, memoryview) and hasattr(
                part, "fd"
            ):
                flags |= MSG_MORE       # the file's bytes follow: let the kernel join them
                break
            PyObject_GetBuffer(part, &views[n], PyBUF_SIMPLE)
            vectors[n].iov_base = views[n].buf
            vectors[n].iov_len = views[n].len
            n += 1
        vectors[0].iov_base = <uint8_t *>vectors[0].iov_base + self.out_sent
        vectors[0].iov_len -= self.out_sent
        message.msg_iov = vectors
        message.msg_iovlen = n
        message.msg_name = NULL
        message.msg_namelen = 0
        message.msg_control = NULL
        message.msg_controllen = 0
        message.msg_flags = 0
        sent = sendmsg(self.fd, &message, flags)
        failure = errno
        for i in range(n):
            PyBuffer_Release(&views[i])
        if sent < 0:
            return self._send_failed(failure)
        self.out_bytes -= sent
        _unsent -= sent
        for i in range(n):
            if <size_t>sent < vectors[i].iov_len:
                self.out_sent = (self.out_sent if i == 0 else 0) + sent
                return True             # the next turn ends in EAGAIN, or sends the rest
            sent -= vectors[i].iov_len
            self.out.popleft()
            self.out_sent = 0
        return True

    cdef bint _send_file(self, object part) except -1:
        cdef off_t offset = part.offset
        cdef Py_ssize_t length = part.length
        cdef int source = part.fd
        cdef ssize_t sent
        offset += self.out_sent
        sent = c_sendfile(self.fd, source, &offset, length - self.out_sent)
        if sent < 0:
            return self._send_failed(errno)
        if sent == 0 and length > self.out_sent:
            # The answer's size is already on the wire: the connection cannot be mended.
            self.close("the log segment ended before the bytes that an answer announced")
            return False
        self.out_bytes -= sent
        self.out_sent += sent
        if self.out_sent == length:
            self.out.popleft()
            self.out_sent = 0
        return True

    cdef object _fail(self, str what, int failure):
        if failure == EPIPE or failure == ECONNRESET:
            self.close("closed by the peer")     # while something was on its way: its own affair
        else:
            self.close(f"{what} failed: {strerror(failure).decode()}")

    cdef bint _send_failed(self, int failure) except -1:
        if failure == EINTR:
            return True
        if failure != EAGAIN:
            self._fail("sending", failure)
        return False
