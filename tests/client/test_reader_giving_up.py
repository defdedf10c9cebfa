"""Messages with too many attempts (client section 14.4, M3)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.internet.defer import Deferred, fail

from nsqtx.client import ConfigError, Message
from nsqtx.client.errors import NsqError
from nsqtx.client.events import GaveUp
from tests.client.conftest import Failures
from tests.support.reading import Reading


def test_m3_giving_up() -> None:
    """M3: with too many attempts the hook has the message and the handler not; then FIN."""
    given_up: list[bytes] = []
    hook = {"giving_up": lambda message: given_up.append(message.body)}
    with Reading(max_attempts=5, reader=hook) as reading:
        for attempts in (5, 6):
            reading.connection.message(b"%d" % attempts, attempts=attempts)
        reading.reactor.settle()
        assert [each.body for each in reading.messages] == [b"5"]
        assert given_up == [b"6"]
        assert [line for line in reading.sent() if "FIN" in line] == ["FIN 2"]
        assert [each.attempts for each in reading.told(GaveUp)] == [6]
        assert reading.reader.stats().counts.gave_up == 1


def test_m3_a_dead_letter_is_published_first() -> None:
    """M3: FIN only when nsqd has the dead letter."""
    with Reading(max_attempts=1, dead_letter_topic="dead", max_in_flight=2) as reading:
        nsqd = reading.nsqds[0]
        nsqd.put("t", b"x")
        reading.advance(1)
        reading.messages.pop().requeue(0.0, backoff=False)
        nsqd.ignore("PUB")
        reading.advance(1)
        assert reading.sent()[-1] == "PUB dead"
        reading.connection.respond()
        assert reading.sent()[-1] == "FIN 1"


def test_m3_a_dead_letter_by_a_writer() -> None:
    """M3: FIN when the Writer says that it is published; a hook that takes its time comes first."""
    hooked: Deferred[None] = Deferred()
    published: Deferred[bytes] = Deferred()
    given: list[tuple[str, bytes]] = []

    class SlowWriter:
        def publish(self, topic: str, body: bytes) -> Deferred[bytes]:
            given.append((topic, body))
            return published

    settings = {"dead_letter_writer": SlowWriter(), "giving_up": lambda _: hooked}
    with Reading(max_attempts=1, dead_letter_topic="dead", reader=settings) as reading:
        reading.connection.message(b"x", attempts=2)
        reading.reactor.settle()
        assert given == []
        hooked.callback(None)
        assert given == [("dead", b"x")]
        assert reading.sent() == ["RDY 1"]
        published.callback(b"OK")
        assert reading.sent() == ["FIN 1"]


def test_m3_a_hook_that_has_finished_it() -> None:
    """M3: then there is no dead letter."""
    hook = {"giving_up": lambda message: message.finish()}
    with Reading(max_attempts=1, dead_letter_topic="dead", reader=hook) as reading:
        reading.connection.message(b"x", attempts=2)
        assert reading.sent() == ["RDY 1", "FIN 1"]


def test_m3_no_topic_for_dead_letters() -> None:
    """M3: a name that cannot be is refused when the Reader is made."""
    with pytest.raises(ConfigError, match="dead_letter_topic"):
        Reading(dead_letter_topic="a b")


class RefusingWriter:
    """Publishes nothing."""

    def publish(self, topic: str, body: bytes) -> Deferred[bytes]:
        return fail(NsqError(f"{topic} takes nothing"))


def test_m3_a_dead_letter_that_is_refused(failures: Failures) -> None:
    """M3: the message is requeued then."""
    writer = {"dead_letter_writer": RefusingWriter()}
    with Reading(max_attempts=1, dead_letter_topic="dead", reader=writer) as reading:
        reading.connection.message(b"x", attempts=2)
        assert reading.sent() == ["RDY 1", "RDY 0", "REQ 1 180000"]
        assert failures.take() == ["dead takes nothing"]


def test_m3_a_hook_that_has_done_nothing(failures: Failures) -> None:
    """M3: the message is requeued when the hook is a generator, which nobody runs."""

    def generates(message: Message) -> Iterator[Message]:
        yield message

    with Reading(max_attempts=1, reader={"giving_up": generates}) as reading:
        reading.connection.message(b"x", attempts=2)
        assert reading.sent() == ["RDY 1", "RDY 0", "REQ 1 180000"]
        assert failures.take() == ["the handler is a generator: inlineCallbacks?"]


def test_m3_a_hook_may_answer_itself() -> None:
    """M3: or later, by hand."""
    kept: list[Message] = []

    def later(message: Message) -> None:
        message.defer_response()
        kept.append(message)

    with Reading(max_attempts=1, reader={"giving_up": later}) as reading:
        reading.connection.message(b"x", attempts=2)
        assert reading.sent() == ["RDY 1"]
        kept.pop().requeue(7.0)
        assert reading.sent()[-1] == "REQ 1 7000"
