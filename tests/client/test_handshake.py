"""A client's handshake with an nsqd that does what the test says (client section 14.1)."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from nsqtx.client.config import ClientConfig, ReaderConfig
from nsqtx.client.connection import NsqdConnection
from nsqtx.client.errors import ConnectError
from nsqtx.client.events import ConnectFailed, Event, RdyLimited
from nsqtx.client.handshake import connect
from nsqtx.client.reader import Reader
from nsqtx.wire.codecs import make_deflate, make_snappy
from tests.support.scriptednsqd import ANSWER, Command, Network, ScriptedConnection, ScriptedNsqd
from tests.support.upgradepeer import frame

OK = frame(b"OK")
MESSAGE = struct.pack(">qH", 1_700_000_000_000_000_000, 1) + b"0123456789abcdef" + b"body"


class Dial:
    """One call of `connect`, and what has come of it."""

    def __init__(
        self, nsqd: ScriptedNsqd, network: Network, subscribe: Any = None, **config: Any
    ) -> None:
        self.network = network
        self.connection: NsqdConnection | None = None
        self.error: BaseException | None = None
        #: Messages that came.
        self.messages: list[bytes] = []
        self.deferred: Deferred[NsqdConnection] = connect(
            network, nsqd.address, ClientConfig(**config), subscribe
        )
        self.deferred.addCallbacks(self._made, self._failed)
        network.advance(0)

    def _made(self, connection: NsqdConnection) -> None:
        self.connection = connection
        connection.on_messages = self.messages.extend

    def _failed(self, failure: Any) -> None:
        self.error = failure.value

    @property
    def reason(self) -> str:
        """Why there is no connection."""
        assert isinstance(self.error, ConnectError)
        return self.error.reason

    def close(self) -> None:
        """Close what there is; nothing may be left."""
        if self.connection is not None:
            self.connection.close()
        self.network.advance(0)
        assert self.network.getDelayedCalls() == []


def answer(**fields: Any) -> bytes:
    return json.dumps({**ANSWER, **fields}).encode()


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def nsqd(network: Network) -> ScriptedNsqd:
    return ScriptedNsqd(network, 4150)


def reader_of(nsqd: ScriptedNsqd, network: Network, events: list[Event], **config: Any) -> Reader:
    return Reader(
        "t",
        "c",
        lambda _: None,
        reactor=network,
        nsqd_tcp_addresses=[nsqd.address],
        config=ReaderConfig(**config),
        on_event=events.append,
    )


def stop(reader: Reader, network: Network) -> None:
    """Stop it; nothing may be left."""
    stopping = reader.stopService()
    for _ in range(40):
        network.advance(1)
    assert stopping.called
    assert network.getDelayedCalls() == []


def test_h1_one_after_the_other(nsqd: ScriptedNsqd, network: Network) -> None:
    """Magic, IDENTIFY, SUB, RDY, each after the answer to the one before."""
    identified, subscribed = nsqd.answers[b"IDENTIFY"], nsqd.answers[b"SUB"]
    nsqd.answers.clear()
    reader = reader_of(nsqd, network, [])
    reader.startService()
    network.advance(0)
    connection = nsqd.connection
    assert connection.names() == [b"IDENTIFY"]
    assert identified is not None
    assert subscribed is not None
    connection.send(identified)
    assert connection.names() == [b"IDENTIFY", b"SUB"]
    assert connection.commands[1].words == (b"SUB", b"t", b"c")
    connection.send(subscribed)
    assert connection.commands[2].words == (b"RDY", b"1")
    nsqd.answers[b"CLS"] = b"CLOSE_WAIT"
    stop(reader, network)


def test_h2_an_nsqd_that_does_not_negotiate(nsqd: ScriptedNsqd, network: Network) -> None:
    """After a plain OK there are no layers and no AUTH, whatever was asked for and can be done
    without; RDY goes up to 2500."""
    nsqd.answers[b"IDENTIFY"] = b"OK"
    dial = Dial(nsqd, network, ("t", "c"), deflate=True, auth_secret="secret")
    assert dial.connection is not None
    assert dial.connection.negotiated.max_rdy_count == 2500
    assert nsqd.connection.names() == [b"IDENTIFY", b"SUB"]
    dial.close()


@pytest.mark.parametrize("identified", [answer(tls_v1=False, auth_required=True), b"OK"])
def test_h3_tls_that_is_not_offered(
    nsqd: ScriptedNsqd, network: Network, identified: bytes
) -> None:
    """Without TLS that was asked for there is no connection, and no secret is sent in clear."""
    nsqd.answers[b"IDENTIFY"] = identified
    dial = Dial(nsqd, network, tls_v1=True, auth_secret="secret")
    assert "TLS" in dial.reason
    assert nsqd.connection.names() == [b"IDENTIFY"]
    assert nsqd.connection.lost
    dial.close()


def test_h3_tls_may_be_optional(nsqd: ScriptedNsqd, network: Network) -> None:
    """With ``tls_optional`` it goes on without."""
    dial = Dial(nsqd, network, tls_v1=True, tls_optional=True)
    assert dial.connection is not None
    dial.close()


@pytest.mark.parametrize("layer", ["deflate", "snappy"])
@pytest.mark.parametrize("piece", [1, 10_000])
def test_h5_all_in_one_segment_and_byte_by_byte(
    nsqd: ScriptedNsqd, network: Network, layer: str, piece: int
) -> None:
    """What follows the answer to IDENTIFY belongs to the layer that it has agreed on, however the
    network cuts it."""
    nsqd.answers.clear()
    dial = Dial(nsqd, network, ("t", "c"), **{layer: True})
    codec = make_deflate(6) if layer == "deflate" else make_snappy()
    data = frame(answer(**{layer: True}))
    for plain in (OK, OK + frame(MESSAGE, 2), frame(MESSAGE, 2)):
        data += codec[0].encode(plain)
    # What we send is compressed from here, too.
    nsqd.connection.codec = codec
    for start in range(0, len(data), piece):
        nsqd.connection.receive(data[start : start + piece])
    assert dial.error is None
    assert dial.messages == [MESSAGE, MESSAGE]
    assert nsqd.connection.names() == [b"IDENTIFY", b"SUB"]
    dial.close()


def test_compression_that_is_not_offered(nsqd: ScriptedNsqd, network: Network) -> None:
    """nsqd may have turned it off: the connection is made without."""
    dial = Dial(nsqd, network, ("t", "c"), deflate=True)
    assert dial.connection is not None
    assert nsqd.connection.names() == [b"IDENTIFY", b"SUB"]
    dial.close()


def test_h6_a_secret_is_asked_for_and_there_is_none(nsqd: ScriptedNsqd, network: Network) -> None:
    """It fails with that reason, before SUB."""
    nsqd.answers[b"IDENTIFY"] = answer(auth_required=True)
    dial = Dial(nsqd, network, ("t", "c"))
    assert "auth_secret" in dial.reason
    assert nsqd.connection.names() == [b"IDENTIFY"]
    dial.close()


@pytest.mark.parametrize("secret", ["secret", b"secret", lambda: "secret"])
def test_a_secret_that_is_asked_for_is_sent(
    nsqd: ScriptedNsqd, network: Network, secret: Any
) -> None:
    """AUTH comes between IDENTIFY and SUB."""
    nsqd.answers[b"IDENTIFY"] = answer(auth_required=True)
    dial = Dial(nsqd, network, ("t", "c"), auth_secret=secret)
    assert dial.connection is not None
    assert nsqd.connection.names() == [b"IDENTIFY", b"AUTH", b"SUB"]
    assert nsqd.connection.commands[1].body == b"secret"
    dial.close()


def test_a_bad_secret(nsqd: ScriptedNsqd, network: Network) -> None:
    """nsqd's refusal is the reason."""
    nsqd.answers[b"IDENTIFY"] = answer(auth_required=True)
    nsqd.answers[b"AUTH"] = b"E_AUTH_FAILED AUTH failed"
    dial = Dial(nsqd, network, ("t", "c"), auth_secret="wrong")
    assert dial.reason == "E_AUTH_FAILED AUTH failed"
    assert "wrong" not in str(dial.error)
    dial.close()


