"""What becomes of a publish, and how answers find theirs (client section 14.6)."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError

from nsqtx.client.errors import Outcome
from nsqtx.client.events import PublishRetried
from tests.support.writers import Setting, failed, result


def test_p1_answers_find_their_publishes() -> None:
    """Three publishes in a row are answered in order, whatever heartbeats come between."""
    setting = Setting()
    fired: list[bytes] = []

    def note(answer: bytes, body: bytes) -> None:
        fired.append(body + answer)

    for body in (b"a", b"b", b"c"):
        setting.pub(body).addCallback(note, body)
    assert setting.sent() == [b"a", b"b", b"c"]
    connection = setting.nsqds[0].connection
    connection.ok()
    assert fired == [b"aOK"]
    connection.heartbeat()
    assert connection.names()[-1] == b"NOP"
    connection.ok(2)
    assert fired == [b"aOK", b"bOK", b"cOK"]
    setting.stop()


def test_p2_a_refusal_is_told_from_what_stood_behind_it() -> None:
    """The refused publish fails for good; the one behind it was not executed and goes elsewhere."""
    setting = Setting(nsqds=2, strategy="first")
    a, b, c = (setting.pub(body) for body in (b"a", b"b", b"c"))
    first = setting.nsqds[0].connection
    assert setting.sent(0) == [b"a", b"b", b"c"]
    first.ok()
    first.error(b"E_BAD_MESSAGE PUB message too big 1 > 0")
    assert result(a) == b"OK"
    error = failed(b)
    assert error.outcome is Outcome.REJECTED
    assert error.code == "E_BAD_MESSAGE"
    assert error.address == setting.nsqds[0].address
    assert error.attempts == 1
    assert setting.sent(1) == [b"c"]
    setting.nsqds[1].connection.ok()
    assert result(c) == b"OK"
    assert PublishRetried in {type(event) for event in setting.events}
    setting.stop()


def test_p3_a_lost_connection_leaves_the_outcome_unknown() -> None:
    """What was sent and not answered when nsqd went is unknown."""
    setting = Setting(retry_unknown=False)
    a, b = setting.pub(b"a"), setting.pub(b"b")
    setting.nsqds[0].connection.lose()
    for publish in (a, b):
        error = failed(publish)
        assert error.outcome is Outcome.UNKNOWN
        assert error.code == ""
    setting.stop()


def test_what_is_unknown_is_tried_elsewhere_if_duplicates_may_be() -> None:
    """By default a publish whose fate is unknown is tried again, and says so if that fails."""
    setting = Setting(nsqds=2, strategy="first", max_publish_attempts=2)
    a, b = setting.pub(b"a"), setting.pub(b"b")
    setting.nsqds[0].connection.lose()
    assert setting.sent(1) == [b"a", b"b"]
    setting.nsqds[1].connection.ok()
    setting.nsqds[1].connection.error(b"E_BAD_TOPIC PUB topic")
    assert result(a) == b"OK"
    error = failed(b)
    assert (error.outcome, error.code, error.attempts) == (Outcome.UNKNOWN, "E_BAD_TOPIC", 2)
    setting.stop()


@pytest.mark.parametrize("code", ["E_PUB_FAILED", "E_AUTH_FAILED", "E_AUTH_ERROR"])
def test_transient_refusals_are_tried_elsewhere(code: str) -> None:
    """An nsqd that cannot store is left for another one."""
    setting = Setting(nsqds=2, strategy="first")
    publish = setting.pub(b"a")
    setting.nsqds[0].connection.error(code.encode() + b" PUB failed exiting")
    assert setting.sent(1) == [b"a"]
    setting.nsqds[1].connection.ok()
    assert result(publish) == b"OK"
    setting.stop()


def test_a_failed_mpub_may_be_stored_in_part() -> None:
    """E_MPUB_FAILED is unknown, since a disk may have failed in the middle."""
    setting = Setting(retry_unknown=False)
    publish = setting.writer.multi_publish("t", [b"a", b"b"])
    setting.nsqds[0].connection.error(b"E_MPUB_FAILED MPUB failed disk full")
    error = failed(publish)
    assert (error.outcome, error.code) == (Outcome.UNKNOWN, "E_MPUB_FAILED")
    setting.stop()


def test_attempts_are_counted() -> None:
    """With one nsqd it is tried there again after reconnecting, as often as it may."""
    setting = Setting(max_publish_attempts=3, max_reconnect_delay=1)
    publish = setting.pub(b"a")
    for attempt in range(3):
        assert result(publish) is None
        assert len(setting.nsqds[0].connections) == attempt + 1
        assert setting.sent() == [b"a"]
        setting.nsqds[0].connection.error(b"E_PUB_FAILED PUB failed exiting")
        setting.advance(1)
        setting.advance()
    error = failed(publish)
    assert (error.outcome, error.code, error.attempts) == (Outcome.REJECTED, "E_PUB_FAILED", 3)
    setting.stop()


def test_p5_cancelled_before_it_was_written() -> None:
    """A publish that waits and is cancelled is not sent."""
    setting = Setting(max_outstanding=1)
    a, b, c = (setting.pub(body) for body in (b"a", b"b", b"c"))
    b.cancel()
    assert isinstance(result(b), CancelledError)
    setting.nsqds[0].connection.ok()
    assert setting.sent() == [b"a", b"c"]
    setting.nsqds[0].connection.ok()
    assert [result(a), result(c)] == [b"OK", b"OK"]
    setting.stop()


def test_p5_cancelled_after_it_was_written() -> None:
    """A publish that was written keeps its turn: later answers find theirs."""
    setting = Setting(max_outstanding=3)
    a, b, c = (setting.pub(body) for body in (b"a", b"b", b"c"))
    d = setting.pub(b"d")
    a.cancel()
    assert isinstance(result(a), CancelledError)
    assert setting.sent() == [b"a", b"b", b"c", b"d"]
    setting.nsqds[0].connection.ok(2)
    assert [result(b), result(c), result(d)] == [b"OK", None, None]
    setting.nsqds[0].connection.ok(2)
    assert [result(c), result(d)] == [b"OK", b"OK"]
    setting.stop()


def test_cancelled_when_it_waited_and_was_then_written() -> None:
    """Cancelling reaches a publish through the wait that it had."""
    setting = Setting(max_outstanding=1)
    a, b = setting.pub(b"a"), setting.pub(b"b")
    setting.nsqds[0].connection.ok()
    assert setting.sent() == [b"a", b"b"]
    b.cancel()
    assert result(a) == b"OK"
    assert isinstance(result(b), CancelledError)
    assert setting.writer.stats().outstanding == 0
    setting.stop()


def test_p6_a_late_answer_is_passed_over() -> None:
    """After publish_timeout a publish is unknown; the connection stays, answers still match."""
    setting = Setting(publish_timeout=5)
    a = setting.pub(b"a")
    setting.advance(3)
    b = setting.pub(b"b")
    setting.advance(2)
    error = failed(a)
    assert (error.outcome, error.attempts) == (Outcome.UNKNOWN, 1)
    assert "no answer in 5 s" in str(error)
    assert result(b) is None
    setting.nsqds[0].connection.ok()
    assert result(b) is None
    setting.nsqds[0].connection.ok()
    assert result(b) == b"OK"
    assert len(setting.nsqds[0].connections) == 1
    setting.stop()


def test_an_nsqd_that_stalls_is_passed_by() -> None:
    """After a publish timed out there, others get the publishes until it answers something."""
    setting = Setting(nsqds=2, strategy="first", publish_timeout=5)
    late = setting.pub(b"a")
    setting.advance(5)
    assert failed(late).outcome is Outcome.UNKNOWN
    setting.pub(b"b").addErrback(lambda _: None)
    assert (setting.sent(0), setting.sent(1)) == ([b"a"], [b"b"])
    setting.nsqds[0].connection.ok()
    setting.pub(b"c").addErrback(lambda _: None)
    assert (setting.sent(0), setting.sent(1)) == ([b"c"], [])
    setting.stop()


def test_a_callback_that_raises_harms_only_itself() -> None:
    """What a program does with a result runs apart from the next answers."""
    setting = Setting()
    a, b = setting.pub(b"a"), setting.pub(b"b")
    a.addCallback(lambda _: 1 // 0)
    a.addCallback(lambda _: None)
    setting.nsqds[0].connection.ok(2)
    assert isinstance(result(a), ZeroDivisionError)
    assert result(b) == b"OK"
    setting.stop()
