"""A connection of an nsqd to nsqlookupd: commands and answers, the log, the end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from nsqtx.connections import LINGER
from nsqtx.nsqlookupd.entries import ANY
from nsqtx.nsqlookupd.node import Node
from nsqtx.nsqlookupd.options import NsqlookupdOptions
from nsqtx.nsqlookupd.protocol import MAGIC_TIMEOUT, LookupFactory, LookupProtocol
from nsqtx.nsqlookupd.session import SLICE
from tests.support.http import TcpTransport
from tests.support.logged import Logged

PEER = {"broadcast_address": "b", "tcp_port": 4150, "http_port": 4151, "version": "1.3.0"}
OK = b"\0\0\0\x02OK"


def sized(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


IDENTIFY = b"IDENTIFY\n" + sized(json.dumps(PEER).encode())


class Lookupd:
    """A nsqlookupd without sockets, and connections to it."""

    def __init__(self, **options: Any) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.node = Node(NsqlookupdOptions(broadcast_address="look", **options), self.clock)
        self.node.tcp_port, self.node.http_port = 4160, 4161
        self.factory = LookupFactory(self.node)

    def connect(self, data: bytes = b"  V1", address: Any = None) -> tuple[LookupProtocol, Any]:
        transport = TcpTransport(peerAddress=address or IPv4Address("TCP", "1.2.3.4", 5))
        protocol = self.factory.buildProtocol(None)
        protocol.makeConnection(transport)
        protocol.dataReceived(data)
        return protocol, transport


def lose(protocol: LookupProtocol) -> None:
    protocol.connectionLost(Failure(ConnectionDone()))


def test_identify_is_answered_with_who_we_are() -> None:
    """What nsqd needs to ask us over HTTP (section 3.5)."""
    lookupd = Lookupd()
    _, transport = lookupd.connect(b"  V1" + IDENTIFY)
    assert json.loads(transport.value()[4:]) == {
        "tcp_port": 4160,
        "http_port": 4161,
        "version": "1.3.0",
        "broadcast_address": "look",
        "hostname": lookupd.node.hostname,
    }


def test_commands_of_one_read_are_answered_together() -> None:
    """In their order."""
    lookupd = Lookupd()
    _, transport = lookupd.connect(b"  V1PING\n" + IDENTIFY + b"REGISTER t c\nPING\n")
    answer = transport.value()
    assert answer.startswith(OK + b"\0\0\0")
    assert answer.endswith(b"}" + OK + OK)
    assert lookupd.node.registry.channels("t") == ["c"]


def test_an_error_ends_the_connection() -> None:
    """What came with it is not done; the client has a moment to read the error."""
    lookupd = Lookupd()
    protocol, transport = lookupd.connect(b"  V1" + IDENTIFY + b"REGISTER a:b\nREGISTER t\n")
    assert transport.value().endswith(sized(b"E_BAD_TOPIC REGISTER topic name 'a:b' is not valid"))
    assert transport.half_closed
    protocol.dataReceived(b"REGISTER t\n")
    assert lookupd.node.registry.topics == {}
    lookupd.clock.advance(LINGER)
    assert transport.disconnecting
    lose(protocol)
    assert lookupd.node.registry.producers == {}
    assert lookupd.clock.getDelayedCalls() == []


@pytest.mark.parametrize("end", ["E_BAD_BODY IDENTIFY failed to read body", None])
def test_a_client_that_sends_no_more(end: str | None) -> None:
    """Is closed, after an error if it stopped half-way."""
    data = IDENTIFY[:-1] if end else IDENTIFY
    protocol, transport = Lookupd().connect(b"  V1" + data)
    protocol.readConnectionLost()
    assert transport.disconnecting
    assert not transport.half_closed
    assert end is None or transport.value() == sized(end.encode())


def test_registrations_without_end_are_refused() -> None:
    """With an error that says why, whichever limit it is."""
    for options in ({"max_registrations": 2}, {"max_names": 2}):
        lookupd = Lookupd(**options)
        _, transport = lookupd.connect(b"  V1" + IDENTIFY + b"REGISTER t c\nREGISTER u\n")
        assert b"E_INVALID REGISTER failed: more than 2 " in transport.value()
        assert transport.half_closed


def test_the_magic_must_come_in_time() -> None:
    """Whoever has said it may be silent for ever."""
    lookupd = Lookupd()
    silent = lookupd.connect(b"  V")[1]
    fine = lookupd.connect(b"  V1")[1]
    lookupd.clock.advance(MAGIC_TIMEOUT)
    assert silent.half_closed
    assert silent.value() == b""
    lookupd.clock.advance(10 * MAGIC_TIMEOUT)
    assert not fine.half_closed


def test_a_bug_costs_one_connection() -> None:
    """The others go on."""
    lookupd = Lookupd()
    protocol, transport = lookupd.connect(b"  V1" + IDENTIFY)
    other = lookupd.connect(b"  V1")[0]

    protocol.session.producer = object()  # type: ignore[assignment]
    with Logged() as log:
        protocol.dataReceived(b"REGISTER t\n")
    assert log.failures == [AttributeError]
    assert transport.aborted
    assert not other.session.closed


def test_the_log_of_a_connection() -> None:
    """As the original writes it (section 2.4)."""
    lookupd = Lookupd()
    with Logged() as log:
        protocol, _ = lookupd.connect(b"  V1" + IDENTIFY + b"REGISTER t c\n")
        lookupd.clock.advance(15)
        protocol.dataReceived(b"PING\nUNREGISTER t c\n")
        lose(protocol)
    who = "1.2.3.4:5"
    assert log.lines == [
        f"TCP: new client({who})",
        f"CLIENT({who}): desired protocol magic '  V1'",
        f"CLIENT({who}): IDENTIFY Address:b TCP:4150 HTTP:4151 Version:1.3.0",
        f"DB: client({who}) REGISTER category:client key: subkey:",
        f"DB: client({who}) REGISTER category:channel key:t subkey:c",
        f"DB: client({who}) REGISTER category:topic key:t subkey:",
        f"CLIENT({who}): pinged (last ping 15s)",
        f"DB: client({who}) UNREGISTER category:channel key:t subkey:c",
        f"PROTOCOL(V1): [{who}] exiting ioloop",
        f"DB: client({who}) UNREGISTER category:topic key:t subkey:",
        f"DB: client({who}) UNREGISTER category:client key: subkey:",
        f"E client({who}) - EOF",
    ]


def test_the_log_of_errors() -> None:
    """What a client sends is not repeated at any length."""
    lookupd = Lookupd()
    ipv6 = IPv6Address("TCP", "fd00::1", 5)
    with Logged() as log:
        for data in (b"GET ", b"  V1FOO\n", b"  V1" + b"x" * 1000 + b"\n"):
            lose(lookupd.connect(data, ipv6)[0])
    who = "[fd00::1]:5"
    lines = [line for line in log.lines if not line.startswith(("TCP", "CLIENT"))]
    long = "E_INVALID invalid command " + "x" * 174
    assert lines == [
        f"E client({who}) bad protocol magic 'GET '",
        f"E [{who}] - E_INVALID invalid command FOO",
        f"PROTOCOL(V1): [{who}] exiting ioloop",
        f"E client({who}) - E_INVALID invalid command FOO",
        f"E [{who}] - {long}",
        f"PROTOCOL(V1): [{who}] exiting ioloop",
        f"E client({who}) - {long}",
    ]


def test_who_had_much_is_removed_in_slices() -> None:
    """Hidden at once, while others are served between the slices; each has its line."""
    lookupd = Lookupd()
    protocol, _ = lookupd.connect(b"  V1" + IDENTIFY)
    count = 3 * SLICE
    protocol.dataReceived(b"".join(b"REGISTER t%d\n" % number for number in range(count)))
    registry = lookupd.node.registry
    with Logged() as log:
        lose(protocol)
        assert registry.live(registry.find(ANY)) == []
        assert len(log.lines) == 1 + SLICE
        lookupd.clock.advance(0)
    assert lookupd.clock.getDelayedCalls() == []
    assert len(log.lines) == count + 3
    assert log.lines[-1] == "E client(1.2.3.4:5) - EOF"
    assert not any(topic.producers for topic in registry.topics.values())


def test_who_does_not_read_is_not_read_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of commands whose answers nobody takes stops."""
    monkeypatch.setattr("nsqtx.link.REPLY_LIMIT", 10_000)
    lookupd = Lookupd()
    protocol, transport = lookupd.connect()
    protocol.link.pauseProducing()
    while transport.producerState == "producing":
        protocol.dataReceived(b"PING\n" * 800)
    assert len(transport.value()) < 20_000
    protocol.link.resumeProducing()
    assert transport.producerState == "producing"


