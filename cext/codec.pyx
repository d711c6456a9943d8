"""Walks a Plan to turn objects into Kafka's bytes and back: every message passes here.

    struct      := field*  tagged-section?          (the section in flexible versions only)
    field       := bool | int8..int64 | uint16 | uint32 | float64 | uuid | string | bytes
                 | struct | nullable-struct | array
    string      := length:int16 utf8*               flexible: length+1:uvarint utf8*
    bytes       := length:int32 byte*               flexible: length+1:uvarint byte*
    array       := count:int32 item*                flexible: count+1:uvarint item*
    null        := length or count -1               flexible: 0
    nullable-struct := presence:int8 struct?        presence < 0: null
    tagged-section  := count:uvarint (tag:uvarint size:uvarint field)*

A Plan is one struct at one version, compiled by fastbroker.protocol.schema; nothing here knows
Kafka's messages. Decoding checks every length against the bytes that are left before it allocates,
and counts the objects it makes; malformed bytes raise Malformed and nothing else. Record batches
(bytes fields) are not copied: they decode to memoryviews of the input, and encode as parts of their
own.
"""
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE,
)
from libc.stdint cimport (
    int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t,
)
from libc.string cimport memcpy

from fastbroker._c.buffer cimport FileRange, Writer

cdef extern from "wire.h" nogil:
    uint16_t load_u16(const uint8_t *p)
    uint32_t load_u32(const uint8_t *p)
    uint64_t load_u64(const uint8_t *p)
    void store_u32(uint8_t *p, uint32_t v)
    int load_uvarint32(const uint8_t *p, const uint8_t *end, uint32_t *out)
    int load_varint32(const uint8_t *p, const uint8_t *end, int32_t *out)
    int load_varint64(const uint8_t *p, const uint8_t *end, int64_t *out)

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object, Py_ssize_t *) except NULL
    object PyUnicode_DecodeUTF8(const char *, Py_ssize_t, const char *)
    object PyObject_GetAttr(object, object)
    int PyObject_SetAttr(object, object, object) except -1
    object PyList_New(Py_ssize_t)
    void PyList_SET_ITEM(object, Py_ssize_t, object)
    void Py_INCREF(object)
    object PyMemoryView_FromObject(object)
    object PySequence_GetSlice(object, Py_ssize_t, Py_ssize_t)
    ctypedef struct PyTypeObject:
        object (*tp_new)(PyTypeObject *, object, void *)

cdef enum:
    PART_BYTES_MIN = 4096      # a smaller bytes field is copied among its neighbours
    OBJECTS_MAX = 4000000      # array items in one message, unless the caller says less
    CODES_MAX = 4096           # error codes of one message that are counted
    STRING_MAX = 0x7fffffff    # bytes of a string, unless the caller says less

cpdef enum Kind:
    BOOL = 0
    I8 = 1
    I16 = 2
    I32 = 3
    I64 = 4
    U16 = 5
    U32 = 6
    F64 = 7
    UUID = 8
    STRING = 9
    BYTES = 10
    STRUCT = 11
    ARRAY = 12


class Malformed(ValueError):
    """The bytes are not what the schema says; the message says where."""


cdef class Field:
    """One field at one version. `default` is what a tagged field is left out for."""

    cdef public str name
    cdef public Kind kind
    cdef public bint nullable, compact
    cdef public Plan plan           # STRUCT
    cdef public Field item          # ARRAY
    cdef public object default
    cdef public Py_ssize_t min_bytes
    cdef public bint is_error       # an error code: those in frames are counted


cdef class Plan:
    """One struct at one version: fields in wire order, tagged fields, fields that are absent."""

    cdef public object cls
    cdef public tuple fields        # of Field
    cdef public tuple tagged        # of (tag, Field), ascending
    cdef public dict by_tag         # tag -> Field
    cdef public bint flexible
    cdef public tuple absent        # of (name, default): not on the wire, or tagged
    cdef public Py_ssize_t min_bytes
    cdef public dict errors         # error code, not 0 -> how often it was in a frame; None: never


