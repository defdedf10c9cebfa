"""Connections of load processes: bare sockets, or what is left of them above TLS or a codec."""

from __future__ import annotations

import json
import socket
import ssl
import struct
from typing import TYPE_CHECKING, Protocol

from bench.traffic import OK
from tests.support.tlsclient import client_context

if TYPE_CHECKING:
    from tests.golden.layers import Layer

__all__ = ["TIMEOUT", "Wire", "dial"]

#: Seconds that a load waits for an answer: ten thousand topics are made before the first comes.
TIMEOUT = 600.0


class Wire(Protocol):
    """What is asked of a connection; a socket has it."""

    def sendall(self, data: bytes, /) -> None:
        """Send."""

    def recv(self, size: int, /) -> bytes:
        """Some bytes; none at the end, or when what came makes no whole byte yet."""

    def fileno(self) -> int:
        """The descriptor."""

    def close(self) -> None:
        """Close."""


class OverTls:
    """TLS by the standard library."""

    def __init__(self, sock: socket.socket) -> None:
        self._tls: ssl.SSLSocket = client_context().wrap_socket(sock)
        self.sendall = self._tls.sendall
        self.fileno = self._tls.fileno
        self.close = self._tls.close

    def recv(self, size: int) -> bytes:
        """All that is there: the kernel will not wake us for what OpenSSL has already."""
        parts = [self._tls.recv(size)]
        while self._tls.pending():
            parts.append(self._tls.recv(size))
        return b"".join(parts)


class OverCodec:
    """A compressed stream."""

    def __init__(self, sock: socket.socket, layer: Layer) -> None:
        self._sock = sock
        self._layer = layer
        self.fileno = sock.fileno
        self.close = sock.close

    def sendall(self, data: bytes) -> None:
        """Compress and send."""
        self._sock.sendall(self._layer.encode(data))

    def recv(self, size: int) -> bytes:
        """At least a byte, or none at the end."""
        while data := self._sock.recv(size):
            if plain := self._layer.decode(data):
                return plain
        return b""


def dial(port: int, layer: str = "") -> Wire:
    """A connection that has sent the magic, with ``tls``, ``snappy`` or ``deflate`` on it."""
    sock = socket.create_connection(("127.0.0.1", port), TIMEOUT)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(b"  V2")
    if not layer:
        return sock
    body = json.dumps({"tls_v1" if layer == "tls" else layer: True, "feature_negotiation": True})
    sock.sendall(b"IDENTIFY\n" + struct.pack(">I", len(body)) + body.encode())
    (size,) = struct.unpack(">I", exactly(sock, 4))
    exactly(sock, size)
    wire: Wire
    if layer == "tls":
        wire = OverTls(sock)
    else:
        # Not at the top: most jobs need no snappy.
        from tests.golden.layers import DeflateLayer, SnappyLayer

        wire = OverCodec(sock, SnappyLayer() if layer == "snappy" else DeflateLayer(level=6))
    if exactly(wire, len(OK)) != OK:
        raise SystemExit(f"no {layer}")
    return wire


def exactly(wire: Wire, size: int) -> bytes:
    """So many bytes."""
    data = b""
    while len(data) < size:
        more = wire.recv(size - len(data))
        if not more:
            raise SystemExit("the server closed the connection")
        data += more
    return data
