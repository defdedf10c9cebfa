"""The Writer against nsqds that do what the test says (client section 14.6)."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.application.service import MultiService
from twisted.internet.defer import CancelledError

from nsqtx.client.errors import ConfigError, Outcome, PublishFailed, Stopped
from nsqtx.client.events import Connected, ConnectFailed, Disconnected, PublishRetried
from nsqtx.client.reader import Reader
from nsqtx.client.writer import Writer
from tests.support.scriptednsqd import Network
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


@pytest.mark.parametrize(
    ("topic", "body", "options", "code"),
    [
        ("t", b"", {}, "E_BAD_MESSAGE"),
        ("t", b"x" * 11, {}, "E_BAD_MESSAGE"),
        ("a\n", b"x", {}, "E_BAD_TOPIC"),
        ("a b", b"x", {}, "E_BAD_TOPIC"),
        ("", b"x", {}, "E_BAD_TOPIC"),
        ("x" * 65, b"x", {}, "E_BAD_TOPIC"),
        ("t", b"x", {"defer": -0.001}, "E_INVALID"),
        ("t", b"x", {"defer": 3600.001}, "E_INVALID"),
        ("t", b"x", {"defer": float("nan")}, "E_INVALID"),
        ("t", [], {}, "E_BAD_BODY"),
        ("t", [b"x", b""], {}, "E_BAD_MESSAGE"),
        ("t", [b"x" * 10] * 4, {}, "E_BAD_BODY"),
    ],
)
def test_p4_what_nsqd_would_refuse_is_not_sent(
    topic: str, body: Any, options: dict[str, Any], code: str
) -> None:
    """A bad publish fails with nsqd's code, and touches no connection."""
    setting = Setting(max_message_size=10, max_body_size=50)
    if isinstance(body, list):
        publish = setting.writer.multi_publish(topic, body)
    else:
        publish = setting.writer.publish(topic, body, **options)
    error = failed(publish)
    assert (error.outcome, error.code, error.attempts) == (Outcome.REJECTED, code, 0)
    assert setting.sent() == []
    setting.stop()


@pytest.mark.parametrize("body", ["text", None, 5, [b"x"]])
def test_what_is_no_body_is_a_type_error(body: Any) -> None:
    """Text and other things are not made into bytes by a guess."""
    setting = Setting()
    assert isinstance(result(setting.writer.publish("t", body)), TypeError)
    assert isinstance(result(setting.writer.multi_publish("t", [b"x", body])), TypeError)
    assert isinstance(result(setting.writer.multi_publish("t", b"text")), TypeError)  # type: ignore[arg-type]
    assert setting.sent() == []
    setting.stop()


def test_bodies_may_be_any_bytes() -> None:
    """A bytearray or a memoryview is sent as it is at the time of the call."""
    setting = Setting()
    body = bytearray(b"a")
    publishes = [setting.pub(body), setting.pub(memoryview(b"xbx")[1:2])]  # type: ignore[arg-type]
    body[0] = ord("z")
    assert setting.sent() == [b"a", b"b"]
    setting.nsqds[0].connection.ok(2)
    assert [result(publish) for publish in publishes] == [b"OK", b"OK"]
    setting.stop()


def test_deferred_publishes_count_in_milliseconds() -> None:
    """``defer`` is seconds here and milliseconds on the wire."""
    setting = Setting()
    setting.pub(b"a", defer=1.5)
    setting.pub(b"b", defer=0.1)
    setting.pub(b"c", defer=3600)
    lines = [command.words for command in setting.nsqds[0].connection.take()]
    assert lines == [
        (b"DPUB", b"t", b"1500"),
        (b"DPUB", b"t", b"100"),
        (b"DPUB", b"t", b"3600000"),
    ]
    setting.nsqds[0].connection.ok(3)
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


def test_p7_a_limit_makes_the_next_one_wait() -> None:
    """At two outstanding publishes the third waits for an answer, in order."""
    setting = Setting(max_outstanding=2)
    a, b, c, d = (setting.pub(body) for body in (b"a", b"b", b"c", b"d"))
    assert setting.sent() == [b"a", b"b"]
    stats = setting.writer.stats()
    assert (stats.outstanding, stats.waiting) == (2, 2)
    setting.nsqds[0].connection.ok()
    assert setting.sent() == [b"c"]
    setting.nsqds[0].connection.ok(2)
    assert [result(each) for each in (a, b, c)] == [b"OK"] * 3
    assert setting.sent() == [b"d"]
    assert result(d) is None
    setting.nsqds[0].connection.ok()
    assert result(d) == b"OK"
    setting.stop()


def test_bytes_are_limited_too() -> None:
    """Messages wait for bytes; one that is larger than the limit goes alone."""
    setting = Setting(max_outstanding_bytes=30)
    publishes = [setting.pub(body * 10) for body in (b"a", b"b")]
    publishes.append(setting.pub(b"c" * 100))
    assert setting.sent() == [b"a" * 10]
    setting.nsqds[0].connection.ok()
    assert setting.sent() == [b"b" * 10]
    setting.nsqds[0].connection.ok()
    assert setting.sent() == [b"c" * 100]
    setting.nsqds[0].connection.ok()
    assert [result(publish) for publish in publishes] == [b"OK"] * 3
    setting.stop()


