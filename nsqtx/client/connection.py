"""One connection to one nsqd: frames, answers in order, heartbeats, liveness (client section 3).

What is common to consumers and producers. `handshake` (in the module of that name) makes a
connection usable; then a consumer's `on_messages` gets what arrives, or a producer calls `request`.

Commands that are answered take their turn in a queue, since nsqd answers in order (client 9.2).
Heartbeats and the three errors that do not close are no answers. When nsqd refuses a command
fatally it closes and does nothing that was sent behind it, so those commands certainly were not
executed; when a connection is merely lost, what was sent and not answered is unknown.

When the other side is not there any more, `nsqtx.client.liveness` gives the connection up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IDelayedCall,
    IHandshakeListener,
    IPushProducer,
    IReactorTime,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from nsqtx.client.config import ClientConfig
from nsqtx.client.errors import (
    BadFrame,
    CommandFailed,
    ConnectionClosed,
    NsqError,
    Outcome,
    ServerError,
)
from nsqtx.client.liveness import Liveness
from nsqtx.connections import cancel
from nsqtx.link import prepare, send_now
from nsqtx.wire.codecs import CodecError, Decoder, Encoder
from nsqtx.wire.errors import CODES
from nsqtx.wire.frames import FRAME_ERROR, FRAME_MESSAGE, FRAME_RESPONSE, HEADER_SIZE
from nsqtx.wire.identify import Negotiated
from nsqtx.wire.incoming import FrameError, FrameParser

__all__ = ["NsqdConnection"]

log = Logger(namespace="nsqtx.client")

MAGIC = b"  V2"
_NOP = b"NOP\n"
_HEARTBEAT = b"_heartbeat_"
#: Of a message frame's data, all but the body.
_MESSAGE_HEAD = HEADER_SIZE - 8
#: Errors after which nsqd goes on; they answer FIN, REQ and TOUCH, which have no turn.
_HARMLESS = frozenset(code for code, closes in CODES.items() if not closes)
#: Plain bytes taken out of the decompressor at a time.
_PIECE = 1024 * 1024
#: What is sent alone, so that nsqd is at work on it while the next is made.
_LARGE = 16 * 1024


@implementer(IHandshakeListener, IPushProducer)
class NsqdConnection(Protocol):
    """See the module. ``address`` is what it was dialled by."""

    transport: Any

    def __init__(self, address: str, config: ClientConfig, clock: IReactorTime) -> None:
        self.address = address
        self.config = config
        #: What nsqd answered to IDENTIFY.
        self.negotiated = Negotiated()
        #: Time of the last read, in seconds of the clock.
        self.heard = clock.seconds()
        #: Takes the message frames of a read (their data), for a consumer.
        self.on_messages: Callable[[list[bytes]], None] | None = None
        #: Takes errors that answer FIN, REQ or TOUCH.
        self.on_harmless_error: Callable[[ServerError], None] | None = None
        #: Whether bytes wait that the network does not take; `on_writable` says when it does.
        self.blocked = False
        self.on_writable: Callable[[], None] | None = None
        self.closed = False
        #: It will soon be gone: nothing more is to be asked here.
        self.closing = False
        #: How many answers have come.
        self.answered = 0
        self.clock = clock
        self._parser = FrameParser(config.max_msg_size or 2**31 - 1)
        self._encoder: Encoder | None = None
        self._decoder: Decoder | None = None
        #: During the handshake a frame may change what the bytes behind it mean.
        self._stepwise = True
        self._out: list[bytes] = []
        self._collecting = False
        self._turns: deque[Deferred[bytes]] = deque()
        self._reason: NsqError | None = None
        self._fatal: ServerError | None = None
        self._secured: Deferred[None] | None = None
        self._watching: list[Deferred[NsqError]] = []
        self._liveness: Liveness | None = None
        #: Whether bytes may be sent within a turn of the reactor.
        self._direct = False
        self._aborting: IDelayedCall | None = None

    def connectionMade(self) -> None:
        transport = self.transport
        self._direct = prepare(transport)
        transport.registerProducer(self, True)
        self._liveness = Liveness(
            transport,
            self.config,
            self.clock,
            heard=lambda: self.heard,
            waits=lambda: bool(self._turns),
            give_up=lambda reason: self.fail(ConnectionClosed(reason)),
        )
        self.send(MAGIC)

    # -- sending -------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send bytes that nothing is answered to. Within a read, what is small goes at its end."""
        if not data:
            return
        if self._collecting:
            self._out.append(data)
            if len(data) > _LARGE:
                self._flush()
        else:
            self._write(data)

    def _write(self, data: bytes) -> None:
        if not self.closed:
            # Not sent at once: what else is written in this turn goes with it.
            self.transport.write(self._encoded(data))

    def _encoded(self, data: bytes) -> bytes:
        return data if self._encoder is None else self._encoder.encode(data)

    def _flush(self) -> None:
        """Send what was collected so far."""
        if not self._out:
            return
        out, self._out = b"".join(self._out), []
        if self.closed:
            return
        data = self._encoded(out)
        left = send_now(self.transport, data) if self._direct else data
        if left:
            self.transport.write(left)

    def request(self, data: bytes) -> Deferred[bytes]:
        """Send a command that is answered; the data of the answer.

        Fails with `CommandFailed`. Cancelled, the turn is kept, so that later answers find theirs.
        """
        turn: Deferred[bytes] = Deferred()
        if self.closed or self._reason is not None:
            reason = self._reason or ConnectionClosed("the connection is closed")
            turn.errback(CommandFailed(Outcome.NOT_EXECUTED, reason))
            return turn
        self._turns.append(turn)
        self.send(data)
        return turn

    def expect(self) -> Deferred[bytes]:
        """An answer that comes without a command: nsqd's OK inside a new layer."""
        return self.request(b"")

    @property
    def outstanding(self) -> int:
        """How many answers are to come."""
        return len(self._turns)

    # -- receiving -----------------------------------------------------------------------------

    def dataReceived(self, data: bytes) -> None:
        self.heard = self.clock.seconds()
        self._collecting = True
        try:
            if self._decoder is not None:
                self._decode(data)
            elif self._stepwise:
                self._step(data)
            else:
                self._take(self._parser.feed(data))
        except (FrameError, CodecError) as error:
            self.fail(BadFrame(str(error)))
        except Exception as error:  # noqa: BLE001
            # A bug of ours ends this connection and nothing else.
            log.failure("nsqd {address}: a bug ends this connection", address=self.address)
            self.fail(ConnectionClosed(f"internal error: {error!r}"))
        finally:
            self._collecting = False
            self._flush()

    def _decode(self, data: bytes) -> None:
        """Decompress, in pieces, so that a few bytes cannot become very many at once."""
        decoder = self._decoder
        assert decoder is not None
        while not self.closed and self._reason is None:
            plain = decoder.feed(data, _PIECE)
            if self._stepwise:
                self._step(plain)
            else:
                self._take(self._parser.feed(plain))
            if not decoder.pending:
                return
            data = b""

    def _step(self, data: bytes) -> None:
        """Frame by frame, since each may change the layers below the next."""
        parser = self._parser
        parser.add(data)
        layers = self._decoder
        while self._stepwise:
            frame = parser.next()
            if frame is None:
                return
            self._take([frame])
            if self._decoder is not layers:
                self._decode(parser.rest())
                return
        self._take(parser.feed(b""))

    def _take(self, frames: list[tuple[int, bytes]]) -> None:
        messages: list[bytes] = []
        for kind, data in frames:
            if kind == FRAME_MESSAGE:
                if len(data) < _MESSAGE_HEAD:
                    raise FrameError(f"a message of {len(data)} bytes")
                messages.append(data)
            elif kind == FRAME_RESPONSE:
                if data == _HEARTBEAT:
                    self.send(_NOP)
                else:
                    messages = self._hand_over(messages)
                    self._answered(data)
            elif kind == FRAME_ERROR:
                messages = self._hand_over(messages)
                self._refused(ServerError(data.decode("utf-8", "backslashreplace")))
            else:
                raise FrameError(f"a frame of the unknown type {kind}")
        self._hand_over(messages)

    def _hand_over(self, messages: list[bytes]) -> list[bytes]:
        """Give messages away, before what came behind them: an answer to CLS means no more come."""
        if messages:
            if self.on_messages is None:
                raise FrameError("a message without a subscription")
            self.on_messages(messages)
        return []

    def _answered(self, data: bytes) -> None:
        if not self._turns:
            raise FrameError(f"an answer to nothing: {data[:40]!r}")
        self.answered += 1
        turn = self._turns.popleft()
        if not turn.called:
            turn.callback(data)

    def _refused(self, error: ServerError) -> None:
        if error.code in _HARMLESS:
            if self.on_harmless_error is not None:
                self.on_harmless_error(error)
            return
        # nsqd closes now; whoever waits behind the first can be told what became of it.
        self._fatal = error
        head = self._turns.popleft() if self._turns else None
        self.fail(error)
        if head is not None and not head.called:
            head.errback(CommandFailed(Outcome.REJECTED, error))
        self._let_go()

    # -- layers --------------------------------------------------------------------------------

    def start_tls(self, options: Any) -> Deferred[None]:
        """Go on inside TLS, from now. Fires when the server has proven itself.

        Must be called while the answer that agreed to it is being handled: nothing may be read or
        written in between (client 15.1, trap 17).
        """
        if self._parser.rest():
            raise BadFrame("nsqd sent something before TLS was agreed on")
        self._flush()
        self._secured = Deferred()
        self._direct = False
        self.transport.startTLS(options)
        return self._secured

    def handshakeCompleted(self) -> None:
        secured, self._secured = self._secured, None
        if secured is not None:
            secured.callback(None)

    def start_codec(self, codec: tuple[Encoder, Decoder]) -> None:
        """Compress from now on, both ways; to be called as `start_tls`."""
        self._flush()
        self._encoder, self._decoder = codec

    def handshaken(self) -> None:
        """The layers stay as they are."""
        self._stepwise = False

    # -- the end -------------------------------------------------------------------------------

    def close(self, patience: float = 1.0) -> None:
        """Close when what was written has been sent, after ``patience`` seconds anyway."""
        self._end(ConnectionClosed("closed by us"))
        self._flush()
        self.transport.loseConnection()
        if self._aborting is None and not self.closed:
            self._aborting = self.clock.callLater(patience, self.transport.abortConnection)

    def fail(self, reason: NsqError) -> None:
        """Close now, for a reason."""
        self._end(reason)
        # Not abortConnection at once: it would call back into what is going on.
        self.transport.loseConnection()
        if self._aborting is None and not self.closed:
            self._aborting = self.clock.callLater(0, self.transport.abortConnection)

    def _end(self, reason: NsqError) -> None:
        if self._reason is None:
            self._reason = reason
        if not self.closing:
            self.closing = True
            # A transport with a paused producer would wait for it.
            self.transport.unregisterProducer()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.closed = self.closing = True
        if self._liveness is not None:
            self._liveness.stop()
        cancel(self._aborting)
        if self._reason is None:
            why = "nsqd closed it" if reason.check(ConnectionDone) else reason.getErrorMessage()
            self._reason = ConnectionClosed(why)
        secured, self._secured = self._secured, None
        if secured is not None:
            secured.errback(ConnectionClosed(f"TLS: {reason.getErrorMessage()}"))
        self._let_go()
        watching, self._watching = self._watching, []
        for each in watching:
            each.callback(self._reason)

    def _let_go(self) -> None:
        """Tell those who wait for an answer that none will come."""
        outcome = Outcome.UNKNOWN if self._fatal is None else Outcome.NOT_EXECUTED
        turns, self._turns = self._turns, deque()
        for turn in turns:
            if not turn.called:
                assert self._reason is not None
                turn.errback(CommandFailed(outcome, self._reason))

    def when_closed(self) -> Deferred[NsqError]:
        """Fires when the connection is gone, with the reason. To be cancelled by who waits."""
        watching: Deferred[NsqError] = Deferred(self._watching_no_more)
        if self.closed:
            assert self._reason is not None
            watching.callback(self._reason)
        else:
            self._watching.append(watching)
        return watching

    def _watching_no_more(self, watching: Deferred[NsqError]) -> None:
        self._watching.remove(watching)
        watching.errback(CancelledError())

    # -- what the network takes ------------------------------------------------------------------

    def pauseProducing(self) -> None:
        """The network does not take what we write."""
        self.blocked = True
        if self._liveness is not None:
            self._liveness.blocked()

    def resumeProducing(self) -> None:
        """It does again."""
        self.blocked = False
        if self._liveness is not None:
            self._liveness.writable()
        if self.on_writable is not None:
            self.on_writable()

    def stopProducing(self) -> None:
        """The connection is gone; `connectionLost` does what there is to do."""
