"""How much a Writer sends before it has answers (client section 14.6)."""

from __future__ import annotations

from nsqtx.client.errors import Outcome
from tests.support.writers import Setting, failed, result


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