def test_a_connection_has_a_limit_of_its_own() -> None:
    """What one nsqd may not take goes to another."""
    setting = Setting(nsqds=2, strategy="first", max_outstanding_per_connection=1)
    for body in (b"a", b"b", b"c"):
        setting.pub(body).addErrback(lambda _: None)
    assert (setting.sent(0), setting.sent(1)) == ([b"a"], [b"b"])
    setting.nsqds[1].connection.ok()
    assert (setting.sent(0), setting.sent(1)) == ([], [b"c"])
    setting.stop()


def test_a_network_that_takes_nothing_makes_them_wait() -> None:
    """While bytes wait in the transport nothing more is written to it."""
    setting = Setting()
    setting.nsqds[0].connection.transport.network.pauseProducing()
    a = setting.pub(b"a")
    assert setting.sent() == []
    setting.nsqds[0].connection.transport.network.resumeProducing()
    assert setting.sent() == [b"a"]
    setting.nsqds[0].connection.ok()
    assert result(a) == b"OK"
    setting.stop()


def test_at_the_limits_a_publish_may_fail_instead() -> None:
    """With ``when_full=fail`` nothing waits at the limits: a count, bytes, or the network."""
    setting = Setting(when_full="fail", max_outstanding=2, max_outstanding_bytes=60)
    a, b = setting.pub(b"a"), setting.pub(b"b")
    error = failed(setting.pub(b"c"))
    assert (error.outcome, error.attempts) == (Outcome.NOT_EXECUTED, 0)
    setting.nsqds[0].connection.ok()
    assert failed(setting.pub(b"d" * 50)).outcome is Outcome.NOT_EXECUTED
    setting.nsqds[0].connection.transport.network.pauseProducing()
    assert failed(setting.pub(b"e")).outcome is Outcome.NOT_EXECUTED
    setting.nsqds[0].connection.ok()
    assert [result(a), result(b)] == [b"OK", b"OK"]
    assert setting.sent() == [b"a", b"b"]
    setting.stop()


def test_without_a_connection_publishes_wait_even_then() -> None:
    """``when_full=fail`` is about limits; while nsqd is dialled a publish waits, within them."""
    setting = Setting(down=(0,), when_full="fail", max_outstanding=1, max_reconnect_delay=1)
    a = setting.pub(b"a")
    assert result(a) is None
    assert failed(setting.pub(b"b")).outcome is Outcome.NOT_EXECUTED
    setting.nsqds[0].up = True
    setting.advance(1)
    setting.nsqds[0].connection.ok()
    assert result(a) == b"OK"
    setting.stop()


def test_p8_an_mpub_of_one_message_has_its_count() -> None:
    """One message is sent with the count 1 before it."""
    setting = Setting()
    publish = setting.writer.multi_publish("t", [b"a"])
    (command,) = setting.nsqds[0].connection.take()
    assert command.words == (b"MPUB", b"t")
    assert command.body == b"\0\0\0\x01\0\0\0\x01a"
    setting.nsqds[0].connection.ok()
    assert result(publish) == b"OK"
    assert setting.writer.stats().published == 1
    setting.stop()


def test_bodies_of_an_mpub_may_be_made_on_the_way() -> None:
    """Any iterable of messages does, and one that raises touches no connection."""
    setting = Setting()

    def broken() -> Any:
        yield b"a"
        raise LookupError("no more")

    publish = setting.writer.multi_publish("t", (bytes([letter]) for letter in b"abc"))
    assert isinstance(result(setting.writer.multi_publish("t", broken())), LookupError)
    (command,) = setting.nsqds[0].connection.take()
    assert command.messages == [b"a", b"b", b"c"]
    setting.nsqds[0].connection.ok()
    assert result(publish) == b"OK"
    setting.stop()


def test_p9_the_first_nsqd_is_down() -> None:
    """The second one is used; the first is dialled in the background, and used when it is there."""
    setting = Setting(nsqds=2, down=(0,), strategy="first", max_reconnect_delay=1)
    (failure,) = (each for each in setting.events if isinstance(each, ConnectFailed))
    assert failure.address == setting.nsqds[0].address
    assert failure.delay is not None
    assert failure.delay <= 1
    a = setting.pub(b"a")
    assert setting.sent(1) == [b"a"]
    setting.nsqds[1].connection.ok()
    assert result(a) == b"OK"
    setting.nsqds[0].up = True
    setting.advance(1)
    assert Connected(setting.nsqds[0].address) in setting.events
    setting.pub(b"b").addErrback(lambda _: None)
    assert setting.sent(0) == [b"b"]
    setting.nsqds[0].connection.ok()
    setting.stop()
    assert Disconnected(setting.nsqds[0].address, "closed by us") in setting.events


def test_publishes_wait_for_the_first_connection() -> None:
    """A publish while nsqd is dialled is sent when it is connected."""
    setting = Setting(down=(0,), max_reconnect_delay=1)
    a = setting.pub(b"a")
    setting.nsqds[0].up = True
    setting.advance(1)
    assert setting.sent() == [b"a"]
    setting.nsqds[0].connection.ok()
    assert result(a) == b"OK"
    setting.stop()