def test_h7_no_secret_without_being_asked(nsqd: ScriptedNsqd, network: Network) -> None:
    """A secret that nsqd does not ask for is not sent."""
    dial = Dial(nsqd, network, ("t", "c"), auth_secret="secret")
    assert dial.connection is not None
    assert nsqd.connection.names() == [b"IDENTIFY", b"SUB"]
    dial.close()


def test_h8_sub_is_refused(nsqd: ScriptedNsqd, network: Network) -> None:
    """There is no connection, and no RDY was sent."""
    nsqd.answers[b"SUB"] = b'E_UNAUTHORIZED AUTH failed for SUB on "t" "c"'
    dial = Dial(nsqd, network, ("t", "c"))
    assert dial.reason.startswith("E_UNAUTHORIZED")
    assert nsqd.connection.names() == [b"IDENTIFY", b"SUB"]
    assert nsqd.connection.lost
    dial.close()


@pytest.mark.parametrize("silent", [b"IDENTIFY", b"AUTH", b"SUB", b"TLS"])
def test_h9_no_answer(nsqd: ScriptedNsqd, network: Network, silent: bytes) -> None:
    """After handshake_timeout the connection is closed, wherever the handshake stands."""
    tls = silent == b"TLS"
    nsqd.answers[b"IDENTIFY"] = answer(auth_required=True, tls_v1=tls)
    nsqd.answers[silent] = None
    dial = Dial(nsqd, network, ("t", "c"), handshake_timeout=3, auth_secret="secret", tls_v1=tls)
    network.advance(2.9)
    assert dial.error is None
    assert (nsqd.connection.transport.tls is not None) == tls
    network.advance(0.1)
    assert "3 s" in dial.reason
    network.advance(0)
    assert nsqd.connection.lost
    dial.close()