def test_a_stop_closes_all_without_a_word() -> None:
    """It waits for them to be gone, but not for those that do not go."""
    lookupd = Lookupd()
    quick, slow = lookupd.connect(), lookupd.connect()
    stopped = lookupd.factory.stop(2.0)
    for _, transport in (quick, slow):
        assert transport.value() == b""
        assert transport.disconnecting
        assert not transport.half_closed
    lose(quick[0])
    assert not stopped.called
    lookupd.clock.advance(2.0)
    assert slow[1].aborted
    lose(slow[0])
    assert stopped.called
    assert lookupd.factory.stop(2.0).called


def test_the_log_of_a_stop() -> None:
    """To close connections is no error."""
    lookupd = Lookupd()
    protocol, _ = lookupd.connect(b"  V1" + IDENTIFY)
    with Logged() as log:
        lookupd.factory.stop(2.0)
        lose(protocol)
    assert log.lines[-1] == "client(1.2.3.4:5) - closed"
    assert not [line for line in log.lines if line.startswith("E ")]


def test_a_stop_does_not_wait_for_removals() -> None:
    """What nobody will see any more need not be tidied."""
    lookupd = Lookupd()
    protocol, _ = lookupd.connect(b"  V1" + IDENTIFY)
    protocol.dataReceived(b"".join(b"REGISTER t%d\n" % number for number in range(1000)))
    lose(protocol)
    lookupd.node.stop()
    assert lookupd.clock.getDelayedCalls() == []
