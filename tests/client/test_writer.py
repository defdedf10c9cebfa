"""A Writer and its nsqds: connecting, starting, stopping, figures (client section 14.6)."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.application.service import MultiService

from nsqtx.client.errors import ConfigError, Outcome, PublishFailed, Stopped
from nsqtx.client.events import Connected, ConnectFailed, Disconnected
from nsqtx.client.reader import Reader
from nsqtx.client.writer import Writer
from tests.support.scriptednsqd import Network
from tests.support.writers import Setting, failed, result


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
