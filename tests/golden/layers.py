"""What IDENTIFY can put between the protocol and the socket: snappy, deflate, TLS.

A layer turns received bytes into the bytes above it and back. None of them starts a thread or
owns a socket, so one connection can stack them as the daemon does: compression inside TLS.
"""

from __future__ import annotations

import ssl
import zlib
from typing import Protocol

import snappy  # type: ignore[import-untyped]

__all__ = ["DeflateLayer", "Layer", "LayerError", "SnappyLayer", "TlsLayer"]


class LayerError(Exception):
    """The bytes received are not what the layer speaks."""


class Layer(Protocol):
    """Bytes below, bytes above."""

    def decode(self, data: bytes) -> bytes:
        """Received bytes as the layer above sees them."""

    def encode(self, data: bytes) -> bytes:
        """Bytes to send, as they go to the layer below."""

    def unasked(self) -> bytes:
        """What must be sent below although nobody above sent anything (TLS does that)."""


class SnappyLayer:
    """The snappy framing format in both directions."""

    def __init__(self) -> None:
        self._compressor = snappy.StreamCompressor()
        self._decompressor = snappy.StreamDecompressor()

    def decode(self, data: bytes) -> bytes:
        try:
            return bytes(self._decompressor.decompress(data))
        except Exception as error:
            raise LayerError(f"snappy: {error!r} for {data!r}") from error

    def encode(self, data: bytes) -> bytes:
        return bytes(self._compressor.add_chunk(data)) if data else b""

    def unasked(self) -> bytes:
        return b""


class DeflateLayer:
    """Raw DEFLATE without a zlib header, flushed after every send."""

    def __init__(self, level: int = 6) -> None:
        self._compressor = zlib.compressobj(level, zlib.DEFLATED, -15)
        self._decompressor = zlib.decompressobj(-15)

    def decode(self, data: bytes) -> bytes:
        try:
            return self._decompressor.decompress(data)
        except zlib.error as error:
            raise LayerError(f"deflate: {error} for {data!r}") from error

    def encode(self, data: bytes) -> bytes:
        if not data:
            return b""
        return self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH)

    def unasked(self) -> bytes:
        return b""


class TlsLayer:
    """The client's side of TLS over memory buffers."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        self.established = False

    def handshake(self, data: bytes) -> bool:
        """Go on with the handshake; true when it is done.

        :raises LayerError: it failed.
        """
        if data:
            self._incoming.write(data)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except (ssl.SSLError, OSError) as error:
            raise LayerError(f"TLS: {error}") from error
        self.established = True
        return True

    def decode(self, data: bytes) -> bytes:
        if data:
            self._incoming.write(data)
        pieces = []
        try:
            while piece := self._tls.read(1 << 16):
                pieces.append(piece)
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
        except ssl.SSLError as error:
            if not pieces:
                raise LayerError(f"TLS: {error}") from error
        return b"".join(pieces)

    def encode(self, data: bytes) -> bytes:
        if data:
            self._tls.write(data)
        return self._outgoing.read()

    def unasked(self) -> bytes:
        return self._outgoing.read()
