"""Messages by ``async for``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from nsqtx.client import ConfigError, DrainReport
from tests.client.conftest import Failures
from tests.support.reading import Reading


class Loop:
    """A loop over a Reader that keeps bodies, and waits for the test after each."""

    def __init__(self, reading: Reading, managed: bool = False) -> None:
        self.bodies: list[bytes] = []
        self.step: Deferred[None] = Deferred()
        run = self._managed if managed else self._plain
        self.done = Deferred.fromCoroutine(run(reading))

    async def _plain(self, reading: Reading) -> None:
        async for message in reading.reader:
            self.bodies.append(message.body)
            await self.step

    async def _managed(self, reading: Reading) -> None:
        async with reading.reader.messages() as messages:
            async for message in messages:
                self.bodies.append(message.body)
                await self.step

    def go_on(self, do: Callable[[Deferred[None]], Any] = lambda step: step.callback(None)) -> None:
        """Let the body of the loop end."""
        step, self.step = self.step, Deferred()
        do(step)


def test_rdy_follows_demand() -> None:
    """Nothing is asked for before somebody iterates, and each is finished with the next."""
    with Reading(None, max_in_flight=2) as reading:
        reading.put(b"a", b"b", b"c")
        assert reading.rdy == [0]
        loop = Loop(reading)
        reading.reactor.settle()
        assert reading.rdy == [2]
        assert loop.bodies == [b"a"]
        loop.go_on()
        reading.reactor.settle()
        assert loop.bodies == [b"a", b"b"]
        assert reading.nsqds[0].channel("t", "c").finished == [b"a"]
        loop.go_on()
        loop.go_on()


def test_the_end_of_the_reader_is_the_end_of_loops() -> None:
    """The message at work may be finished, others go back."""
    with Reading(None, max_in_flight=3) as reading:
        loop, idle = Loop(reading), Loop(reading)
        reading.put(b"a", b"b", b"c")
        idle.go_on()
        assert loop.bodies + idle.bodies == [b"a", b"b", b"c"]
        stopping = reading.reader.stopService()
        loop.go_on()
        idle.go_on()
        assert loop.done.called
        assert idle.done.called
        assert reading.reactor.wait_for(stopping) == DrainReport(2, 0, 0)


def test_what_an_exception_leaves() -> None:
    """In ``async with``, the message at work is requeued, others go back, and RDY is 0."""
    with Reading(None, max_in_flight=3) as reading:
        loop = Loop(reading, managed=True)
        reading.put(b"a", b"b")
        errors: list[Any] = []
        loop.done.addErrback(errors.append)
        loop.go_on(lambda step: step.errback(ValueError("no")))
        assert errors[0].check(ValueError)
        lines = reading.sent()
        assert "REQ 1 90000" in lines
        assert "REQ 2 0" in lines
        assert reading.rdy == [0]


def test_a_loop_that_is_cancelled(failures: Failures) -> None:
    """While it waits for a message: the next one goes to another loop."""
    with Reading(None, max_in_flight=3) as reading:
        first, second = Loop(reading), Loop(reading)
        errors: list[Any] = []
        first.done.addErrback(errors.append)
        first.done.cancel()
        reading.put(b"a")
        assert second.bodies == [b"a"]
        assert len(errors) == 1
        second.go_on()


def test_loops_that_are_cancelled_leave_nothing() -> None:
    """However often one waits for a message in vain."""
    with Reading(None, max_in_flight=3) as reading:
        loop = reading.reader.messages()
        for _ in range(100):
            waiting = Deferred.fromCoroutine(loop.__anext__())
            waiting.addErrback(lambda failure: failure.trap(CancelledError))
            waiting.cancel()
        stream: Any = reading.reader._stream
        assert len(stream._waiting) == 0
        waiting = Deferred.fromCoroutine(loop.__anext__())
        reading.put(b"x")
        assert reading.reactor.wait_for(waiting).body == b"x"
        loop.close()


def test_messages_of_a_lost_connection() -> None:
    """What waits for a loop is not given to it: it comes again."""
    with Reading(None, max_in_flight=3, nsqd={"msg_timeout": 2}) as reading:
        loop = Loop(reading)
        reading.put(b"a", b"b")
        reading.connection.drop()
        reading.advance(1.5)
        loop.go_on()
        assert loop.bodies == [b"a"]
        reading.advance(1)
        loop.go_on()
        loop.go_on()
        assert sorted(loop.bodies) == [b"a", b"a", b"b"]


def test_many_at_once() -> None:
    """A thousand messages that wait are no deep recursion."""
    with Reading(None, max_in_flight=2000) as reading:

        async def run() -> None:
            async for message in reading.reader:
                bodies.append(message.body)

        bodies: list[bytes] = []
        Deferred.fromCoroutine(run())
        reading.put(*[b"x"] * 1500)
        assert len(bodies) == 1500


def test_a_reader_with_a_handler_is_no_iterator() -> None:
    """Messages go to one of them."""
    with Reading() as reading, pytest.raises(ConfigError):
        reading.reader.messages()
