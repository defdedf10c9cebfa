"""What a Reader says of trouble: within the documented time, once, and nothing unhandled."""

from __future__ import annotations

from typing import Any

import pytest

from nsqtx.client.errors import ConfigError
from nsqtx.client.events import Connected, ConnectFailed, Disconnected, Event
from nsqtx.client.reader import Reader
from nsqtx.testing import MemoryReactor
from tests.client.conftest import Failures
from tests.support.logged import Logged
from tests.support.reading import Reading


def first_failure(reading: Reading) -> ConnectFailed:
    """The first, and nothing has connected before."""
    first = next(each for each in reading.events if not isinstance(each, Disconnected))
    assert isinstance(first, ConnectFailed)
    assert first.delay is not None
    return first


def test_a_wrong_address() -> None:
    """Nobody listens: told at once, and tried again."""
    with Reading(reader={"nsqd_tcp_addresses": ["10.0.0.1:4150"]}) as reading:
        assert "refused" in first_failure(reading).reason
        reading.advance(60)
        assert len(reading.told(ConnectFailed)) > 3


def test_an_address_that_says_nothing() -> None:
    """Told after dial_timeout."""
    reading = Reading(dial_timeout=2)
    reading.reactor.silent.add(reading.nsqds[0].address)
    with reading:
        reading.advance(1.9)
        assert not reading.events
        reading.advance(0.2)
        assert first_failure(reading).reason


def test_a_refused_tls() -> None:
    """The nsqd has none: told at once, no secret was sent."""
    with Reading(tls_v1=True, auth_secret="s", nsqd={"auth_secret": "s"}) as reading:
        assert "does not offer TLS" in first_failure(reading).reason
        assert "AUTH" not in reading.connection.lines


def test_a_tls_that_stalls() -> None:
    """Told after handshake_timeout."""
    given = {"tls_v1": True, "scripted": False}
    with Reading(tls_v1=True, handshake_timeout=3, nsqd=given) as reading:
        # The double of TLS ends by itself, so what stalls is the OK behind it.
        assert reading.told(Connected)
        reading.nsqds[0].stalled = True
        reading.connection.drop()
        reading.advance(5)
        assert "3 s of handshake" in reading.told(ConnectFailed)[0].reason
        reading.nsqds[0].stalled = False


def test_a_bad_secret() -> None:
    """What nsqd says of it is told, and the secret is not."""
    with Reading(auth_secret="s3cret", nsqd={"auth_secret": "other"}) as reading:
        reason = first_failure(reading).reason
        assert reason == "E_UNAUTHORIZED AUTH no authorizations found"
        assert "s3cret" not in repr(reading.events) + repr(reading.reader.config)


def test_no_secret() -> None:
    """Told before anything else is sent."""
    with Reading(nsqd={"auth_secret": "other"}) as reading:
        assert "no auth_secret" in first_failure(reading).reason


@pytest.mark.parametrize("silent", ["IDENTIFY", "SUB"])
def test_a_server_that_never_answers(silent: str) -> None:
    """Told after handshake_timeout, and tried again."""
    reading = Reading(handshake_timeout=4)
    reading.nsqds[0].ignore(silent)
    with reading:
        reading.advance(3.9)
        assert not reading.events
        reading.advance(0.2)
        assert "4 s of handshake" in first_failure(reading).reason
        reading.advance(10)
        assert reading.told(Connected)


def test_a_server_that_falls_silent() -> None:
    """A connection without a heartbeat is given up after read_timeout, and made anew."""
    with Reading(read_timeout=60) as reading:
        reading.nsqds[0].stalled = True
        reading.advance(59)
        assert not reading.told(Disconnected)
        reading.advance(2)
        assert reading.told(Disconnected)[0].reason == "nsqd has sent nothing for 60 s"
        reading.nsqds[0].stalled = False
        reading.advance(70)
        assert reading.nsqds[0].open


def test_a_network_that_takes_nothing() -> None:
    """A connection whose bytes are not taken is given up after write_timeout."""
    with Reading(max_in_flight=2500, write_timeout=5) as reading:
        reading.connection.transport.pauseProducing()
        source: Any = next(iter(reading.reader._sources.values()))
        source.connection.send(b"NOP\n" * 40_000)
        reading.advance(6)
        assert reading.told(Disconnected)[0].reason == "nsqd has taken nothing for 5 s"


@pytest.mark.parametrize(
    ("garbage", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "this is an HTTP server"),
        (b"\xff" * 20, "more than the"),
        (b"\0\0\0\x06\0\0\0\0OK" * 3, "an answer to nothing"),
        (b'\0\0\0\x09\0\0\0\0{"a":', "the answer to IDENTIFY cannot be read"),
    ],
)
def test_garbage(garbage: bytes, reason: str) -> None:
    """Told at once, and what it looks like."""
    with Reading(nsqd={"scripted": True}) as reading:
        reading.connection.send_raw(garbage)
        reading.advance(0.01)
        failed = [each.reason for each in reading.told(ConnectFailed)]
        gone = [each.reason for each in reading.told(Disconnected)]
        assert reason in (failed + gone)[0]


def test_a_channel_that_is_refused() -> None:
    """What nsqd says to SUB is the reason, and no RDY was sent."""
    reading = Reading()
    reading.nsqds[0].refuse("SUB", "E_SUB_FAILED too many consumers")
    with reading:
        assert first_failure(reading).reason == "E_SUB_FAILED too many consumers"
        assert "RDY" not in " ".join(reading.connection.lines)


def test_a_fatal_error_later() -> None:
    """The connection is gone for that reason, and comes back."""
    with Reading() as reading:
        reading.connection.error("E_INVALID something")
        reading.advance(3)
        assert reading.told(Disconnected)[0].reason == "E_INVALID something"
        assert reading.nsqds[0].open


def test_on_event_that_raises(failures: Failures) -> None:
    """It is logged, and ends nothing."""

    def on_event(_: Event) -> None:
        raise ValueError("on_event")

    with Reading(lambda _: None, reader={"on_event": on_event}) as reading:
        reading.put(b"x")
        assert reading.nsqds[0].channel("t", "c").finished == [b"x"]
    assert set(failures.take()) == {"on_event"}


def test_nowhere_to_connect_to() -> None:
    """A Reader that is given no address warns of it: more may be added later, but seldom is."""
    with Logged() as logged, Reading(reader={"nsqd_tcp_addresses": []}):
        pass
    assert logged.lines == ["W t: neither nsqd nor nsqlookupd are known"]


@pytest.mark.parametrize(
    ("topic", "channel", "settings"),
    [
        ("t t", "c", {}),
        ("t\n", "c", {}),
        ("t", "c" * 65, {}),
        ("t", "c", {"nsqd_tcp_addresses": ["host"]}),
        ("t", "c", {"nsqd_tcp_addresses": "127.0.0.1:4150"}),
        ("t", "c", {"lookupd_http_addresses": "127.0.0.1:4161"}),
        ("t", "c", {"lookupd_http_addresses": ["http://"]}),
    ],
)
def test_what_cannot_be_is_refused(topic: str, channel: str, settings: dict[str, Any]) -> None:
    """When the Reader is made."""
    with pytest.raises(ConfigError):
        Reader(topic, channel, lambda _: None, reactor=MemoryReactor(), **settings)