def test_h9_a_retry_follows(nsqd: ScriptedNsqd, network: Network) -> None:
    """A Reader tells of the failure and dials again."""
    nsqd.answers[b"IDENTIFY"] = None
    events: list[Event] = []
    reader = reader_of(nsqd, network, events, handshake_timeout=3, max_reconnect_delay=1)
    reader.startService()
    network.advance(0)
    network.advance(3)
    (failed,) = events
    assert isinstance(failed, ConnectFailed)
    assert failed.delay is not None
    network.advance(failed.delay)
    assert len(nsqd.connections) == 2
    stop(reader, network)


def test_h10_the_http_port(nsqd: ScriptedNsqd, network: Network) -> None:
    """An HTTP server's answer is known for what it is, at once."""

    def refuse(connection: ScriptedConnection, _: Command) -> None:
        connection.receive(b"HTTP/1.1 400 Bad Request\r\n")

    nsqd.answers.clear()
    nsqd.on_command = refuse
    dial = Dial(nsqd, network)
    assert "HTTP" in dial.reason
    assert "4150" in dial.reason
    dial.close()


@pytest.mark.parametrize(
    "garbage",
    [b"\0\0\0\x03\0\0\0", b"\x7f\xff\xff\xff\0\0\0\0", b"\0\0\0\x06\0\0\0\x09OK", frame(b"[1]")],
)
def test_garbage(nsqd: ScriptedNsqd, network: Network, garbage: bytes) -> None:
    """What is no frame, or no answer, ends it at once and is said."""
    nsqd.answers.clear()
    nsqd.on_command = lambda connection, _: connection.receive(garbage)
    dial = Dial(nsqd, network)
    assert dial.reason
    network.advance(0)
    assert nsqd.connection.lost
    dial.close()


def test_h11_a_low_limit_of_rdy(nsqd: ScriptedNsqd, network: Network) -> None:
    """RDY is not above what nsqd takes, and an event says so."""
    nsqd.answers[b"IDENTIFY"] = answer(max_rdy_count=5)
    nsqd.answers[b"CLS"] = b"CLOSE_WAIT"
    events: list[Event] = []
    reader = reader_of(nsqd, network, events, max_in_flight=10)
    reader.startService()
    network.advance(0)
    rdys = [each.words[1] for each in nsqd.connection.commands if each.name == b"RDY"]
    assert rdys == [b"5"]
    assert RdyLimited(nsqd.address, 5) in events
    stop(reader, network)


def test_h12_a_heartbeat_in_the_middle(nsqd: ScriptedNsqd, network: Network) -> None:
    """A heartbeat before the answer to SUB is answered by NOP, and is no answer itself."""
    nsqd.answers[b"SUB"] = None
    dial = Dial(nsqd, network, ("t", "c"))
    nsqd.connection.heartbeat()
    assert nsqd.connection.names() == [b"IDENTIFY", b"SUB", b"NOP"]
    assert dial.connection is None
    nsqd.connection.send(b"OK")
    assert dial.connection is not None
    dial.close()


def test_nobody_is_there(nsqd: ScriptedNsqd, network: Network) -> None:
    """A refused connection is an error with the address."""
    nsqd.up = False
    dial = Dial(nsqd, network)
    assert "refused" in dial.reason
    assert nsqd.address in str(dial.error)
    dial.close()


@pytest.mark.parametrize("silent", [b"IDENTIFY", b"SUB"])
def test_a_handshake_can_be_cancelled(nsqd: ScriptedNsqd, network: Network, silent: bytes) -> None:
    """Cancelled, it closes the connection and leaves nothing."""
    nsqd.answers[silent] = None
    dial = Dial(nsqd, network, ("t", "c"))
    dial.deferred.cancel()
    assert isinstance(dial.error, CancelledError)
    network.advance(0)
    assert nsqd.connection.lost
    dial.close()


def test_nsqd_closes_in_the_handshake(nsqd: ScriptedNsqd, network: Network) -> None:
    """A connection that ends before it could be used is a failure, with the reason."""
    nsqd.answers[b"IDENTIFY"] = None
    dial = Dial(nsqd, network)
    nsqd.connection.lose()
    assert "closed" in dial.reason
    dial.close()


def test_what_identify_says(nsqd: ScriptedNsqd, network: Network) -> None:
    """IDENTIFY has the settings in nsqd's units and words."""
    dial = Dial(
        nsqd,
        network,
        client_id="me",
        hostname="me.example",
        heartbeat_interval=5,
        output_buffer_timeout=-1,
        topology_zone="z",
    )
    sent = json.loads(nsqd.connection.commands[0].body)
    assert sent["client_id"] == "me"
    assert sent["hostname"] == "me.example"
    assert sent["feature_negotiation"] is True
    assert sent["heartbeat_interval"] == 5000
    assert sent["output_buffer_timeout"] == -1
    assert sent["topology_zone"] == "z"
    assert (sent["tls_v1"], sent["snappy"], sent["deflate"]) == (False, False, False)
    dial.close()
