"""Compression of a connection, once IDENTIFY has agreed on it (nsqd-tcp section 7.5).

Two codecs: the framing format of snappy, and raw DEFLATE (RFC 1951). Both are streams that last as
long as the connection; each direction has its own. They take bytes and give bytes and know no
socket. Inside TLS they see what TLS has decrypted.

A snappy stream is a sequence of chunks::

    ┌──────┬──────────┬──────────────────────────────
    │ kind │ size     │ data, so many bytes
    └──────┴──────────┴──────────────────────────────
     u8     u24, little-endian

    0xff        stream identifier: the six bytes "sNaPpY"; comes first, may come again
    0x00        masked CRC-32C of the plain bytes (4 bytes), then a compressed block, which begins
                with the number of plain bytes
    0x01        masked CRC-32C, then the plain bytes themselves
    0x80-0xfe   to be skipped
    0x02-0x7f   to be refused

A few compressed bytes may stand for millions of plain ones. So a decoder gives only about as many
at a time as it is asked for, and keeps the compressed rest until it is asked again.
"""

from __future__ import annotations

import zlib
from struct import Struct
from typing import Protocol

try:
    import snappy  # type: ignore[import-untyped]
except ImportError:  # pragma: no cover - python-snappy is an extra, which tests have
    SNAPPY_AVAILABLE = False
else:
    SNAPPY_AVAILABLE = True

__all__ = [
    "SNAPPY_AVAILABLE",
    "CodecError",
    "Decoder",
    "Encoder",
    "make_deflate",
    "make_snappy",
]


class CodecError(ValueError):
    """What the peer sent cannot be decompressed. Nothing after it can: the connection is lost."""


class Encoder(Protocol):
    """The sending side."""

    def encode(self, data: bytes) -> bytes:
        """Compress ``data`` so that the peer can read all of it without waiting for more."""


class Decoder(Protocol):
    """The receiving side. Not to be used again after a `CodecError`."""

    #: Whether ``feed(b"", limit)`` may give more, of what was fed so far. To bound what is kept,
    #: feed new bytes only when it is false.
    pending: bool

    def feed(self, data: bytes, limit: int) -> bytes:
        """Take what was received; what it stands for, or the first part of that.

        :param limit: about how many plain bytes to give at most, at least 1. The rest is kept,
            compressed, and `pending` is true.
        :raises CodecError: it is damaged, or none of this codec. Plain bytes that the same call
            would have given are lost with it.
        """


def make_snappy() -> tuple[Encoder, Decoder]:
    """Both sides of a connection in the framing format. Only if `SNAPPY_AVAILABLE`."""
    return _SnappyEncoder(), _SnappyDecoder()


def make_deflate(level: int) -> tuple[Encoder, Decoder]:
    """Both sides of a connection in raw DEFLATE, sending at ``level`` 1 (fast) to 9 (small)."""
    return _DeflateEncoder(level), _DeflateDecoder()


# -- snappy ------------------------------------------------------------------------------------

_IDENTIFIER = b"\xff\x06\x00\x00sNaPpY"
_HEAD_SIZE = 4
_CRC_SIZE = 4
#: Plain bytes of a chunk at most.
_MAX_PLAIN = 65536
#: What a block of so many plain bytes takes at most, by the format's own bound, and the CRC.
_MAX_DATA = _CRC_SIZE + 32 + _MAX_PLAIN + _MAX_PLAIN // 6

_read_head = Struct("<I").unpack_from


class _SnappyEncoder:
    """Chunks by python-snappy: it begins with the identifier, cuts at 65536 bytes, and sends what
    compression would shrink by less than an eighth as it is."""

    __slots__ = ("_compressor",)

    def __init__(self) -> None:
        self._compressor = snappy.StreamCompressor()

    def encode(self, data: bytes) -> bytes:
        chunks: bytes = self._compressor.add_chunk(data)
        return chunks


