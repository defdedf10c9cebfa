"""Single publishes that are sent together as one MPUB."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError

from nsqtx.client.errors import Outcome, PublishFailed, Stopped
from tests.support.writers import Setting, failed, result


def setting(**config: Any) -> Setting:
    return Setting(**{"batch_linger": 0.01, "batch_count": 3, **config})


def sent(made: Setting) -> list[tuple[bytes, list[bytes]]]:
    """The commands since the last time: topic and messages."""
    commands = made.nsqds[0].connection.take()
    return [
        (each.words[1], each.messages if each.name == b"MPUB" else [each.body]) for each in commands
    ]


def test_they_are_sent_after_the_linger() -> None:
    """Messages of a topic that come in time go together; the answer is that of each."""
    made = setting()
    a, b = made.pub(b"a"), made.pub(b"b")
    other = made.writer.publish("u", b"c")
    assert sent(made) == []
    assert made.writer.stats().batched == 3
    made.advance(0.01)
    assert sent(made) == [(b"t", [b"a", b"b"]), (b"u", [b"c"])]
    assert made.writer.stats().batched == 0
    made.nsqds[0].connection.ok()
    assert [result(a), result(b), result(other)] == [b"OK", b"OK", None]
    made.nsqds[0].connection.ok()
    assert result(other) == b"OK"
    assert made.writer.stats().published == 3
    made.stop()


def test_they_are_sent_when_there_are_enough() -> None:
    """A full batch does not wait, and the next one is apart from it."""
    made = setting()
    publishes = [made.pub(bytes([letter])) for letter in b"abcd"]
    assert sent(made) == [(b"t", [b"a", b"b", b"c"])]
    made.advance(0.01)
    assert sent(made) == [(b"t", [b"d"])]
    made.nsqds[0].connection.ok(2)
    assert [result(publish) for publish in publishes] == [b"OK"] * 4
    made.stop()


def test_bytes_count_as_well() -> None:
    """A message that does not fit any more begins the next batch."""
    made = setting(batch_bytes=8 + 2 * 14)
    publishes = [made.pub(letter * 10) for letter in (b"a", b"b", b"c")]
    publishes.append(made.pub(b"d" * 100))
    assert sent(made) == [(b"t", [b"a" * 10, b"b" * 10]), (b"t", [b"c" * 10]), (b"t", [b"d" * 100])]
    made.nsqds[0].connection.ok(3)
    assert [result(publish) for publish in publishes] == [b"OK"] * 4
    made.stop()


def test_a_failure_is_that_of_each() -> None:
    """All of a batch fail together, and with the same outcome."""
    made = setting(retry_unknown=False)
    a, b = made.pub(b"a"), made.pub(b"b")
    made.advance(0.01)
    made.nsqds[0].connection.lose()
    assert [failed(a).outcome, failed(b).outcome] == [Outcome.UNKNOWN] * 2
    made.stop()


def test_what_is_cancelled_in_time_is_left_out() -> None:
    """A message may be taken back until its batch is sent, and not after that."""
    made = setting()
    a, b, c = made.pub(b"a"), made.pub(b"b"), made.writer.publish("u", b"c")
    a.cancel()
    c.cancel()
    made.advance(0.01)
    assert sent(made) == [(b"t", [b"b"])]
    d, e = made.pub(b"d"), made.pub(b"e")
    made.advance(0.01)
    e.cancel()
    assert sent(made) == [(b"t", [b"d", b"e"])]
    made.nsqds[0].connection.ok(2)
    assert [result(b), result(d)] == [b"OK", b"OK"]
    assert {type(result(each)) for each in (a, c, e)} == {CancelledError}
    made.stop()


def test_a_bad_message_is_refused_alone() -> None:
    """What nsqd would refuse does not get into a batch."""
    made = setting(max_message_size=5)
    a, bad, worse = made.pub(b"a"), made.pub(b"too long"), made.writer.publish("a b", b"x")
    assert [failed(bad).code, failed(worse).code] == ["E_BAD_MESSAGE", "E_BAD_TOPIC"]
    made.advance(0.01)
    made.nsqds[0].connection.ok()
    assert result(a) == b"OK"
    made.stop()


def test_deferred_and_multiple_publishes_go_alone() -> None:
    """DPUB and MPUB are not batched."""
    made = setting()
    made.pub(b"a", defer=1)
    made.writer.multi_publish("t", [b"b"])
    assert made.nsqds[0].connection.names() == [b"IDENTIFY", b"DPUB", b"MPUB"]
    made.nsqds[0].connection.ok(2)
    made.stop()


def test_stopping_sends_what_was_collected() -> None:
    """A stop does not wait for the linger, and takes nothing more."""
    made = setting()
    a = made.pub(b"a")
    stopping = made.writer.stopService()
    assert isinstance(result(made.pub(b"b")), Stopped)
    assert sent(made) == [(b"t", [b"a"])]
    made.nsqds[0].connection.ok()
    made.advance()
    assert result(a) == b"OK"
    assert stopping.called
    assert made.network.getDelayedCalls() == []


def test_a_key_has_its_own_batch() -> None:
    """Messages with different keys may go to different nsqds."""
    made = setting(nsqds=4, strategy="sticky")
    publishes = [made.pub(b"%d" % number, key=f"k{number % 8}") for number in range(16)]
    made.advance(0.01)
    places = {}
    for number, nsqd in enumerate(made.nsqds):
        for command in nsqd.connection.take():
            for body in command.messages:
                places[int(body)] = number
        nsqd.connection.ok(len(nsqd.connection.commands) - 1)
    assert all(places[number] == places[number + 8] for number in range(8))
    assert len(set(places.values())) > 1
    assert all(result(publish) == b"OK" for publish in publishes)
    made.stop()


def test_limits_hold_for_batches() -> None:
    """At the limits a batch fails as one publish does."""
    made = setting(when_full="fail", max_outstanding=1, batch_count=2)
    publishes = [made.pub(bytes([letter])) for letter in b"abcd"]
    assert [type(result(publish)) for publish in publishes[2:]] == [PublishFailed] * 2
    made.nsqds[0].connection.ok()
    assert [result(publish) for publish in publishes[:2]] == [b"OK"] * 2
    made.stop()
