"""Compression of batch bodies: codecs by number, decompressed in pieces of a bounded size.

    xerial   := 0x82 'SNAPPY' 0x00 version:int32 compatible:int32 block*      (Java's snappy)
    block    := size:int32 snappy-block

gzip, lz4 (frame format) and zstd are the formats of their own specifications.
"""
from __future__ import annotations

import zlib
from collections.abc import Iterator
from struct import Struct as Layout
from typing import Any

from fastbroker.errors import CorruptMessage

Buffer = bytes | bytearray | memoryview

NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
NAMES = ("none", "gzip", "snappy", "lz4", "zstd")
CODECS = {name: number for number, name in enumerate(NAMES)} | {"uncompressed": NONE}

PIECE_BYTES = 65536
# A snappy block expands in one step; its header says to how much.
SNAPPY_BLOCK_MAX = 64 * 1024 * 1024
_XERIAL = b"\x82SNAPPY\x00"
_XERIAL_HEADER = _XERIAL + b"\x00\x00\x00\x01\x00\x00\x00\x01"
_XERIAL_BLOCK_BYTES = 32768
_INT32 = Layout(">i")
_GZIP_WINDOW = 31  # zlib's 15 bits, plus 16: with gzip's header
DEFAULT_LEVELS = {GZIP: -1, LZ4: 9, ZSTD: 3}


def compress(codec: int, body: Buffer, level: int | None = None) -> Buffer:
    """`body` in `codec`; `level` as compression.<codec>.level, None: Kafka's default."""
    if codec == NONE:
        return body
    if codec == SNAPPY:
        return _compress_snappy(body)
    if level is None:
        level = DEFAULT_LEVELS[codec]
    if codec == GZIP:
        deflate = zlib.compressobj(level, wbits=_GZIP_WINDOW)
        return deflate.compress(body) + deflate.flush()
    if codec == LZ4:
        if level == DEFAULT_LEVELS[LZ4]:
            level = 0  # by which Java means the fast compressor, unlike every other level
        return _lz4().compress(  # type: ignore[no-any-return]
            bytes(body), compression_level=level, block_size=_lz4().BLOCKSIZE_MAX64KB,
            block_linked=False, store_size=False,  # Java reads blocks that stand alone, no others
        )  # fmt: skip
    if codec == ZSTD:
        return _zstd().ZstdCompressor(level=level).compress(body)  # type: ignore[no-any-return]
    raise ValueError(f"no codec has the number {codec}")


def pieces(codec: int, body: Buffer) -> Iterator[Buffer]:
    """`body` decompressed, in pieces; about PIECE_BYTES each, a snappy block at most
    SNAPPY_BLOCK_MAX.

    Raises CorruptMessage for bytes that are not in `codec`, or end early.
    """
    if codec == NONE:
        yield body
        return
    try:
        if codec == GZIP:
            yield from _pieces_of(zlib.decompressobj(wbits=_GZIP_WINDOW), body)
        elif codec == SNAPPY:
            yield from _pieces_of_snappy(body)
        elif codec == LZ4:
            yield from _pieces_of(_lz4().LZ4FrameDecompressor(), body)
        elif codec == ZSTD:
            yield from _pieces_of_zstd(body)
        else:
            raise CorruptMessage(f"no codec has the number {codec}")
    except CorruptMessage:
        raise
    except Exception as error:  # each library has errors of its own
        raise CorruptMessage(f"a batch that is not {NAMES[codec]}: {error}") from None


def decompress(codec: int, body: Buffer) -> Buffer:
    """All of `body` at once: for bytes of our own, or of a bounded size."""
    if codec == NONE:
        return body
    return b"".join(pieces(codec, body))


def _pieces_of(inflate: Any, body: Buffer) -> Iterator[bytes]:
    """From a decompressor with the interface of zlib or of lz4.

    The input goes in by pieces, too: both copy what is left of theirs at every call.
    """
    is_zlib = hasattr(inflate, "unconsumed_tail")
    view = memoryview(body)
    for at in range(0, len(view), PIECE_BYTES):
        data: Buffer = view[at : at + PIECE_BYTES]
        while True:
            piece = inflate.decompress(data, PIECE_BYTES)
            if piece:
                yield piece
            if inflate.eof:
                return
            data = inflate.unconsumed_tail if is_zlib else b""
            if len(piece) < PIECE_BYTES and not data:
                break
    raise CorruptMessage("a compressed batch ends early")


def _pieces_of_zstd(body: Buffer) -> Iterator[bytes]:
    read = _zstd().ZstdDecompressor().stream_reader(body, read_size=PIECE_BYTES)
    while piece := read.read(PIECE_BYTES):
        yield piece


def _pieces_of_snappy(body: Buffer) -> Iterator[bytes]:
    data = bytes(body)
    if not data.startswith(_XERIAL):
        yield _snappy_block(data)
        return
    at = len(_XERIAL_HEADER)
    while at < len(data):
        if at + 4 > len(data):
            raise CorruptMessage("a snappy batch ends early")
        (size,) = _INT32.unpack_from(data, at)
        at += 4
        if size < 0 or at + size > len(data):
            raise CorruptMessage(f"a snappy block of {size} bytes is not there")
        yield _snappy_block(data[at : at + size])
        at += size


def _snappy_block(block: bytes) -> bytes:
    """One raw block, whose leading varint is its expanded size."""
    size = shift = 0
    for byte in block[:5]:
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    if size > SNAPPY_BLOCK_MAX:
        raise CorruptMessage(f"a snappy block claims to expand to {size} bytes")
    return _snappy().decompress(block)  # type: ignore[no-any-return]


def _compress_snappy(body: Buffer) -> bytes:
    data = bytes(body)
    out = bytearray(_XERIAL_HEADER)
    for at in range(0, len(data), _XERIAL_BLOCK_BYTES):
        block = _snappy().compress(data[at : at + _XERIAL_BLOCK_BYTES])
        out += _INT32.pack(len(block))
        out += block
    return bytes(out)


# Imported when first needed: a broker that sees no such batch does not pay for the library.


def _lz4() -> Any:
    import lz4.frame

    return lz4.frame


def _snappy() -> Any:
    import snappy

    return snappy


def _zstd() -> Any:
    import zstandard

    return zstandard