class _SnappyDecoder:
    """Takes the stream apart itself, since python-snappy has no limits; the chunks of data that
    are whole go to python-snappy together, which knows CRC-32C."""

    __slots__ = ("_begun", "_kept", "_skip", "pending")

    def __init__(self) -> None:
        self.pending = False
        self._begun = False
        #: The start of a chunk that is not complete, and whatever a limit left.
        self._kept = bytearray()
        #: How many bytes are still to come of a chunk that is skipped; then nothing is kept.
        self._skip = 0

    def feed(self, data: bytes, limit: int) -> bytes:
        if self._skip:
            passed = min(self._skip, len(data))
            self._skip -= passed
            data = data[passed:]
        kept = self._kept
        kept += data
        end = len(kept)
        start = plain = 0
        chunks: list[bytearray] = []
        while plain < limit and start + _HEAD_SIZE <= end:
            head = _read_head(kept, start)[0]
            kind, stop = head & 0xFF, start + _HEAD_SIZE + (head >> 8)
            self._check(kind, head >> 8)
            if kind >= 0x80 and kind != 0xFF:
                self._skip = max(0, stop - end)
                start = min(stop, end)
                continue
            if stop > end:
                break
            chunk = kept[start:stop]
            if kind != 0xFF:
                plain += _plain_size(chunk)
                chunks.append(chunk)
            elif chunk != _IDENTIFIER:
                raise CodecError("another stream identifier than that of snappy")
            else:
                self._begun = True
            start = stop
        del kept[:start]
        self.pending = plain >= limit and bool(kept)
        return _decompress(chunks, plain) if chunks else b""

    def _check(self, kind: int, size: int) -> None:
        """Refuse a chunk by its head, before any of its data is kept.

        :raises CodecError: it has no business here, or is too short or too long.
        """
        if kind == 0xFF:
            if size != len(_IDENTIFIER) - _HEAD_SIZE:
                raise CodecError(f"a snappy stream identifier of {size} bytes")
        elif not self._begun:
            raise CodecError("no snappy stream identifier at the start")
        elif kind < 0x80:
            if kind > 0x01:
                raise CodecError(f"a snappy chunk of the reserved kind {kind:#04x}")
            if not _CRC_SIZE <= size <= _MAX_DATA:
                raise CodecError(f"a snappy chunk of {size} bytes")


def _plain_size(chunk: bytearray) -> int:
    """How many plain bytes a whole chunk of data says it has.

    :raises CodecError: more than a chunk may have, or it does not say.
    """
    start = _HEAD_SIZE + _CRC_SIZE
    if chunk[0]:
        size = len(chunk) - start
    else:
        size = shift = 0
        for byte in chunk[start : start + 5]:
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        else:
            raise CodecError("a snappy block without a size")
    if size > _MAX_PLAIN:
        raise CodecError(f"a snappy chunk of {size} plain bytes")
    return size


def _decompress(chunks: list[bytearray], size: int) -> bytes:
    """What whole chunks of data stand for, ``size`` bytes by their own account.

    :raises CodecError: it is something else, or a checksum is wrong.
    """
    try:
        # A new one, so that nothing of another read can be in it.
        plain: bytes = snappy.StreamDecompressor().decompress(_IDENTIFIER + b"".join(chunks))
    except (OSError, snappy.UncompressError) as error:
        raise CodecError(str(error)) from None
    if len(plain) != size:
        raise CodecError(f"snappy chunks of {len(plain)} plain bytes that say {size}")
    return plain


# -- deflate -----------------------------------------------------------------------------------

#: No zlib header, and the largest window.
_RAW = -zlib.MAX_WBITS


class _DeflateEncoder:
    """One endless stream, with a sync flush after each piece."""

    __slots__ = ("_compressor",)

    def __init__(self, level: int) -> None:
        self._compressor = zlib.compressobj(level, zlib.DEFLATED, _RAW)

    def encode(self, data: bytes) -> bytes:
        compressor = self._compressor
        return compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)


class _DeflateDecoder:
    """zlib's own limit does it. A stream may end, but nothing may follow its end."""

    __slots__ = ("_decompressor", "pending")

    def __init__(self) -> None:
        self.pending = False
        self._decompressor = zlib.decompressobj(_RAW)

    def feed(self, data: bytes, limit: int) -> bytes:
        decompressor = self._decompressor
        if decompressor.unused_data or (decompressor.eof and data):
            raise CodecError("bytes after the end of the deflate stream")
        if decompressor.unconsumed_tail:
            data = decompressor.unconsumed_tail + data
        try:
            plain = decompressor.decompress(data, limit)
        except zlib.error as error:
            raise CodecError(str(error)) from None
        # Even with all input consumed zlib may hold back plain bytes that were over the limit.
        self.pending = len(plain) >= limit or bool(decompressor.unused_data)
        return plain