cdef class Message:
    """Base of every struct: keyword-only construction from the class's DEFAULTS."""

    def __init__(self, **values):
        cdef dict defaults = type(self).DEFAULTS
        cdef object name, default
        cdef Py_ssize_t used = 0
        if not values:
            for name, default in defaults.items():
                PyObject_SetAttr(self, name, default)
            return
        for name, default in defaults.items():
            if name in values:
                used += 1
                default = values[name]
            PyObject_SetAttr(self, name, default)
        if used != len(values):
            unknown = ", ".join(sorted(set(values) - set(defaults)))
            raise TypeError(f"{type(self).__qualname__} has no field {unknown}")

    def __eq__(self, other):
        if type(self) is not type(other):
            return NotImplemented
        for name in type(self).DEFAULTS:
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                # Arrays are lists after decoding and may be tuples before.
                if not isinstance(mine, (list, tuple)) or not isinstance(theirs, (list, tuple)):
                    return False
                if list(mine) != list(theirs):
                    return False
        return True

    __hash__ = None

    def __repr__(self):
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in type(self).DEFAULTS)
        return f"{type(self).__qualname__}({values})"


# ---- encoding ----------------------------------------------------------------------------------

cdef int _put_length(Writer w, Py_ssize_t n, bint compact, Kind kind) except -1:
    if compact:
        return w.put_uvarint(<uint32_t>(n + 1))
    if kind == Kind.STRING:
        if n > 32767:
            raise ValueError(f"a string of {n} bytes does not fit an int16 length")
        return w.put_u16(<uint16_t>n)
    return w.put_u32(<uint32_t>n)


# Error codes of the message that is being encoded, which are few: most messages have none.
cdef int _codes[CODES_MAX]
cdef int _codes_n = 0


cdef void _count_error(int64_t code) noexcept:
    global _codes_n
    if _codes_n < CODES_MAX:
        _codes[_codes_n] = <int>code
        _codes_n += 1


cdef int _keep_errors(Plan plan) except -1:
    """Add the codes of a message to those of its plan."""
    global _codes_n
    cdef int i
    if plan.errors is None:
        plan.errors = {}
    for i in range(_codes_n):
        plan.errors[_codes[i]] = plan.errors.get(_codes[i], 0) + 1
    _codes_n = 0
    return 0


cdef int _put_int(Writer w, Field f, object value) except -1:
    cdef Kind kind = f.kind
    cdef int64_t v = value
    if kind == Kind.I32:
        if v != <int32_t>v:
            raise OverflowError(f"{f.name}: {v} is no int32")
        return w.put_u32(<uint32_t>v)
    if kind == Kind.I64:
        return w.put_u64(<uint64_t>v)
    if kind == Kind.I16:
        if v != <int16_t>v:
            raise OverflowError(f"{f.name}: {v} is no int16")
        if v and f.is_error:
            _count_error(v)
        return w.put_u16(<uint16_t>v)
    if kind == Kind.I8:
        if v != <int8_t>v:
            raise OverflowError(f"{f.name}: {v} is no int8")
        return w.put_u8(<uint8_t>v)
    if kind == Kind.U16:
        if v != <uint16_t>v:
            raise OverflowError(f"{f.name}: {v} is no uint16")
        return w.put_u16(<uint16_t>v)
    if v != <uint32_t>v:
        raise OverflowError(f"{f.name}: {v} is no uint32")
    return w.put_u32(<uint32_t>v)


cdef int _put_bytes(Writer w, Field f, object value, list cuts) except -1:
    cdef Py_buffer view
    cdef Py_ssize_t n
    if PyBytes_CheckExact(value):
        n = PyBytes_GET_SIZE(value)
        _put_length(w, n, f.compact, Kind.BYTES)
        if cuts is not None and n >= PART_BYTES_MIN:
            cuts.append((w.size, value, n))
            return 0
        return w.put(PyBytes_AS_STRING(value), n)
    if type(value) is FileRange:
        if cuts is None:
            raise TypeError(f"{f.name}: a file range has no place here")
        n = (<FileRange>value).length
        _put_length(w, n, f.compact, Kind.BYTES)
        cuts.append((w.size, value, n))
        return 0
    PyObject_GetBuffer(value, &view, PyBUF_SIMPLE)
    try:
        _put_length(w, view.len, f.compact, Kind.BYTES)
        if cuts is not None and view.len >= PART_BYTES_MIN:
            cuts.append((w.size, value, view.len))
        else:
            w.put(view.buf, view.len)
    finally:
        PyBuffer_Release(&view)
    return 0


