"""A connection that can be used: answers, liveness, and its end (client sections 3.6 and 9.2)."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from nsqtx.client.config import ClientConfig
from nsqtx.client.connection import NsqdConnection
from nsqtx.client.errors import BadFrame, CommandFailed, ConnectionClosed, Outcome, ServerError
from nsqtx.client.handshake import connect
from nsqtx.wire.codecs import make_deflate
from tests.support.logged import Logged
from tests.support.scriptednsqd import Network, ScriptedConnection, ScriptedNsqd
from tests.support.upgradepeer import frame


class Made:
    """A connection, and the other end of it."""

    def __init__(self, **config: Any) -> None:
        self.network = Network()
        nsqd = ScriptedNsqd(self.network, 4150, **{key: True for key in config if key == "deflate"})
        made: list[NsqdConnection] = []
        connect(self.network, nsqd.address, ClientConfig(**config)).addCallback(made.append)
        self.network.advance(0)
        self.other: ScriptedConnection = nsqd.connection
        if "deflate" in config:
            self.other.codec = make_deflate(6)
            self.other.send(b"OK")
        (self.connection,) = made
        self.gone: list[Any] = []
        self.connection.when_closed().addCallback(self.gone.append)

    def end(self) -> None:
        self.connection.close()
        self.network.advance(0)
        assert self.network.getDelayedCalls() == []


def outcome(request: Deferred[Any]) -> Any:
    """The answer, or the error."""
    found: list[Any] = []
    request.addCallbacks(found.append, lambda failure: found.append(failure.value))
    return found[0] if found else None


def test_silence_ends_it() -> None:
    """Without a byte from nsqd for read_timeout the connection is given up."""
    made = Made(read_timeout=60, heartbeat_interval=30)
    made.network.advance(59)
    made.other.heartbeat()
    made.network.advance(59)
    assert made.gone == []
    made.network.advance(1)
    made.network.advance(0)
    (reason,) = made.gone
    assert isinstance(reason, ConnectionClosed)
    assert "60 s" in str(reason)
    assert made.network.getDelayedCalls() == []


def test_bytes_that_nobody_takes_end_it() -> None:
    """The same is so when the network takes nothing for write_timeout."""
    made = Made(write_timeout=5)
    made.other.transport.network.pauseProducing()
    made.network.advance(4)
    made.other.transport.network.resumeProducing()
    made.network.advance(5)
    assert made.gone == []
    made.other.transport.network.pauseProducing()
    made.network.advance(5)
    made.network.advance(0)
    (reason,) = made.gone
    assert "5 s" in str(reason)
    assert made.network.getDelayedCalls() == []


def test_a_slow_network_is_no_dead_one() -> None:
    """As long as some bytes are taken in each write_timeout, the connection stays."""
    made = Made(write_timeout=5)
    transport: Any = made.other.transport
    # What Twisted's TCP transport has.
    transport.SEND_LIMIT, transport.dataBuffer, transport.offset = 131072, b"x" * 1000, 0
    transport._tempDataLen = 500
    transport.network.pauseProducing()
    for left in (1400, 700, 20):
        transport.dataBuffer, transport._tempDataLen, transport.offset = b"x" * 1000, 0, 1000 - left
        made.network.advance(5)
        assert made.gone == []
    made.network.advance(5)
    made.network.advance(0)
    assert "nothing for 5 s" in str(made.gone[0])


def test_without_heartbeats_silence_is_no_end() -> None:
    """With heartbeats off nsqd is only dead when it owes an answer for long."""
    made = Made(heartbeat_interval=-1, read_timeout=60)
    made.network.pump([10] * 100)
    waiting = made.connection.request(b"PUB t\n\0\0\0\x01a")
    made.network.pump([10] * 5)
    made.other.ok()
    assert outcome(waiting) == b"OK"
    made.network.pump([10] * 100)
    assert made.gone == []
    lost = made.connection.request(b"PUB t\n\0\0\0\x01a")
    made.network.pump([10] * 13)
    assert "60 s" in str(made.gone[0])
    assert outcome(lost).outcome is Outcome.UNKNOWN


def test_what_waits_when_it_is_lost() -> None:
    """Requests that were sent are unknown; later ones are not executed."""
    made = Made()
    waiting = made.connection.request(b"PUB t\n\0\0\0\x01a")
    made.other.lose()
    error = outcome(waiting)
    assert isinstance(error, CommandFailed)
    assert error.outcome is Outcome.UNKNOWN
    later = outcome(made.connection.request(b"PUB t\n\0\0\0\x01a"))
    assert later.outcome is Outcome.NOT_EXECUTED
    assert isinstance(outcome(made.connection.when_closed()), ConnectionClosed)


def test_errors_of_messages_answer_nothing() -> None:
    """E_FIN_FAILED and its like take no turn and close nothing."""
    made = Made()
    errors: list[ServerError] = []
    made.connection.on_harmless_error = errors.append
    waiting = made.connection.request(b"PUB t\n\0\0\0\x01a")
    made.other.send(b"E_FIN_FAILED FIN 0123456789abcdef failed ID not in flight", 1)
    made.other.ok()
    assert outcome(waiting) == b"OK"
    assert [error.code for error in errors] == ["E_FIN_FAILED"]
    made.end()


@pytest.mark.parametrize(
    "data",
    [
        frame(b"OK"),
        frame(b"x", 3),
        frame(b"short", 2),
        frame(b"x" * 30, 2),
        b"\0\0\0\x02xx",
        b"\x7f\xff\xff\xff",
    ],
)
def test_what_cannot_be_ends_it(data: bytes) -> None:
    """An answer to nothing, an unknown frame or a bad one, a message without SUB: all end it."""
    made = Made()
    made.other.receive(data)
    made.network.advance(0)
    (reason,) = made.gone
    assert isinstance(reason, BadFrame)
    assert made.network.getDelayedCalls() == []


def test_an_error_frame_need_not_be_text() -> None:
    """Bytes that are no UTF-8 are shown somehow."""
    made = Made()
    made.other.send(b"E_INVALID \xff", 1)
    made.network.advance(0)
    (reason,) = made.gone
    assert isinstance(reason, ServerError)
    assert reason.code == "E_INVALID"


def test_a_bug_of_ours_ends_one_connection() -> None:
    """What a consumer of messages raises is logged, and the connection ends."""
    made = Made()

    def broken(_: list[bytes]) -> None:
        raise LookupError("bug")

    made.connection.on_messages = broken
    with Logged() as logged:
        made.other.send(b"x" * 30, 2)
    made.network.advance(0)
    assert logged.failures == [LookupError]
    assert "bug" in str(made.gone[0])


def test_compressed_bytes_that_are_none() -> None:
    """A stream that cannot be decompressed ends the connection."""
    made = Made(deflate=True)
    made.other.receive(b"\xff" * 100)
    made.network.advance(0)
    assert isinstance(made.gone[0], BadFrame)


def test_a_large_frame_is_refused_before_it_comes() -> None:
    """``max_msg_size`` limits frames, compressed ones as well."""
    made = Made(deflate=True, max_msg_size=100_000)
    made.other.send(b"x" * 100_001, 2)
    made.network.advance(0)
    assert isinstance(made.gone[0], BadFrame)
    assert "100000" in str(made.gone[0])


def test_who_watches_may_stop_watching() -> None:
    """`when_closed` can be cancelled."""
    made = Made()
    watching = made.connection.when_closed()
    watching.addErrback(lambda _: None)
    watching.cancel()
    made.end()
    assert len(made.gone) == 1


def test_closing_sends_what_was_written() -> None:
    """`close` within a read lets the bytes of that read out first."""
    made = Made()

    def answered(_: bytes) -> None:
        made.connection.send(b"NOP\n")
        made.connection.close()

    made.connection.request(b"PUB t\n\0\0\0\x01a").addCallback(answered)
    made.other.ok()
    assert made.other.names()[-1] == b"NOP"
    made.network.advance(0)
    assert made.other.lost
