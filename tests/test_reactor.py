"""The reactor that the commands run on (`nsqtx.reactor`)."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.application.reactors import getReactorTypes
from twisted.logger import LogLevel, capturedLogs

# By the system and not by what the module found: where there is epoll it must be available.
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has epoll")


class Reader:
    """One end of a pair of sockets, as the reactor sees it."""

    def __init__(self) -> None:
        self.socket, self.peer = socket.socketpair()
        self.socket.setblocking(False)
        self.read: list[bytes] = []
        self.lost: list[Any] = []
        self.answer: Any = None
        self.error: Exception | None = None
        self.removes: Reader | None = None
        self.reactor: Any = None

    def fileno(self) -> int:
        return self.socket.fileno()

    def logPrefix(self) -> str:
        return "reader"

    def doRead(self) -> Any:
        self.read.append(self.socket.recv(100))
        if self.removes is not None:
            self.reactor.removeReader(self.removes)
        if self.error is not None:
            raise self.error
        return self.answer

    def connectionLost(self, reason: Any) -> None:
        self.lost.append(reason.value)

    def close(self) -> None:
        self.socket.close()
        self.peer.close()


@pytest.fixture
def reactor() -> Iterator[Any]:
    """One of its own, which is not that of the process."""
    from nsqtx.reactor import ShortReactor

    made = ShortReactor()
    yield made
    made._poller.close()
    made.waker.connectionLost(None)


@pytest.fixture
def readers(reactor: Any) -> Iterator[list[Reader]]:
    """Two, with something to read for each."""
    made = [Reader(), Reader()]
    for reader in made:
        reader.reactor = reactor
        reactor.addReader(reader)
        reader.peer.send(b"x")
    yield made
    reactor.removeAll()
    for reader in made:
        reader.close()


def test_reads(reactor: Any, readers: list[Reader]) -> None:
    """Who has something to read is told so; nobody is when there is nothing."""
    reactor.doIteration(0)
    reactor.doIteration(0)
    assert [reader.read for reader in readers] == [[b"x"], [b"x"]]


def test_a_reader_that_fails(reactor: Any, readers: list[Reader]) -> None:
    """What it raises, or returns, is the end of that reader and of no other."""
    readers[0].error = ZeroDivisionError("the cat")
    readers[1].answer = ConnectionError("gone")
    with capturedLogs() as captured:
        reactor.doIteration(0)
    assert [event["log_level"] for event in captured] == [LogLevel.critical]
    assert [str(reader.lost[0]) for reader in readers] == ["the cat", "gone"]
    assert not set(readers) & set(reactor.getReaders())


def test_removed_by_the_one_before(reactor: Any, readers: list[Reader]) -> None:
    """A reader that another one removes in the same round is not asked to read any more."""
    readers[0].removes, readers[1].removes = readers[1], readers[0]
    reactor.doIteration(0)
    assert sorted(len(reader.read) for reader in readers) == [0, 1]


def test_hang_up(reactor: Any, readers: list[Reader]) -> None:
    """What is more than something to read goes Twisted's way."""
    readers[0].peer.close()
    reactor.doIteration(0)
    assert readers[0].lost or readers[0].read == [b"x"]


def test_twistd_offers_it() -> None:
    """``twistd --reactor=nsqtx`` is this one."""
    types: list[Any] = list(getReactorTypes())
    assert [each.moduleName for each in types if each.shortName == "nsqtx"] == ["nsqtx.reactor"]


def test_the_end_of_a_turn(reactor: Any, readers: list[Reader]) -> None:
    """What is put off is done once, after all reads of the turn, and what it puts off as well."""
    done: list[str] = []

    def first() -> None:
        done.append(f"first after {sum(len(reader.read) for reader in readers)} reads")
        reactor.at_turn_end(lambda: done.append("second"))

    class Putter(Reader):
        def doRead(self) -> Any:
            reactor.at_turn_end(first)
            return super().doRead()

    putter = Putter()
    reactor.addReader(putter)
    readers.append(putter)
    putter.peer.send(b"x")
    reactor.doIteration(0)
    reactor.doIteration(0)
    assert done == ["first after 3 reads", "second"]


def test_put_off_by_a_call(reactor: Any) -> None:
    """What a call puts off does not wait until there is something to read."""
    done: list[int] = []
    reactor.at_turn_end(lambda: done.append(1))
    reactor.doIteration(0)
    assert done == [1]


def test_put_off_work_that_fails(reactor: Any) -> None:
    """It is logged, and the rest is done."""
    done: list[int] = []
    reactor.at_turn_end(lambda: 1 // 0)
    reactor.at_turn_end(lambda: done.append(1))
    with capturedLogs() as captured:
        reactor.doIteration(0)
    assert [event["log_level"] for event in captured] == [LogLevel.critical]
    assert done == [1]