cdef int _put_field(Writer w, Field f, object value, list cuts) except -1:
    cdef Kind kind = f.kind
    cdef Py_ssize_t n
    cdef const char *text
    cdef double number
    cdef uint64_t bits
    cdef object item
    if kind == Kind.BOOL:
        return w.put_u8(1 if value else 0)
    if kind <= Kind.U32:
        return _put_int(w, f, value)
    if kind == Kind.STRUCT:
        if f.nullable:
            if value is None:
                return w.put_u8(0xFF)
            w.put_u8(1)
        elif value is None:
            raise ValueError(f"{f.name} may not be null")
        return _put_struct(w, f.plan, value, cuts)
    if kind == Kind.UUID:
        if not PyBytes_CheckExact(value) or PyBytes_GET_SIZE(value) != 16:
            raise ValueError(f"{f.name}: a uuid is 16 bytes")
        return w.put(PyBytes_AS_STRING(value), 16)
    if kind == Kind.F64:
        number = value
        memcpy(&bits, &number, 8)
        return w.put_u64(bits)
    if value is None:
        if not f.nullable:
            raise ValueError(f"{f.name} may not be null")
        return _put_length(w, -1, f.compact, kind)
    if kind == Kind.STRING:
        text = PyUnicode_AsUTF8AndSize(value, &n)
        _put_length(w, n, f.compact, kind)
        return w.put(text, n)
    if kind == Kind.BYTES:
        return _put_bytes(w, f, value, cuts)
    n = len(value)
    _put_length(w, n, f.compact, kind)
    for item in value:
        _put_field(w, f.item, item, cuts)
    return 0


cdef bint _is_default(Field f, object value) except -1:
    if value is None or f.default is None:
        return value is f.default
    if f.kind == Kind.ARRAY:
        return len(value) == 0 and len(f.default) == 0
    return value == f.default


cdef int _put_struct(Writer w, Plan plan, object obj, list cuts) except -1:
    cdef Field f
    cdef Writer inner
    cdef list live
    for f in plan.fields:
        _put_field(w, f, PyObject_GetAttr(obj, f.name), cuts)
    if not plan.flexible:
        return 0
    if not plan.tagged:
        return w.put_u8(0)
    live = []
    for tag, f in plan.tagged:
        value = PyObject_GetAttr(obj, f.name)
        if not _is_default(f, value):
            live.append((tag, f, value))
    w.put_uvarint(len(live))
    for tag, f, value in live:
        inner = Writer()
        _put_field(inner, f, value, None)
        w.put_uvarint(tag)
        w.put_uvarint(inner.size)
        w.put(inner.data, inner.size)
    return 0


def encode(Plan plan, obj, bytes head=b"") -> bytes:
    """`head`, then `obj` as `plan` says, in one piece."""
    cdef Writer w = Writer()
    w.put(PyBytes_AS_STRING(head), PyBytes_GET_SIZE(head))
    _put_struct(w, plan, obj, None)
    return w.slice(0, w.size)


def encode_frame(Plan plan, obj, bytes head) -> list:
    """The parts of a frame: int32 size of the rest, `head`, `obj`.

    Bytes fields that hold a FileRange, or a buffer of 4 KiB and more, are parts of their own and
    are not copied; the sizes around them count them. Error codes are counted in `plan.errors`.
    """
    cdef Writer w = Writer()
    cdef list cuts = []
    cdef list parts = []
    cdef Py_ssize_t at = 0, total, position, n
    global _codes_n
    _codes_n = 0
    w.put_u32(0)
    w.put(PyBytes_AS_STRING(head), PyBytes_GET_SIZE(head))
    _put_struct(w, plan, obj, cuts)
    if _codes_n:
        _keep_errors(plan)
    total = w.size - 4
    for _, _, n in cuts:
        total += n
    if total > 0x7FFFFFFF:
        raise ValueError(f"a frame of {total} bytes does not fit its int32 size")
    store_u32(w.data, <uint32_t>total)
    for position, part, n in cuts:
        if position > at:
            parts.append(w.slice(at, position))
        if n:
            parts.append(part)
        at = position
    if w.size > at:
        parts.append(w.slice(at, w.size))
    return parts


# ---- decoding ----------------------------------------------------------------------------------

cdef struct Reader:
    const uint8_t *begin
    const uint8_t *p
    const uint8_t *end
    Py_ssize_t objects         # array items that may still come
    Py_ssize_t string_max      # bytes of the longest string


cdef int _short(Reader *r, Field f) except -1:
    raise Malformed(f"{f.name} ends beyond the message, at byte {r.p - r.begin}")


cdef inline int _need(Reader *r, Py_ssize_t n, Field f) except -1:
    if r.end - r.p < n:
        return _short(r, f)
    return 0


cdef int64_t _get_uvarint(Reader *r) except -1:
    cdef uint32_t v = 0
    cdef int n = load_uvarint32(r.p, r.end, &v)
    if n <= 0:
        raise Malformed(
            f"a varint at byte {r.p - r.begin} "
            + ("ends beyond the message" if n == 0 else "is too long")
        )
    r.p += n
    return v