def test_they_do_not_wait_for_ever() -> None:
    """With no nsqd a publish fails in publish_timeout and says what is wrong with which."""
    setting = Setting(down=(0,), publish_timeout=5)
    a = setting.pub(b"a")
    setting.advance(4.9)
    assert result(a) is None
    setting.advance(0.1)
    error = failed(a)
    assert (error.outcome, error.attempts) == (Outcome.NOT_EXECUTED, 0)
    assert setting.nsqds[0].address in str(error)
    assert "refused" in str(error)
    setting.stop()


def test_p10_stopping_waits_for_answers() -> None:
    """A stop takes nothing more, waits for what is under way or waits, and then closes."""
    setting = Setting(max_outstanding=1)
    a, b = setting.pub(b"a"), setting.pub(b"b")
    stopping = setting.writer.stopService()
    assert isinstance(result(setting.pub(b"c")), Stopped)
    setting.nsqds[0].connection.ok()
    assert not stopping.called
    assert setting.sent() == [b"a", b"b"]
    setting.nsqds[0].connection.ok()
    setting.advance()
    assert stopping.called
    assert [result(a), result(b)] == [b"OK", b"OK"]
    assert setting.nsqds[0].connection.names() == [b"IDENTIFY", b"PUB", b"PUB"]
    assert setting.network.getDelayedCalls() == []


def test_p10_stopping_waits_no_longer_than_it_may() -> None:
    """After drain_timeout what is left fails: unknown if it was written, else not executed."""
    setting = Setting(max_outstanding=1, drain_timeout=7)
    a, b = setting.pub(b"a"), setting.pub(b"b")
    stopping = setting.writer.stopService()
    setting.advance(6.9)
    assert result(a) is None
    setting.advance(0.1)
    setting.advance()
    assert failed(a).outcome is Outcome.UNKNOWN
    assert failed(b).outcome is Outcome.NOT_EXECUTED
    assert stopping.called
    assert setting.network.getDelayedCalls() == []


def test_stopping_twice_and_before_connecting() -> None:
    """Each stop fires; a dial under way is given up, and no timer stays."""
    setting = Setting(down=(0,))
    first, second = setting.writer.stopService(), setting.writer.stopService()
    setting.advance()
    assert first.called
    assert second.called
    assert setting.network.getDelayedCalls() == []
    assert isinstance(result(setting.pub(b"a")), Stopped)


def test_before_the_start_nothing_is_taken() -> None:
    """A Writer that is no running service says so at once."""
    writer = Writer(["127.0.0.1:4150"], reactor=Network())
    error = result(writer.publish("t", b"a"))
    assert isinstance(error, Stopped)
    assert "not started" in str(error)


def test_lazy_connects_with_the_first_publish() -> None:
    """With ``lazy`` nothing is dialled before there is something to send."""
    setting = Setting(lazy=True)
    assert setting.nsqds[0].connections == []
    a = setting.pub(b"a")
    setting.advance()
    assert setting.sent() == [b"a"]
    setting.nsqds[0].connection.ok()
    assert result(a) == b"OK"
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


@pytest.mark.parametrize("addresses", [[], "127.0.0.1:4150", ["127.0.0.1"], ["h:0"]])
def test_addresses_are_looked_at_first(addresses: Any) -> None:
    """What is no list of addresses is an error when the Writer is made."""
    with pytest.raises(ConfigError):
        Writer(addresses, reactor=Network())


def test_stats_count_messages() -> None:
    """Figures are those of messages, per nsqd and in all."""
    setting = Setting(nsqds=2, strategy="first", retry_unknown=False)
    publishes = [setting.writer.multi_publish("t", [b"a", b"b"]), setting.pub(b"c")]
    setting.nsqds[0].connection.ok()
    setting.nsqds[0].connection.lose()
    assert [type(result(publish)) for publish in publishes] == [bytes, PublishFailed]
    stats = setting.writer.stats()
    assert (stats.published, stats.failed, stats.outstanding) == (2, 1, 0)
    assert (stats.connections, stats.nsqds[0].connected) == (1, False)
    assert (stats.nsqds[0].published, stats.nsqds[0].failed) == (2, 1)
    setting.stop()


def test_a_writer_may_be_started_again() -> None:
    """A service that was stopped and is started takes publishes again."""
    setting = Setting(lazy=True)
    for _ in range(2):
        publish = setting.pub(b"a")
        setting.advance()
        setting.nsqds[0].connection.ok()
        assert result(publish) == b"OK"
        setting.stop()
        setting.writer.startService()
    assert len(setting.nsqds[0].connections) == 2
    setting.stop()


def test_an_application_has_several_of_them() -> None:
    """Readers and Writers of one parent do not collide by a name."""
    parent = MultiService()
    for _ in range(2):
        Writer(["127.0.0.1:4150"], reactor=Network()).setServiceParent(parent)
        Reader("t", "c", reactor=Network()).setServiceParent(parent)
    assert len(list(parent)) == 4
