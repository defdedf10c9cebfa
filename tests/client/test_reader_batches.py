"""Batches of messages (client section 11)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from nsqtx.client import Batches, ConfigError, DrainReport, Message, Requeue
from nsqtx.client.events import HandlerFailed
from tests.client.conftest import Failures
from tests.support.reading import Reading


class Store:
    """Keeps the bodies of each batch; ``results`` are returned or raised, in order, then None."""

    def __init__(self, *results: Any) -> None:
        self.batches: list[list[bytes]] = []
        self._results = list(results)

    def __call__(self, messages: list[Message]) -> Any:
        self.batches.append([each.body for each in messages])
        result = self._results.pop(0) if self._results else None
        if isinstance(result, Exception):
            raise result
        return result


def reading_of(store: Any, size: int = 3, linger: float = 1.0, **settings: Any) -> Reading:
    settings = {"max_in_flight": 20, **settings}
    return Reading(Batches(store, size, linger), **settings)


def test_a_full_batch() -> None:
    """Is handed over at once, and finished."""
    store = Store()
    with reading_of(store) as reading:
        reading.put(b"a", b"b", b"c", b"d")
        assert store.batches == [[b"a", b"b", b"c"]]
        assert reading.sent() == ["RDY 20", "FIN 1", "FIN 2", "FIN 3"]


def test_a_batch_that_waited() -> None:
    """Is handed over after linger, counted from its first message."""
    store = Store()
    with reading_of(store) as reading:
        reading.put(b"a")
        reading.advance(0.7)
        reading.put(b"b")
        reading.advance(0.2)
        assert store.batches == []
        reading.advance(0.2)
        assert store.batches == [[b"a", b"b"]]


def test_nsqd_gives_no_more() -> None:
    """A batch that cannot become full is handed over at once."""
    store = Store()
    with reading_of(store, size=100, max_in_flight=4) as reading:
        reading.put(b"a", b"b", b"c", b"d", b"e")
        assert store.batches[0] == [b"a", b"b", b"c", b"d"]


def test_a_batch_that_takes_its_time() -> None:
    """Messages are answered when it is done; the next batch does not wait for that."""
    first: Deferred[None] = Deferred()
    store = Store(first)
    with reading_of(store) as reading:
        reading.put(*[b"x"] * 6)
        assert len(store.batches) == 2
        assert reading.sent() == ["RDY 20", "FIN 4", "FIN 5", "FIN 6"]
        first.callback(None)
        assert reading.sent() == ["FIN 1", "FIN 2", "FIN 3"]


@pytest.mark.parametrize("late", [False, True])
def test_a_batch_that_fails(late: bool, failures: Failures) -> None:
    """All of it that is not answered is requeued, with one block; logged once."""
    waiting: Deferred[None] = Deferred()

    def handle(messages: list[Message]) -> Any:
        messages[1].finish()
        if late:
            return waiting
        raise ValueError("no")

    with reading_of(handle) as reading:
        reading.put(b"a", b"b", b"c")
        if late:
            waiting.errback(ValueError("no"))
        lines = reading.sent()
        assert sorted(line for line in lines if "RDY" not in line) == [
            "FIN 2",
            "REQ 1 90000",
            "REQ 3 90000",
        ]
        assert lines.count("RDY 0") == 1
        assert reading.reader.stats().backoff_level == 1
        assert failures.take() == ["no"]
        assert len(reading.told(HandlerFailed)) == 3
        assert reading.reader.stats().counts.failed == 3


def test_a_batch_that_nobody_has_handled(failures: Failures) -> None:
    """A generator has done nothing, and never will: its batch has failed."""

    def handle(messages: list[Message]) -> Iterator[Message]:
        yield from messages

    with reading_of(handle, size=1) as reading:
        reading.put(b"a")
        assert reading.sent() == ["RDY 20", "RDY 0", "REQ 1 90000"]
        assert failures.take() == ["the handler is a generator: inlineCallbacks?"]


def test_a_future_of_asyncio() -> None:
    """Is waited for, as with a handler of single messages."""
    loop = asyncio.new_event_loop()
    future: asyncio.Future[None] = loop.create_future()
    with reading_of(Store(future), size=1) as reading:
        reading.put(b"a")
        assert reading.sent() == ["RDY 20"]
        future.set_result(None)
        loop.call_soon(loop.stop)
        loop.run_forever()
        assert reading.sent() == ["FIN 1"]
    loop.close()


def test_a_batch_to_be_delivered_again() -> None:
    """By `Requeue`, which is no failure."""
    with reading_of(Store(Requeue(5.0, backoff=False))) as reading:
        reading.put(b"a", b"b", b"c")
        assert reading.sent() == ["RDY 20", "REQ 1 5000", "REQ 2 5000", "REQ 3 5000"]
        assert reading.reader.stats().counts.failed == 0


def test_answers_that_are_deferred() -> None:
    """Are given by hand."""
    kept: list[Message] = []

    def handle(messages: list[Message]) -> None:
        messages[1].defer_response()
        kept.append(messages[1])

    with reading_of(handle) as reading:
        reading.put(b"a", b"b", b"c")
        assert reading.sent() == ["RDY 20", "FIN 1", "FIN 3"]
        kept.pop().finish()
        assert reading.sent() == ["FIN 2"]


def test_stopped() -> None:
    """What is not handed over goes back, what is may end."""
    first: Deferred[None] = Deferred()
    with reading_of(Store(first)) as reading:
        reading.put(*[b"x"] * 4)
        stopping = reading.reader.stopService()
        assert sorted(reading.sent()[1:]) == ["CLS", "REQ 4 0"]
        reading.advance(3)
        first.callback(None)
        assert reading.reactor.wait_for(stopping) == DrainReport(3, 1, 0)


def test_stopped_and_time_is_up() -> None:
    """What was handed over is cancelled, and goes back."""
    with reading_of(Store(Deferred()), drain_timeout=3) as reading:
        reading.put(*[b"x"] * 3)
        stopping = reading.reader.stopService()
        assert reading.reactor.wait_for(stopping) == DrainReport(0, 3, 3)
        assert reading.sent()[-3:] == ["REQ 1 0", "REQ 2 0", "REQ 3 0"]


def test_a_connection_is_lost() -> None:
    """What came on it and was not handed over is none of the next batch: it comes again."""
    store = Store()
    with reading_of(store, linger=2, nsqd={"msg_timeout": 5}) as reading:
        reading.put(b"a")
        reading.connection.drop()
        reading.advance(4)
        assert store.batches == []
        reading.advance(4)
        assert store.batches == [[b"a"]]
        assert reading.nsqds[0].channel("t", "c").finished == [b"a"]


def test_too_many_attempts() -> None:
    """A message that is given up is in no batch."""
    store = Store()
    with reading_of(store, max_attempts=1) as reading:
        reading.connection.message(b"old", attempts=2)
        reading.put(b"a", b"b", b"c")
        assert store.batches == [[b"a", b"b", b"c"]]


def test_what_cannot_be() -> None:
    """No size, a negative time, one of them for two Readers."""
    for size, linger in ((0, 1.0), (1, -1.0)):
        with pytest.raises(ConfigError):
            Batches(Store(), size, linger)
    batches = Batches(Store())
    Reading(batches)
    with pytest.raises(ConfigError, match="one Reader"):
        Reading(batches)