cdef int64_t _get_length(Reader *r, Field f) except -2:
    """-1: null. Otherwise at most the bytes that are left."""
    cdef int64_t n
    if f.compact:
        n = _get_uvarint(r) - 1
    elif f.kind == Kind.STRING:
        _need(r, 2, f)
        n = <int16_t>load_u16(r.p)
        r.p += 2
    else:
        _need(r, 4, f)
        n = <int32_t>load_u32(r.p)
        r.p += 4
    if n < 0:
        if n < -1 or not f.nullable:
            raise Malformed(f"{f.name} has length {n} at byte {r.p - r.begin}")
        return -1
    if f.kind == Kind.ARRAY:
        if n * f.item.min_bytes > r.end - r.p:
            raise Malformed(f"{f.name} announces {n} items, {r.end - r.p} bytes are left")
        r.objects -= n
        if r.objects < 0:
            raise Malformed(f"{f.name}: more array items than one message may have")
    elif n > r.end - r.p:
        raise Malformed(f"{f.name} announces {n} bytes, {r.end - r.p} are left")
    elif f.kind == Kind.STRING and n > r.string_max:
        raise Malformed(f"{f.name} is a string of {n} bytes, {r.string_max} are allowed")
    return n


cdef object _get_field(Reader *r, Field f, object source):
    cdef Kind kind = f.kind
    cdef int64_t n, i
    cdef uint64_t bits
    cdef double number
    cdef Field item
    cdef object value, out
    if kind == Kind.I32:
        _need(r, 4, f)
        r.p += 4
        return <int32_t>load_u32(r.p - 4)
    if kind == Kind.I16:
        _need(r, 2, f)
        r.p += 2
        return <int16_t>load_u16(r.p - 2)
    if kind == Kind.I64:
        _need(r, 8, f)
        r.p += 8
        return <int64_t>load_u64(r.p - 8)
    if kind == Kind.STRING:
        n = _get_length(r, f)
        if n < 0:
            return None
        value = PyUnicode_DecodeUTF8(<const char *>r.p, n, NULL)
        r.p += n
        return value
    if kind == Kind.ARRAY:
        n = _get_length(r, f)
        if n < 0:
            return None
        out = PyList_New(n)
        item = f.item
        for i in range(n):
            value = _get_field(r, item, source)
            Py_INCREF(value)
            PyList_SET_ITEM(out, i, value)
        return out
    if kind == Kind.STRUCT:
        if f.nullable:
            _need(r, 1, f)
            r.p += 1
            if <int8_t>(r.p - 1)[0] < 0:
                return None
        return _get_struct(r, f.plan, source)
    if kind == Kind.BYTES:
        n = _get_length(r, f)
        if n < 0:
            return None
        value = PySequence_GetSlice(source, r.p - r.begin, r.p - r.begin + n)
        r.p += n
        return value
    if kind == Kind.BOOL:
        _need(r, 1, f)
        r.p += 1
        return (r.p - 1)[0] != 0
    if kind == Kind.I8:
        _need(r, 1, f)
        r.p += 1
        return <int8_t>(r.p - 1)[0]
    if kind == Kind.UUID:
        _need(r, 16, f)
        r.p += 16
        return PyBytes_FromStringAndSize(<const char *>r.p - 16, 16)
    if kind == Kind.U16:
        _need(r, 2, f)
        r.p += 2
        return load_u16(r.p - 2)
    if kind == Kind.U32:
        _need(r, 4, f)
        r.p += 4
        return load_u32(r.p - 4)
    _need(r, 8, f)
    bits = load_u64(r.p)
    r.p += 8
    memcpy(&number, &bits, 8)
    return number


cdef object _get_struct(Reader *r, Plan plan, object source):
    cdef Field f
    cdef int64_t count, tag, size
    cdef const uint8_t *end
    cdef const uint8_t *after
    cdef object obj = (<PyTypeObject *>plan.cls).tp_new(<PyTypeObject *>plan.cls, (), NULL)
    cdef object name, default
    for f in plan.fields:
        PyObject_SetAttr(obj, f.name, _get_field(r, f, source))
    for name, default in plan.absent:
        PyObject_SetAttr(obj, name, default)
    if not plan.flexible:
        return obj
    count = _get_uvarint(r)
    while count:
        count -= 1
        tag = _get_uvarint(r)
        size = _get_uvarint(r)
        if size > r.end - r.p:
            raise Malformed(f"tagged field {tag} announces {size} bytes, {r.end - r.p} are left")
        after = r.p + size
        f = plan.by_tag.get(tag)
        if f is not None:       # an unknown tag is from a newer version: skipped, as Kafka does
            end = r.end
            r.end = after
            PyObject_SetAttr(obj, f.name, _get_field(r, f, source))
            r.end = end
        r.p = after
    return obj


