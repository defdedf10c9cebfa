"""The fake nsqd does what the real one does: the same script is played to both."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.python.failure import Failure

from nsqtx.broker.broker import Broker, Settings
from nsqtx.nsqd.node import Node
from nsqtx.nsqd.options import NsqdOptions
from nsqtx.nsqd.protocol import NsqdFactory
from nsqtx.testing import FakeNsqd, MemoryReactor
from nsqtx.wire.incoming import FrameParser
from tests.support.lists import ListStore


def fake(reactor: MemoryReactor) -> None:
    FakeNsqd(reactor)


def real(reactor: MemoryReactor) -> None:
    broker = Broker(ListStore(), reactor.seconds, Settings())
    node = Node(NsqdOptions(), broker, reactor, reactor.seconds())
    reactor.listenTCP(4150, NsqdFactory(node))


class Client(Protocol):
    """Sends lines, and keeps what comes in short: ``OK``, ``E_INVALID``, ``message x 1``."""

    def __init__(self) -> None:
        self.parser = FrameParser(1 << 20)
        self.seen: list[str] = []
        self.ids: list[bytes] = []

    def dataReceived(self, data: bytes) -> None:
        for kind, frame in self.parser.feed(data):
            if kind == 2:
                self.ids.append(frame[10:26])
                attempts = int.from_bytes(frame[8:10], "big")
                self.seen.append(f"message {frame[26:].decode()} {attempts}")
            else:
                self.seen.append(frame.split(b" ")[0].decode())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.seen.append("closed")


def sized(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


CONSUMER = b"SUB t c\nRDY 2\n"
PUBS = b"".join(b"PUB t\n" + sized(b"%d" % number) for number in range(3))

SCRIPTS: dict[str, list[bytes]] = {
    "RDY is a cap": [CONSUMER, PUBS, b"FIN {0}\n", b"FIN {1}\n", b"FIN {2}\n"],
    "twice finished": [CONSUMER, PUBS, b"FIN {0}\n", b"FIN {0}\n", b"TOUCH {0}\nREQ {0} 0\n"],
    "requeued": [b"SUB t c\nRDY 3\n", PUBS, b"REQ {0} 0\n", b"TOUCH {1}\nFIN {1}\n"],
    "RDY is lowered": [CONSUMER, PUBS, b"RDY 0\n", b"FIN {0}\n", b"RDY 1\n", b"FIN {1}\n"],
    "closing": [CONSUMER, PUBS, b"CLS\n", b"RDY 5\n", b"TOUCH {0}\nFIN {0}\n", b"REQ {1} 0\n"],
    "closing twice": [CONSUMER, b"CLS\n", b"CLS\n", b"NOP\n"],
    "closing nothing": [b"CLS\n"],
    "subscribed twice": [CONSUMER, b"SUB t d\n"],
    "a bad topic": [b"SUB t$ c\n"],
    "a bad channel": [b"SUB t c$\n"],
    "RDY too high": [CONSUMER, b"RDY 2501\n"],
    "RDY of nobody": [b"RDY 1\n"],
    "published in a row": [
        b"MPUB t\n" + sized(b"\0\0\0\x02" + sized(b"a") * 2),
        CONSUMER,
    ],
    "behind a bad one": [PUBS + b"PUB t$\n" + sized(b"x") + PUBS],
    "an empty one": [b"PUB t\n" + sized(b"")],
    "none in a row": [b"MPUB t\n" + sized(b"\0\0\0\0")],
    "a bad delay": [b"DPUB t -1\n" + sized(b"x")],
    "a delay": [b"DPUB t 0\n" + sized(b"x"), CONSUMER],
    "published while subscribed": [CONSUMER, PUBS],
    "no command": [b"HELLO\n"],
    "nothing": [b"NOP\nNOP\n"],
}


def play(start: Callable[[MemoryReactor], None], script: list[bytes]) -> list[list[str]]:
    """What was seen after each step."""
    reactor = MemoryReactor()
    start(reactor)
    client = Client()
    factory = ClientFactory()
    factory.protocol = lambda: client
    reactor.connectTCP("127.0.0.1", 4150, factory)
    reactor.settle()
    assert client.transport is not None
    client.transport.write(b"  V2")
    steps = []
    for step in script:
        for number, id in enumerate(client.ids):
            step = step.replace(b"{%d}" % number, id)
        client.transport.write(step)
        reactor.advance(0.01)
        # An nsqd that closes reads on for a second.
        reactor.advance(1.5 if any(each[:2] == "E_" for each in client.seen) else 0)
        # Nobody promises whether a message comes before an answer.
        steps.append(sorted(client.seen, key=lambda each: not each.startswith("message")))
        client.seen.clear()
    return steps


@pytest.mark.parametrize("name", SCRIPTS)
def test_both_do_the_same(name: str) -> None:
    """Answers, messages, errors by their codes, and whether the connection is closed."""
    expected = play(real, SCRIPTS[name])
    assert play(fake, SCRIPTS[name]) == expected
    assert any(expected) == (name != "nothing")
