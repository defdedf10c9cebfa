"""What lies between a client's socket and its session after IDENTIFY: TLS, compression, or both.

::

    socket  <->  Link  <->  TlsLayer  <->  codec  <->  Session

`Layers` takes the place of the `Link` for the session, which writes to it and is fed by it. Without
layers a session has the `Link` itself, and the transport's reads go straight to it.

A few compressed bytes can stand for many megabytes. So bytes are decoded in pieces of about the
size of a read, one in a turn of the reactor; while there is more, or while the session does not
want to read, nothing is read from the socket. What is under way in a layer is bounded by that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from OpenSSL import SSL
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from nsqtx.link import BUFFER_SIZE, Link
from nsqtx.tls import error_text
from nsqtx.wire.codecs import CodecError, Decoder, Encoder

__all__ = ["CodecLayer", "Layer", "LayerError", "Layers", "TlsLayer"]

#: How much of what was encrypted is taken from OpenSSL at once, in bytes.
_OUTPUT_SIZE = 64 * 1024
#: What one TLS record holds at most, in bytes.
_RECORD_SIZE = 16 * 1024


class LayerError(Exception):
    """What the client sent cannot be decoded, nor can anything after it."""


class Layer(Protocol):
    """Both directions of one layer."""

    @property
    def pending(self) -> bool:
        """Whether `decode` may give more without new bytes."""

    @property
    def ended(self) -> bool:
        """Whether the client has said that it sends no more."""

    def decode(self, data: bytes, limit: int) -> bytes:
        """Take what came from below; what it stands for, or the first ``limit`` bytes or so.

        :raises LayerError: it cannot be decoded.
        """

    def encode(self, data: bytes) -> bytes:
        """What is to be sent below for ``data``.

        :raises LayerError: nothing can be sent any more.
        """

    def goodbye(self) -> bytes:
        """What is to be sent below when no more will be sent."""


class TlsLayer:
    """TLS by OpenSSL, from the handshake on. Always the lowest.

    :param rest: what was read already, and belongs to this layer.
    :param send: sends what OpenSSL has to say by itself.
    :param on_secured: called when the handshake is done.
    """

    def __init__(
        self,
        connection: SSL.Connection,
        rest: bytes,
        send: Callable[[bytes], None],
        on_secured: Callable[[], None],
    ) -> None:
        self.connection = connection
        self.secured = False
        self.pending = bool(rest)
        self.ended = False
        self._send = send
        self._on_secured = on_secured
        if rest:
            connection.bio_write(rest)

    def decode(self, data: bytes, limit: int) -> bytes:
        """See `Layer`. What follows the handshake is given by the next call, since by then there
        may be another layer above."""
        if data:
            self.connection.bio_write(data)
        try:
            return self._read(limit) if self.secured else self._shake_hands()
        except SSL.ZeroReturnError:
            self.ended = True
            self.pending = False
        except SSL.Error as error:
            raise LayerError(error_text(error)) from None
        finally:
            output = self._output()
            if output:
                self._send(output)
        return b""

    def _shake_hands(self) -> bytes:
        self.pending = False
        try:
            self.connection.do_handshake()
        except SSL.WantReadError:
            return b""
        self.secured = self.pending = True
        self._on_secured()
        return b""

    def _read(self, limit: int) -> bytes:
        pieces = []
        size = 0
        receive = self.connection.recv
        self.pending = True
        try:
            while size < limit:
                piece = receive(_RECORD_SIZE)
                pieces.append(piece)
                size += len(piece)
        except SSL.WantReadError:
            self.pending = False
        except SSL.ZeroReturnError:
            # It will be raised again.
            if not pieces:
                raise
        return b"".join(pieces)

    def encode(self, data: bytes) -> bytes:
        """See `Layer`."""
        view = memoryview(data)
        try:
            while view:
                # One record a call, as pyOpenSSL sets OpenSSL up.
                view = view[self.connection.send(view) :]
        except SSL.Error as error:
            raise LayerError(error_text(error)) from None
        return self._output()

    def goodbye(self) -> bytes:
        """See `Layer`."""
        if self.secured:
            try:
                self.connection.shutdown()
            except SSL.Error:
                # Nothing can be said any more, so neither can that.
                pass
        return self._output()

    def _output(self) -> bytes:
        pieces = []
        try:
            while True:
                pieces.append(self.connection.bio_read(_OUTPUT_SIZE))
        except SSL.WantReadError:
            return b"".join(pieces)


class CodecLayer:
    """Compression.

    :param rest: what was read already, and belongs to this layer.
    """

    ended = False

    def __init__(self, codec: tuple[Encoder, Decoder], rest: bytes) -> None:
        self._encoder, self._decoder = codec
        self._rest = rest

    @property
    def pending(self) -> bool:
        """See `Layer`."""
        return bool(self._rest) or self._decoder.pending

    def decode(self, data: bytes, limit: int) -> bytes:
        """See `Layer`."""
        if self._rest:
            data, self._rest = self._rest + data, b""
        try:
            return self._decoder.feed(data, limit)
        except CodecError as error:
            raise LayerError(str(error)) from None

    def encode(self, data: bytes) -> bytes:
        """See `Layer`."""
        return self._encoder.encode(data)

    def goodbye(self) -> bytes:
        """See `Layer`. Neither codec has an end that anybody waits for."""
        return b""


class Layers:
    """The layers of one connection, in the place of its `Link`.

    :param receive: takes decoded bytes.
    :param on_end: called when all was decoded and no more will come.
    :param on_error: called once, with what makes it impossible to go on reading.
    """

    def __init__(
        self,
        link: Link,
        clock: IReactorTime,
        receive: Callable[[bytes], None],
        on_end: Callable[[], None],
        on_error: Callable[[LayerError], None],
    ) -> None:
        self.link = link
        self._clock = clock
        self._receive = receive
        self._on_end = on_end
        self._on_error = on_error
        self._layers: list[Layer] = []
        # Read while there was still something to decode.
        self._unread: list[bytes] = []
        self._decoding = False
        self._stopped = False
        self._input_ended = False
        self._next_turn: IDelayedCall | None = None

    def add(self, layer: Layer) -> None:
        """Put a layer above those that are there."""
        self._layers.append(layer)
        if layer.pending and not self._decoding and not self.link.held:
            self._wait_a_turn()

    # Reading.

    def receive(self, data: bytes) -> None:
        """Decode what was read."""
        if self._has_more():
            # We had stopped reading, but this was under way.
            self._unread.append(data)
        else:
            self._decode(data)

    def end(self) -> None:
        """No more will be read from the socket."""
        self._input_ended = True
        if not self._decoding and not self._has_more():
            self._on_end()

    def go_on(self) -> None:
        """The session reads again: decode what is there, then read from the socket."""
        if not self._decoding and not self._stopped:
            self._decode(b"")
        if not self.link.held:
            self.link.transport.resumeProducing()

    def _pending(self) -> int:
        """The topmost layer that may give more by itself; -1 if none."""
        for at in range(len(self._layers) - 1, -1, -1):
            if self._layers[at].pending:
                return at
        return -1

    def _has_more(self) -> bool:
        return bool(self._unread) or self._pending() >= 0

    def _decode(self, data: bytes) -> None:
        """Feed the session one piece; wait for the next turn with what is left then."""
        self._decoding = True
        try:
            piece = self._piece(data)
            if piece:
                self._receive(piece)
        except LayerError as error:
            if not self._stopped:
                self.stop()
                self._on_error(error)
        finally:
            self._decoding = False
        if self._stopped:
            return
        if self._has_more():
            if not self.link.held:
                self._wait_a_turn()
        elif self._input_ended or any(layer.ended for layer in self._layers):
            self._on_end()

    def _piece(self, data: bytes) -> bytes:
        """Decode until there is something for the session, or nothing left to decode."""
        while True:
            at = self._pending()
            if at < 0:
                at = 0
                if not data and self._unread:
                    data = b"".join(self._unread)
                    self._unread.clear()
            for layer in self._layers[at:]:
                data = layer.decode(data, BUFFER_SIZE)
            if data or self._stopped or not self._has_more():
                return data

    def _wait_a_turn(self) -> None:
        self.link.hold("decoding", True)
        if self._next_turn is None:
            self._next_turn = self._clock.callLater(0, self._turn)

    def _turn(self) -> None:
        self._next_turn = None
        self.link.hold("decoding", False)

    # Writing.

    def write(self, data: bytes) -> None:
        """Encode and send."""
        try:
            for layer in reversed(self._layers):
                data = layer.encode(data)
        except LayerError:
            # Whoever writes, maybe a channel on behalf of somebody else, cannot help it.
            self.link.abort()
        else:
            self.link.write(data)

    def close(self) -> None:
        """Say goodbye, and close when what is buffered has been sent."""
        self._say_goodbye()
        self.link.close()

    def close_sending(self) -> None:
        """Say goodbye, close our side when what is buffered has been sent, and read on."""
        self._say_goodbye()
        self.link.close_sending()

    def unwrap(self) -> None:
        """Decode no more, and write plainly."""
        self.stop()
        self._layers.clear()

    def stop(self) -> None:
        """Decode no more; `write` still works."""
        self._stopped = True
        self._unread.clear()
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None

    def lost(self) -> None:
        """The connection is gone: forget the layers, and whom to tell."""
        self.unwrap()
        self._receive = self._on_end = self._on_error = _nobody

    def _say_goodbye(self) -> None:
        self.stop()
        data = self._layers[0].goodbye() if self._layers else b""
        if data:
            self.link.write(data)


def _nobody(*_: object) -> None:
    """Nobody has to be told."""