def decode(
    Plan plan, data, Py_ssize_t offset=0, Py_ssize_t items_max=OBJECTS_MAX,
    Py_ssize_t string_max=STRING_MAX,
) -> tuple:
    """(object, offset behind it) of the struct that begins at `offset` of the buffer `data`.

    Bytes fields are memoryviews of `data`. Raises Malformed; also when all arrays together have more
    than `items_max` items, or a string more than `string_max` bytes.
    """
    cdef Py_buffer view
    cdef Reader r
    cdef object source = data if isinstance(data, memoryview) else PyMemoryView_FromObject(data)
    PyObject_GetBuffer(source, &view, PyBUF_SIMPLE)
    try:
        if offset < 0 or offset > view.len:
            raise Malformed(f"the message begins at byte {offset} of {view.len}")
        r.begin = <const uint8_t *>view.buf
        r.p = r.begin + offset
        r.end = r.begin + view.len
        r.objects, r.string_max = items_max, string_max
        obj = _get_struct(&r, plan, source)
        return obj, r.p - r.begin
    except UnicodeDecodeError as error:
        raise Malformed(f"a string is not UTF-8: {error}") from None
    finally:
        PyBuffer_Release(&view)


# ---- batches of framed values: the metadata log --------------------------------------------------

cdef int _open_value(Reader *r, int32_t index) except -1:
    """From a record's first byte to its value; `end` is that of the value then."""
    cdef int32_t length = 0, delta = 0
    cdef int64_t timestamp_delta
    cdef const uint8_t *stop
    cdef int n = load_varint32(r.p, r.end, &length)
    if n <= 0 or length < 1 or length > r.end - r.p - n:
        raise Malformed(f"record {index} ends behind its batch")
    r.p += n
    stop = r.p + length
    r.p += 1
    n = load_varint64(r.p, stop, &timestamp_delta)
    if n <= 0:
        raise Malformed(f"record {index} has an impossible timestamp")
    r.p += n
    n = load_varint32(r.p, stop, &delta)
    if n <= 0 or delta != index:
        raise Malformed(f"record {index} has the offset delta {delta}")
    r.p += n
    n = load_varint32(r.p, stop, &length)
    if n <= 0 or length < -1 or length > stop - r.p - n:
        raise Malformed(f"the key of record {index} ends behind the record")
    r.p += n + (length if length > 0 else 0)
    n = load_varint32(r.p, stop, &length)
    if n <= 0 or length < 0 or length > stop - r.p - n:
        raise Malformed(f"record {index} has no value that ends inside it")
    r.p += n
    r.end = r.p + length
    return stop - r.end


def decode_values(body, int32_t count, plans) -> list:
    """What the values of a batch's `count` records hold; keys and headers are passed over.

        value := frame:uvarint type:uvarint version:uvarint struct

    body: the batch's records, not compressed, at consecutive offsets. plans[frame, type, version]:
    the Plan of a struct. Raises Malformed, and what `plans` raises.
    """
    cdef Py_buffer view
    cdef Reader r
    cdef int32_t index
    cdef int64_t frame, kind, version, last_frame = -1, last_kind = -1, last_version = -1
    cdef Py_ssize_t behind
    cdef Plan plan = None
    cdef const uint8_t *end
    cdef list out = []
    cdef object source = body if isinstance(body, memoryview) else PyMemoryView_FromObject(body)
    PyObject_GetBuffer(source, &view, PyBUF_SIMPLE)
    try:
        r.begin = r.p = <const uint8_t *>view.buf
        end = r.begin + view.len
        r.string_max = STRING_MAX
        for index in range(count):
            r.end, r.objects = end, OBJECTS_MAX
            behind = _open_value(&r, index)
            frame, kind, version = _get_uvarint(&r), _get_uvarint(&r), _get_uvarint(&r)
            if kind != last_kind or version != last_version or frame != last_frame:
                plan = plans[frame, kind, version]
                last_frame, last_kind, last_version = frame, kind, version
            out.append(_get_struct(&r, plan, source))
            r.p = r.end + behind
        if r.p != end:
            raise Malformed(f"more records than the {count} that the batch claims")
        return out
    except UnicodeDecodeError as error:
        raise Malformed(f"a string is not UTF-8: {error}") from None
    finally:
        PyBuffer_Release(&view)
