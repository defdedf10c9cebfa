"""The end of a Reader (client sections 8.3 and 14.6)."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.application.service import MultiService
from twisted.internet.defer import CancelledError, Deferred

from nsqtx.client import ConfigError, DrainReport, Message, Reader
from nsqtx.client.events import BackoffChanged, ConnectFailed, Disconnected, Event
from nsqtx.testing import Command, FakeConnection, FakeNsqd, MemoryReactor
from tests.support.reading import Reading


class Handlers:
    """Handlers that wait until the test lets them go."""

    def __init__(self) -> None:
        self.waiting: list[Deferred[None]] = []
        self.cancelled = 0

    async def __call__(self, message: Message) -> None:
        waiting: Deferred[None] = Deferred()
        self.waiting.append(waiting)
        try:
            await waiting
        except CancelledError:
            self.cancelled += 1
            raise

    def end(self) -> None:
        """Let the oldest go."""
        self.waiting.pop(0).callback(None)


def test_stop_1_in_order() -> None:
    """S1: CLS, what waits goes back, what runs is finished, then the connection is closed."""
    handlers = Handlers()
    with Reading(handlers, max_in_flight=7, concurrency=3) as reading:
        reading.put(*[b"x"] * 7)
        reading.sent()
        stopping = reading.reader.stopService()
        assert reading.sent() == ["CLS", "REQ 4 0", "REQ 5 0", "REQ 6 0", "REQ 7 0"]
        reading.advance(10)
        for _ in range(2):
            handlers.end()
        assert reading.sent() == ["FIN 1", "FIN 2"]
        assert not stopping.called
        assert reading.nsqds[0].open
        handlers.end()
        assert reading.sent() == ["FIN 3"]
        assert not reading.nsqds[0].open
        assert reading.reactor.wait_for(stopping) == DrainReport(3, 4, 0)
        assert reading.reactor.seconds() == 10


def test_stop_1_what_comes_late_goes_back() -> None:
    """S1: a message that was under way when CLS was sent."""
    with Reading(max_in_flight=2) as reading:
        reading.put(b"a")
        reading.reader.stopService()
        reading.connection.message(b"late")
        assert reading.sent() == ["RDY 2", "CLS", "REQ 2 0"]
        assert [each.body for each in reading.messages] == [b"a"]
        reading.finish()


def test_stop_2_time_is_up() -> None:
    """S2: handlers are cancelled, their messages go back, and the report says how many."""
    handlers = Handlers()
    with Reading(handlers, max_in_flight=3, drain_timeout=5) as reading:
        reading.put(*[b"x"] * 3)
        stopping = reading.reader.stopService()
        reading.advance(1)
        handlers.end()
        assert reading.reactor.wait_for(stopping) == DrainReport(1, 2, 2)
        assert reading.reactor.seconds() == 5
        assert handlers.cancelled == 2
        assert reading.sent()[-3:] == ["FIN 1", "REQ 2 0", "REQ 3 0"]


def test_stop_2_a_handler_that_cannot_be_cancelled() -> None:
    """S2: its message goes back all the same, and what it says afterwards means nothing."""
    waiting: Deferred[None] = Deferred(lambda _: None)

    async def handle(_: Message) -> None:
        while True:
            try:
                await waiting
                return
            except CancelledError:
                await later
                return

    later: Deferred[None] = Deferred()
    with Reading(handle, drain_timeout=5) as reading:
        reading.put(b"x")
        assert reading.reactor.wait_for(reading.reader.stopService()) == DrainReport(0, 1, 1)
        later.callback(None)
        assert reading.sent()[-1] == "REQ 1 0"


def test_stop_2_a_handler_that_finishes_when_cancelled() -> None:
    """S2: then nothing was abandoned."""

    async def handle(message: Message) -> None:
        try:
            await Deferred()
        except CancelledError:
            message.finish()

    with Reading(handle, drain_timeout=5) as reading:
        reading.put(b"x")
        assert reading.reactor.wait_for(reading.reader.stopService()) == DrainReport(1, 0, 0)


def test_stop_2_what_was_to_be_answered_by_hand() -> None:
    """S2: the Reader waits for it as for a handler, and gives it back in the end."""
    with Reading(drain_timeout=5) as reading:
        reading.put(b"x")
        assert reading.reactor.wait_for(reading.reader.stopService()) == DrainReport(0, 1, 1)
        assert reading.messages.pop().answered


def test_what_comes_with_the_last_answer_goes_back() -> None:
    """A message that nsqd had sent when it read CLS, in the same segment as its answer."""
    with Reading(max_in_flight=2) as reading:

        def late(connection: FakeConnection, command: Command) -> None:
            if command.name == "CLS":
                connection.message(b"late")

        reading.nsqds[0].on_command = late
        reading.reader.stopService()
        assert reading.sent() == ["RDY 2", "CLS", "REQ 1 0"]


def test_no_rdy_in_the_end() -> None:
    """What one nsqd no longer has is given to none of the others, which are told CLS next."""
    with Reading(nsqds=3, max_in_flight=6) as reading:
        reading.log.clear()
        reading.reader.stopService()
        reading.reactor.settle()
        assert reading.log == ["0: CLS", "1: CLS", "2: CLS"]


def test_nobody_waits_for_what_is_lost() -> None:
    """Messages to be answered by hand whose connection is gone do not keep the Reader."""
    with Reading() as reading:
        reading.put(b"x")
        reading.nsqds[0].stop()
        reading.reactor.settle()
        reading.reactor.wait_for(reading.reader.stopService())
        assert reading.reactor.seconds() == 0


@pytest.mark.parametrize("trouble", ["no answer to CLS", "stalled", "lost", "lost meanwhile"])
def test_stop_3_it_ends_anyway(trouble: str) -> None:
    """S3: whatever nsqd does in the drain, it is over soon after the limit."""
    handlers = Handlers()
    with Reading(handlers, max_in_flight=2, drain_timeout=5) as reading:
        reading.put(b"x", b"y")
        nsqd = reading.nsqds[0]
        if trouble == "no answer to CLS":
            nsqd.ignore("CLS")
            nsqd.connection.rdy = 0
        elif trouble == "stalled":
            nsqd.stalled = True
        elif trouble == "lost":
            nsqd.connection.drop()
        stopping = reading.reader.stopService()
        reading.advance(1)
        if trouble == "lost meanwhile":
            nsqd.connection.drop()
        handlers.end()
        reading.reactor.wait_for(stopping)
        assert reading.reactor.seconds() <= 5 + 2 + 1


def test_stop_4_twice() -> None:
    """S4: the second call joins the first; both get the report."""
    handlers = Handlers()
    with Reading(handlers) as reading:
        reading.put(b"x")
        stopping = [reading.reader.stopService(), reading.reader.stopService()]
        handlers.end()
        reports = [reading.reactor.wait_for(each) for each in stopping]
        assert reports == [DrainReport(1, 0, 0)] * 2
        assert reading.reactor.wait_for(reading.reader.stopService()) == reports[0]


def test_stop_4_sooner() -> None:
    """S4: a second call with less time makes the drain shorter, never longer."""
    handlers = Handlers()
    with Reading(handlers, drain_timeout=30) as reading:
        reading.put(b"x")
        first = reading.reader.stopService()
        reading.advance(3)
        reading.reader.drain(100)
        reading.reader.drain(2)
        assert reading.reactor.wait_for(first) == DrainReport(0, 1, 1)
        assert reading.reactor.seconds() == 5


def test_stop_4_at_once() -> None:
    """S4: with no time at all, handlers are cancelled at once."""
    handlers = Handlers()
    with Reading(handlers) as reading:
        reading.put(b"x")
        assert reading.reactor.wait_for(reading.reader.drain(0)) == DrainReport(0, 1, 1)
        assert reading.reactor.seconds() == 0


@pytest.mark.parametrize("started", [False, True])
def test_stop_4_before_anything(started: bool) -> None:
    """S4: a Reader that is not started, or not connected, stops at once, and for good."""
    reading = Reading()
    if started:
        reading.reactor.silent.add(reading.nsqds[0].address)
        reading.reader.startService()
        reading.reactor.settle()
    stopping = reading.reader.stopService()
    assert stopping.called
    with pytest.raises(ConfigError, match="make another"):
        reading.reader.startService()
    reading.stop()


def test_stop_4_in_a_block() -> None:
    """S4: no timer of backoff stays."""
    with Reading() as reading:
        reading.put(b"x")
        reading.fail()
        assert reading.reader.stats().backoff_state == "block"


@pytest.mark.parametrize("kind", [ConnectFailed, Disconnected, BackoffChanged])
def test_stopped_by_an_event(kind: type[Event]) -> None:
    """Whoever is told of something may stop the Reader, whatever it is doing."""
    reports: list[DrainReport] = []

    def on_event(event: Event) -> None:
        if isinstance(event, kind):
            reading.reader.stopService().addCallback(reports.append)

    with Reading(reader={"on_event": on_event}) as reading:
        reading.put(b"x")
        if kind is BackoffChanged:
            reading.fail()
        else:
            reading.nsqds[0].stop()
        reading.advance(60)
        assert len(reports) == 1
        assert not reading.nsqds[0].open


def test_stopped_by_its_handler() -> None:
    """A handler may stop its Reader, even when it is the last that runs."""
    reports: list[DrainReport] = []

    def handle(_: Message) -> None:
        reading.reader.stopService().addCallback(reports.append)

    with Reading(handle, max_in_flight=5) as reading:
        reading.put(*[b"x"] * 3)
        assert reports == [DrainReport(1, 2, 0)]


def test_as_services_of_an_application() -> None:
    """Several Readers have one parent; it starts them, and waits for all of them to stop."""
    reactor = MemoryReactor()
    nsqd = FakeNsqd(reactor)
    parent = MultiService()
    done: list[Any] = []
    for channel in ("c", "d"):
        reader = Reader(
            "t",
            channel,
            lambda m: done.append(m),
            reactor=reactor,
            nsqd_tcp_addresses=[nsqd.address],
        )
        reader.setServiceParent(parent)
    parent.startService()
    reactor.settle()
    nsqd.put("t", b"x")
    reactor.settle()
    assert len(done) == 2
    reactor.wait_for(parent.stopService())
    assert not nsqd.open
    nsqd.stop()
    reactor.settle()
    assert not reactor.getDelayedCalls()
