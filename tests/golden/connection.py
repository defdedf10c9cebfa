"""One NSQ connection of the replayer: sockets below, frames above, layers between."""

from __future__ import annotations

import socket
import ssl
import struct
import time

from tests.golden.layers import Layer, LayerError, TlsLayer
from tests.golden.matching import GoldenFrame
from tests.golden.placeholders import Mismatch

__all__ = ["READ_SECONDS", "Connection"]

# How long a frame, an end of file or a handshake may take before it counts as missing.
READ_SECONDS = 5.0


class Connection:
    """A blocking connection that hands out frames.

    :param address: of the daemon.
    :param typed: false for protocol V1, whose frames carry no type.

    ``compression`` names the topmost layer when that is a compression.
    """

    def __init__(self, address: tuple[str, int], typed: bool = True) -> None:
        self.socket = socket.create_connection(address, READ_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.typed = typed
        self.ended = False
        self.compression = ""
        self._layers: list[Layer] = []
        self._buffer = b""

    @property
    def local_address(self) -> str:
        """This end as ``host:port``."""
        host, port = self.socket.getsockname()[:2]
        return f"{host}:{port}"

    def close(self) -> None:
        """Close both directions."""
        self.socket.close()

    def half_close(self) -> None:
        """End the sending direction."""
        self.socket.shutdown(socket.SHUT_WR)

    # -- sending -------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send through all layers."""
        self._send_from(len(self._layers), data)

    def send_below(self, data: bytes) -> None:
        """Send below the topmost layer, which is the compression."""
        self._send_from(len(self._layers) - 1, data)

    def _send_from(self, depth: int, data: bytes) -> None:
        for layer in reversed(self._layers[:depth]):
            data = layer.encode(data)
        self._send_raw(data)

    def _send_raw(self, data: bytes) -> None:
        # The daemon may close while we send. What it said before that is still to be read.
        try:
            self.socket.settimeout(READ_SECONDS)
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    # -- receiving -----------------------------------------------------------------------------

    def _receive(self, deadline: float) -> bytes | None:
        """Some raw bytes; empty at the end of the connection, None at the deadline."""
        self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            data = self.socket.recv(1 << 18)
        except TimeoutError:
            return None
        except ConnectionResetError:
            data = b""
        if not data:
            self.ended = True
        return data

    def _fill(self, deadline: float) -> bool:
        """Wait for more bytes above all layers; false at the deadline or the end."""
        if self.ended:
            return False
        data = self._receive(deadline)
        if not data:
            return False
        for index, layer in enumerate(self._layers):
            data = layer.decode(data)
            reply = layer.unasked()
            if reply:
                self._send_from(index, reply)
        self._buffer += data
        return True

    def _take_frame(self) -> GoldenFrame | None:
        if len(self._buffer) < 4:
            return None
        (size,) = struct.unpack_from(">I", self._buffer)
        if len(self._buffer) < 4 + size:
            return None
        data = self._buffer[4 : 4 + size]
        self._buffer = self._buffer[4 + size :]
        if not self.typed:
            return GoldenFrame(None, data)
        if size < 4:
            raise Mismatch(f"a frame of {size} bytes has no room for its type")
        return GoldenFrame(int.from_bytes(data[:4], "big"), data[4:])

    def read_frames(self, count: int) -> list[GoldenFrame]:
        """Exactly so many frames.

        :raises Mismatch: fewer came in time.
        """
        deadline = time.monotonic() + READ_SECONDS
        frames: list[GoldenFrame] = []
        while len(frames) < count:
            frame = self._take_frame()
            if frame is not None:
                frames.append(frame)
            elif not self._fill(deadline):
                if not self.ended and time.monotonic() < deadline:
                    continue
                why = "the connection ended" if self.ended else f"{READ_SECONDS:g} s went by"
                raise Mismatch(
                    f"{count} frames expected, {why} after {frames!r} and {self._buffer!r}"
                )
        return frames

    def collect_frames(self, seconds: float) -> list[GoldenFrame]:
        """All frames that come within this time or until the connection ends."""
        deadline = time.monotonic() + seconds
        frames: list[GoldenFrame] = []
        while True:
            frame = self._take_frame()
            if frame is not None:
                frames.append(frame)
            elif self.ended or time.monotonic() >= deadline:
                return frames
            else:
                self._fill(deadline)

    def expect_end(self) -> None:
        """The connection must end now, without another byte above the layers.

        :raises Mismatch: it stays open or says more.
        """
        deadline = time.monotonic() + READ_SECONDS
        while not self.ended and not self._buffer and time.monotonic() < deadline:
            self._fill(deadline)
        if self._buffer:
            raise Mismatch(f"expected the end of the connection, got {self._buffer!r}")
        if not self.ended:
            raise Mismatch(f"the connection is still open after {READ_SECONDS:g} s")

    def expect_silence(self, seconds: float) -> None:
        """The connection must stay open and say nothing for so long.

        :raises Mismatch: it ends or says something.
        """
        deadline = time.monotonic() + seconds
        while not self.ended and not self._buffer and time.monotonic() < deadline:
            self._fill(deadline)
        if self._buffer:
            raise Mismatch(f"expected nothing more, got {self._buffer!r}")
        if self.ended:
            raise Mismatch("the connection was closed, but should stay open")

    # -- upgrades ------------------------------------------------------------------------------

    def add_layer(self, layer: Layer) -> None:
        """From here both directions go through this layer too.

        Bytes read beyond the last frame belong to it: the daemon does not wait between the JSON
        and the compressed OK (nsqd-tcp section 7.4).
        """
        self._layers.append(layer)
        self._buffer = layer.decode(self._buffer) if self._buffer else b""

    def start_tls(self, context: ssl.SSLContext) -> bool:
        """Make the TLS handshake; false when it fails. Plain bytes after a failure are dropped.

        :raises Mismatch: it neither succeeds nor fails in time.
        """
        layer = TlsLayer(context)
        data, self._buffer = self._buffer, b""
        deadline = time.monotonic() + READ_SECONDS
        while True:
            try:
                done = layer.handshake(data)
            except LayerError:
                self._send_raw(layer.unasked())
                self._drain(deadline)
                return False
            self._send_raw(layer.unasked())
            if done:
                self.add_layer(layer)
                self._buffer = layer.decode(b"")
                return True
            received = self._receive(deadline)
            if received is None:
                raise Mismatch("the TLS handshake takes too long")
            if not received:
                return False
            data = received

    def _drain(self, deadline: float) -> None:
        while not self.ended and time.monotonic() < deadline:
            self._receive(deadline)
