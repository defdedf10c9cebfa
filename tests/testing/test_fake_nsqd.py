"""The fakes that users test with: what an nsqd does, and what a test makes it do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError, TimeoutError
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.web.client import Agent
from twisted.web.resource import Resource
from twisted.web.server import Site

from nsqtx.client import Message, Reader, ReaderConfig
from nsqtx.client.errors import ConnectError, ServerError
from nsqtx.client.handshake import connect
from nsqtx.cluster.http import read_body
from nsqtx.testing import FakeLookupd, FakeNsqd, MemoryReactor, Published, Requeued


def reader_of(nsqd: FakeNsqd, handle: Callable[[Message], Any], **settings: Any) -> Reader:
    reader = Reader(
        "t",
        "c",
        handle,
        reactor=nsqd.reactor,
        nsqd_tcp_addresses=[nsqd.address],
        config=ReaderConfig(**settings),
    )
    reader.startService()
    return reader


def test_a_handler_is_tested_in_a_few_lines() -> None:
    """What a handler does with messages is seen at their channel."""
    nsqd = FakeNsqd(MemoryReactor())

    def handle(message: Message) -> None:
        if message.body == b"later":
            message.requeue(5.0)

    reader = reader_of(nsqd, handle, max_in_flight=10)
    nsqd.put("t", b"one", b"later")
    nsqd.reactor.advance(1)
    channel = nsqd.channel("t", "c")
    assert channel.finished == [b"one"]
    assert channel.requeued == [Requeued(b"later", 5.0)]
    assert (channel.depth, channel.deferred, channel.in_flight) == (0, 1, 0)
    nsqd.reactor.wait_for(reader.stopService())
    nsqd.stop()
    nsqd.reactor.settle()
    assert not nsqd.reactor.getDelayedCalls()


def test_messages_wait_for_a_channel() -> None:
    """The first channel gets what was there before, every later one what comes then."""
    nsqd = FakeNsqd(MemoryReactor())
    nsqd.put("t", b"one")
    assert nsqd.channel("t", "first").depth == 1
    nsqd.channel("t", "second")
    nsqd.put("t", b"two")
    assert nsqd.channel("t", "first").depth == 2
    assert nsqd.channel("t", "second").depth == 1


def test_an_unanswered_message_comes_again() -> None:
    """After its timeout, with one attempt more; a touch puts that off."""
    nsqd = FakeNsqd(MemoryReactor(), msg_timeout=10.0)
    got: list[Message] = []

    def handle(message: Message) -> None:
        message.defer_response()
        got.append(message)

    reader_of(nsqd, handle)
    nsqd.put("t", b"one")
    nsqd.reactor.advance(8)
    got[0].touch()
    nsqd.reactor.advance(8)
    assert [each.attempts for each in got] == [1]
    nsqd.reactor.advance(3)
    assert [each.attempts for each in got] == [1, 2]
    channel = nsqd.channel("t", "c")
    assert channel.timed_out == channel.touched == [b"one"]


@pytest.mark.parametrize("layer", ["", "tls", "deflate", "snappy"])
@pytest.mark.parametrize("split", [0, 1])
def test_layers_are_negotiated(layer: str, split: int) -> None:
    """What the client asks for and the fake offers is used, however the bytes are cut."""
    offered: dict[str, Any] = {layer: True} if layer else {}
    nsqd = FakeNsqd(MemoryReactor(), split=split, auth_secret="secret", **offered)
    wanted: dict[str, Any] = {"tls_v1" if layer == "tls" else layer: True} if layer else {}
    reader_of(nsqd, lambda _: None, auth_secret="secret", max_in_flight=3, **wanted)
    nsqd.put("t", b"one", b"two" * 1000)
    nsqd.reactor.advance(1)
    assert nsqd.channel("t", "c").finished == [b"one", b"two" * 1000]
    assert nsqd.connection.secured == (layer == "tls")
    assert nsqd.connection.authorized


def test_commands_can_be_refused_and_ignored() -> None:
    """By name, so many times; the client sees an error, or nothing."""
    reactor = MemoryReactor()
    nsqd = FakeNsqd(reactor)
    nsqd.refuse("SUB", "E_SUB_FAILED no")
    nsqd.ignore("IDENTIFY")
    config = ReaderConfig(handshake_timeout=3)
    with pytest.raises(ConnectError, match="no connection after 3 s"):
        reactor.wait_for(connect(reactor, nsqd.address, config))
    with pytest.raises(ConnectError) as refused:
        reactor.wait_for(connect(reactor, nsqd.address, config, ("t", "c")))
    assert isinstance(refused.value.__cause__, ServerError)
    assert refused.value.__cause__.code == "E_SUB_FAILED"
    assert reactor.wait_for(connect(reactor, nsqd.address, config, ("t", "c")))
    assert len(nsqd.connections) == 3
    assert len(nsqd.open) == 1


def test_publishes_are_recorded() -> None:
    """With their topics and delays, and they reach channels."""
    reactor = MemoryReactor()
    nsqd = FakeNsqd(reactor)
    channel = nsqd.channel("t", "c")
    client = reactor.wait_for(connect(reactor, nsqd.address, ReaderConfig()))
    commands = [
        b"PUB t\n\0\0\0\x03one",
        b"DPUB t 1500\n\0\0\0\x03two",
        b"MPUB t\n\0\0\0\x12\0\0\0\x02\0\0\0\x01a\0\0\0\x01b",
    ]
    for command in commands:
        assert reactor.wait_for(client.request(command)) == b"OK"
    assert nsqd.published == [
        Published("t", b"one"),
        Published("t", b"two", 1.5),
        Published("t", b"a"),
        Published("t", b"b"),
    ]
    assert nsqd.bodies("t") == [b"one", b"two", b"a", b"b"]
    assert (channel.depth, channel.deferred) == (3, 1)
    assert nsqd.connection.lines[-3:] == ["PUB t", "DPUB t 1500", "MPUB t"]


def test_nothing_is_answered_by_a_scripted_one() -> None:
    """The test gives each answer, and may send anything."""
    reactor = MemoryReactor()
    nsqd = FakeNsqd(reactor, scripted=True)
    connecting = connect(reactor, nsqd.address, ReaderConfig(), ("t", "c"))
    reactor.settle()
    nsqd.connection.respond(b"OK")
    reactor.settle()
    nsqd.connection.respond(b"OK")
    client = reactor.wait_for(connecting)
    got: list[bytes] = []
    client.on_messages = got.extend
    id = nsqd.connection.message(b"body", attempts=40000)
    nsqd.connection.heartbeat()
    reactor.settle()
    assert got == [b"\0" * 8 + (40000).to_bytes(2, "big") + id + b"body"]
    assert nsqd.connection.lines == ["IDENTIFY", "SUB t c", "NOP"]
    assert nsqd.connection.take() == []


def test_a_silent_client_is_dropped() -> None:
    """As nsqd does after two heartbeats without any command."""
    nsqd = FakeNsqd(MemoryReactor())

    class Deaf(Protocol):
        def connectionMade(self) -> None:
            assert self.transport is not None
            body = b'{"feature_negotiation":true,"heartbeat_interval":1000}'
            self.transport.write(b"  V2IDENTIFY\n" + len(body).to_bytes(4, "big") + body)

    nsqd.reactor.connectTCP("127.0.0.1", 4150, ClientFactory.forProtocol(Deaf))
    nsqd.reactor.advance(2.5)
    assert nsqd.open
    nsqd.reactor.advance(1)
    assert not nsqd.open


def test_who_does_not_listen_refuses_or_says_nothing() -> None:
    """A dial fails at once, or after its timeout, as the test wants."""
    reactor = MemoryReactor()
    config = ReaderConfig(dial_timeout=2)
    with pytest.raises(ConnectError) as refused:
        reactor.wait_for(connect(reactor, "127.0.0.1:1", config))
    assert isinstance(refused.value.__cause__, ConnectionRefusedError)
    assert reactor.seconds() == 0
    reactor.silent.add("127.0.0.1:1")
    with pytest.raises(ConnectError) as silent:
        reactor.wait_for(connect(reactor, "127.0.0.1:1", config))
    assert isinstance(silent.value.__cause__, TimeoutError)
    assert reactor.seconds() == 2
    assert not reactor.getDelayedCalls()


def test_waiting_ends() -> None:
    """A Deferred that never fires, and a call that comes again and again, fail the test."""
    reactor = MemoryReactor()
    reactor.endless = 1000
    with pytest.raises(AssertionError, match="no result within 60 s"):
        reactor.wait_for(Deferred())

    def again() -> None:
        reactor.callLater(0, again)

    again()
    with pytest.raises(AssertionError, match="again and again"):
        reactor.advance(1)


def test_calls_are_made_at_their_time() -> None:
    """However far a test advances, and whatever was put off meanwhile."""
    reactor = MemoryReactor()
    times: list[float] = []
    put_off = reactor.callLater(1, lambda: times.append(reactor.seconds()))
    reactor.callLater(0.5, lambda: put_off.reset(2))
    reactor.callLater(2, lambda: times.append(reactor.seconds()))
    reactor.advance(100)
    assert times == [2, 2.5]
    assert reactor.seconds() == 100


def test_other_servers_live_on_the_same_reactor() -> None:
    """Whatever listens can be reached, by name as well."""
    reactor = MemoryReactor()

    class Hello(Resource):
        isLeaf = True

        def render_GET(self, request: Any) -> bytes:
            return b"hello"

    reactor.listenTCP(80, Site(Hello(), reactor=reactor))
    response = reactor.wait_for(Agent(reactor).request(b"GET", b"http://web.example/"))
    assert reactor.wait_for(read_body(response, 100)) == b"hello"


def test_the_network_has_an_end() -> None:
    """Who writes more than the other side reads is told to pause, and to go on."""
    reactor = MemoryReactor()
    nsqd = FakeNsqd(reactor)
    client = reactor.wait_for(connect(reactor, nsqd.address, ReaderConfig()))
    nsqd.connection.transport.pauseProducing()
    client.send(b"NOP\n" * 20_000)
    reactor.settle()
    assert client.blocked
    nsqd.connection.transport.resumeProducing()
    reactor.settle()
    assert not client.blocked
    assert nsqd.connection.lines.count("NOP") == 20_000


def test_a_lookupd_says_what_it_is_told_to() -> None:
    """A Reader finds its nsqd by it, sooner than by polling if it can wait for news."""
    reactor = MemoryReactor()
    nsqd = FakeNsqd(reactor, "nsqd.example:4150")
    lookupd = FakeLookupd(reactor, "lookup.example:4161", waits=True)
    reader = Reader(
        "t", "c", lambda _: None, reactor=reactor, lookupd_http_addresses=[lookupd.address]
    )
    reader.startService()
    reactor.advance(3)
    assert lookupd.waiting == 1
    lookupd.set("t", nsqd.address)
    nsqd.put("t", b"one")
    reactor.advance(3)
    assert nsqd.channel("t", "c").finished == [b"one"]
    assert "/lookup?topic=t&index=0" in lookupd.asked[0]
    reactor.wait_for(reader.stopService())
    lookupd.stop()
    nsqd.stop()
    reactor.settle()
    assert not reactor.getDelayedCalls()
