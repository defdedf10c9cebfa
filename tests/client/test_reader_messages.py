"""Messages, handlers and answers (client section 14.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import deferLater

from nsqtx.client import AlreadyAnswered, Message, Requeue
from nsqtx.client.events import AnswerLost, Disconnected, HandlerFailed
from tests.client.conftest import Failures
from tests.support.reading import Reading


async def coroutine(outcome: Any) -> Any:
    return await outcome


def raises(_: Message) -> None:
    raise ValueError("no")


def generates(_: Message) -> Iterator[None]:
    yield


async def generates_later(_: Message) -> Any:
    yield


def error() -> Deferred[Any]:
    return fail(ValueError("no"))


def cancelled() -> Deferred[Any]:
    waiting: Deferred[Any] = Deferred()
    waiting.cancel()
    return waiting


@pytest.mark.parametrize(
    ("handle", "line", "logged"),
    [
        (lambda _: None, "FIN 1", []),
        (lambda _: False, "FIN 1", []),
        (raises, "REQ 1 90000", ["no"]),
        (lambda _: succeed(None), "FIN 1", []),
        (lambda _: error(), "REQ 1 90000", ["no"]),
        (lambda _: coroutine(succeed(1)), "FIN 1", []),
        (lambda _: coroutine(error()), "REQ 1 90000", ["no"]),
        (lambda _: coroutine(cancelled()), "REQ 1 90000", ["CancelledError"]),
        (lambda message: message.finish(), "FIN 1", []),
        (lambda message: message.requeue(1.5), "REQ 1 1500", []),
        (generates, "REQ 1 90000", ["the handler is a generator: inlineCallbacks?"]),
        (generates_later, "REQ 1 90000", ["the handler is a generator: inlineCallbacks?"]),
    ],
)
def test_m1_one_answer_for_each_end(
    handle: Callable[[Message], Any], line: str, logged: list[str], failures: Failures
) -> None:
    """M1: however a handler ends, there is one FIN or one REQ, and a failure is logged once."""
    with Reading(handle) as reading:
        reading.put(b"x")
        assert [each for each in reading.sent() if "RDY" not in each] == [line]
        assert failures.take() == logged
        assert len(reading.told(HandlerFailed)) == len(logged)
        assert reading.reader.stats().counts.failed == len(logged)


def test_m1_a_future_of_asyncio() -> None:
    """M1: what a handler returns on an asyncio reactor is waited for."""
    loop = asyncio.new_event_loop()
    future: asyncio.Future[None] = loop.create_future()
    with Reading(lambda _: future, max_in_flight=2) as reading:
        reading.put(b"x")
        assert reading.reader.stats().running == 1
        future.set_result(None)
        loop.call_soon(loop.stop)
        loop.run_forever()
        assert "FIN 1" in reading.sent()
    loop.close()


@pytest.mark.parametrize(
    ("raised", "lines"),
    [
        (Requeue(), ["RDY 0", "REQ 1 90000"]),
        (Requeue(2.5), ["RDY 0", "REQ 1 2500"]),
        (Requeue(0, backoff=False), ["REQ 1 0"]),
    ],
)
def test_m1_requeue_is_no_failure(raised: Requeue, lines: list[str]) -> None:
    """M1: a handler says by `Requeue` what is to become of its message; nothing is logged."""

    def handle(_: Message) -> None:
        raise raised

    with Reading(handle) as reading:
        reading.put(b"x")
        assert reading.sent()[: 1 + len(lines)] == ["RDY 1", *lines]


@pytest.mark.parametrize("fail", [False, True])
def test_m1_one_deferred_for_several_messages(fail: bool, failures: Failures) -> None:
    """M1: its result is that of each of them."""
    shared: Deferred[int] = Deferred()
    with Reading(lambda _: shared, max_in_flight=5, backoff=False) as reading:
        reading.put(b"a", b"b", b"c")
        if fail:
            shared.errback(ValueError("no"))
        else:
            shared.callback(7)
        lines = [line.split()[0] for line in reading.sent()]
        assert lines == ["RDY", *(["REQ"] * 3 if fail else ["FIN"] * 3)]
        assert failures.take() == (["no"] * 3 if fail else [])


def test_m1_a_failure_can_be_traced(failures: Failures) -> None:
    """M1: what is logged says where it was raised, also by a coroutine that has waited."""

    async def handle(_: Message) -> None:
        await deferLater(reading.reactor, 1)
        raise ValueError("deep inside")

    with Reading(handle) as reading:
        reading.put(b"x")
        reading.advance(1)
        assert failures.take() == ["deep inside"]
        assert "in handle" in failures.tracebacks[0]


def test_m2_one_answer() -> None:
    """M2: a second answer, and a touch after one, are refused, in the same turn as well."""
    with Reading() as reading:
        reading.put(b"x")
        (message,) = reading.messages
        message.touch()
        message.finish()
        for again in (message.finish, message.requeue, message.touch):
            with pytest.raises(AlreadyAnswered):
                again()
        assert reading.sent() == ["RDY 1", "TOUCH 1", "FIN 1"]


def test_m4_attempts_are_sixteen_bits() -> None:
    """M4: unsigned; 0 is what follows 65535, and is handled when there is no limit."""
    with Reading(max_attempts=0, max_in_flight=10) as reading:
        for attempts in (40000, 0):
            reading.connection.message(b"x", attempts=attempts)
        reading.reactor.settle()
        assert [each.attempts for each in reading.messages] == [40000, 0]
        reading.fail(2)
        assert reading.sent()[-2:] == ["REQ 1 900000", "REQ 2 900000"]


def test_m5_the_automatic_delay() -> None:
    """M5: 90 s for each attempt, 15 minutes at most."""
    with Reading(max_attempts=0, max_in_flight=10, backoff=False) as reading:
        for attempts in (1, 2, 9, 10, 50):
            reading.connection.message(b"x", attempts=attempts)
        reading.reactor.settle()
        reading.fail(5)
        delays = [int(line.split()[2]) // 1000 for line in reading.sent() if "REQ" in line]
        assert delays == [90, 180, 810, 900, 900]


def test_m6_too_late() -> None:
    """M6: nsqd says so; the connection stays, an event names the message, no publish is touched."""
    with Reading() as reading:
        reading.put(b"x")
        reading.nsqds[0].ignore("PUB")
        connection = reading.messages[0].source.connection
        publishing = connection.request(b"PUB other\n\0\0\0\x01x")
        reading.nsqds[0].refuse("FIN", "E_FIN_FAILED FIN 0000000000000001 failed ID not in flight")
        reading.finish()
        (lost,) = reading.told(AnswerLost)
        assert "0000000000000001" in lost.reason
        assert not publishing.called
        reading.connection.respond()
        assert reading.reactor.wait_for(publishing) == b"OK"
        assert len(reading.nsqds[0].open) == 1


@pytest.mark.parametrize("draining", [False, True])
def test_m7_heartbeats_are_answered(draining: bool) -> None:
    """M7: while all handlers are busy, and while the Reader drains."""
    waiting: Deferred[None] = Deferred()
    with Reading(lambda _: waiting, max_in_flight=2, drain_timeout=300) as reading:
        reading.put(b"a")
        if draining:
            reading.reader.stopService()
        reading.advance(130)
        assert reading.connection.lines.count("NOP") == 4
        assert reading.nsqds[0].open
        waiting.callback(None)


def test_m8_so_many_at_once() -> None:
    """M8: two handlers at once, the others wait, and go back when the Reader stops."""
    waiting: list[Deferred[None]] = []
    most = []

    def handle(_: Message) -> Deferred[None]:
        waiting.append(Deferred())
        most.append(reading.reader.stats().running)
        return waiting[-1]

    with Reading(handle, concurrency=2, max_in_flight=10) as reading:
        reading.put(*[b"x"] * 10)
        stats = reading.reader.stats()
        assert (stats.running, stats.queued) == (2, 8)
        for _ in range(4):
            waiting.pop(0).callback(None)
        assert max(most) < 2
        stopping = reading.reader.stopService()
        requeued = [line for line in reading.sent() if line.startswith("REQ")]
        assert requeued == [f"REQ {number} 0" for number in (7, 8, 9, 10)]
        while waiting:
            waiting.pop(0).callback(None)
        report = reading.reactor.wait_for(stopping)
        assert (report.finished, report.requeued, report.abandoned) == (2, 4, 0)


@pytest.mark.parametrize("fail", [False, True])
def test_m8_many_that_end_at_once(fail: bool) -> None:
    """M8: thousands that waited, and need no time when it is their turn, are no deep recursion."""
    first: Deferred[None] = Deferred()

    async def handle(message: Message) -> None:
        if message.body == b"first":
            await first
        elif fail:
            raise Requeue(60.0, backoff=False)

    with Reading(handle, concurrency=1, max_in_flight=700) as reading:
        reading.put(b"first", *[b"x"] * 600)
        first.callback(None)
        reading.reactor.settle()
        channel = reading.nsqds[0].channel("t", "c")
        assert len(channel.finished) == (1 if fail else 601)
        assert len(channel.requeued) == (600 if fail else 0)


def test_m10_one_id_twice() -> None:
    """M10: pushed again while its handler runs: two messages, and each answers for itself."""
    with Reading(max_in_flight=1, msg_timeout=1) as reading:
        reading.put(b"x")
        reading.advance(1.5)
        first, second = reading.messages
        assert first.id == second.id
        assert (first.attempts, second.attempts) == (1, 2)
        first.finish()
        assert first.answered
        assert not second.answered
        reading.reactor.settle()
        assert reading.told(AnswerLost) == []
        second.finish()
        reading.reactor.settle()
        assert len(reading.told(AnswerLost)) == 1
        assert reading.reader.stats().connections[0].in_flight == 0


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"\0\0\0\x04\0\0\0\x07", "a frame of the unknown type 7"),
        (b"\0\0\0\x03abc", "a frame of 3 bytes"),
        (b"\x7f\0\0\0", "more than the 1000 allowed"),
        (b"\0\0\0\x08\0\0\0\x02abcd", "a message of 4 bytes"),
    ],
)
def test_m11_no_frames(frame: bytes, reason: str) -> None:
    """M11: what is no frame, or too large a one, ends the connection, with a reason."""
    with Reading(max_msg_size=1000) as reading:
        reading.connection.send_raw(frame)
        reading.reactor.settle()
        (gone,) = reading.told(Disconnected)
        assert reason in gone.reason
        reading.advance(5)
        assert reading.nsqds[0].open


def test_far_more_than_was_asked_for() -> None:
    """An nsqd that does not heed RDY at all cannot fill our memory."""
    with Reading(max_in_flight=1, nsqd={"max_rdy_count": 1}) as reading:
        for _ in range(1100):
            reading.connection.message(b"x")
        reading.reactor.settle()
        (gone,) = reading.told(Disconnected)
        assert "far beyond RDY" in gone.reason
        reading.messages.clear()


def test_a_handler_has_so_much_time(failures: Failures) -> None:
    """Then it is cancelled, which is a failure."""
    waiting: Deferred[None] = Deferred()
    with Reading(lambda _: waiting, handler_timeout=3) as reading:
        reading.put(b"x")
        reading.advance(2.9)
        assert not reading.told(HandlerFailed)
        reading.advance(0.2)
        assert failures.take() == ["the handler had 3 s"]
        assert len(reading.told(HandlerFailed)) == 1
        assert "REQ 1 90000" in reading.sent()


def test_answers_after_the_connection_is_gone() -> None:
    """They are lost, which an event tells; statistics count them as that and nothing else."""
    with Reading(max_in_flight=2) as reading:
        reading.put(b"a", b"b")
        reading.connection.drop()
        reading.reactor.settle()
        reading.finish()
        reading.fail()
        assert [each.reason for each in reading.told(AnswerLost)] == [
            "its connection is gone",
            "its connection is gone",
        ]
        counts = reading.reader.stats().counts
        assert (counts.received, counts.finished, counts.requeued, counts.lost) == (2, 0, 0, 2)
        reading.nsqds[0].channel("t", "c").stop()


def test_what_waits_for_a_handler_is_lost_with_its_connection() -> None:
    """It comes again, so no handler is begun for it."""
    waiting: list[Deferred[None]] = []

    def handle(_: Message) -> Deferred[None]:
        waiting.append(Deferred())
        return waiting[-1]

    with Reading(handle, concurrency=1, max_in_flight=5) as reading:
        reading.put(b"a", b"b", b"c")
        reading.nsqds[0].stop()
        reading.reactor.settle()
        waiting[0].callback(None)
        assert len(waiting) == 1
        assert reading.reader.stats().queued == 0


def test_a_touch_that_came_too_late() -> None:
    """Is told, but is no lost answer."""
    with Reading() as reading:
        reading.put(b"x")
        reading.nsqds[0].refuse("TOUCH", "E_TOUCH_FAILED TOUCH 0000000000000001 failed")
        reading.messages[0].touch()
        reading.reactor.settle()
        assert "E_TOUCH_FAILED" in reading.told(AnswerLost)[0].reason
        assert reading.reader.stats().counts.lost == 0
        reading.finish()


def test_time_left() -> None:
    """A handler can see how long nsqd waits for it."""
    with Reading(msg_timeout=10, nsqd={"max_msg_timeout": 15_000}) as reading:
        reading.put(b"x")
        (message,) = reading.messages
        assert message.time_left == 10
        reading.advance(8)
        message.touch()
        assert message.time_left == 7
        assert message.nsqd_address == reading.nsqds[0].address
        assert repr(message) == "<Message 0000000000000001 of 127.0.0.1:4150, attempt 1>"


def test_statistics() -> None:
    """Counts in all and of each connection, RDY, what waits and runs."""
    with Reading(nsqds=2, max_in_flight=4) as reading:
        reading.put(b"a", b"b", nsqd=1)
        reading.finish()
        stats = reading.reader.stats()
        assert (stats.counts.received, stats.counts.finished) == (2, 1)
        assert [each.rdy for each in stats.connections] == [2, 2]
        assert [each.in_flight for each in stats.connections] == [0, 1]
        assert stats.ready.max_in_flight == 4
        assert (stats.backoff_state, stats.backoff_level) == ("normal", 0)
        reading.nsqds[1].stop()
        reading.reactor.settle()
        assert reading.reader.stats().counts.received == 2
