"""Publishes that go to several nsqds each."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError

from nsqtx.client.config import WriterConfig
from nsqtx.client.errors import ConfigError, Outcome
from nsqtx.client.writer import Writer
from tests.support.scriptednsqd import Network
from tests.support.writers import Setting, failed, result


def setting(nsqds: int = 3, **config: Any) -> Setting:
    return Setting(nsqds=nsqds, **{"strategy": "first", "replicas": 2, **config})


def everywhere(made: Setting) -> list[list[bytes]]:
    """What each nsqd got since the last time."""
    return [made.sent(number) for number in range(len(made.nsqds))]


def test_each_copy_goes_to_another_nsqd() -> None:
    """Two copies go to two nsqds, and both must say OK."""
    made = setting()
    publish = made.pub(b"a")
    assert everywhere(made) == [[b"a"], [b"a"], []]
    made.nsqds[0].connection.ok()
    assert result(publish) is None
    made.nsqds[1].connection.ok()
    assert result(publish) == b"OK"
    made.stop()


def test_some_answers_may_do() -> None:
    """With ``replica_answers`` of one the first OK is enough; the other is not taken back."""
    made = setting(replica_answers=1)
    publish = made.pub(b"a")
    made.nsqds[1].connection.ok()
    assert result(publish) == b"OK"
    made.nsqds[0].connection.lose()
    assert everywhere(made)[2] == [b"a"]
    made.nsqds[2].connection.ok()
    assert made.writer.stats().outstanding == 0
    made.stop()


def test_a_copy_that_fails_goes_to_one_that_has_none() -> None:
    """It is tried again, but not where the other copy is."""
    made = setting()
    publish = made.pub(b"a")
    made.nsqds[0].connection.ok()
    made.nsqds[1].connection.error(b"E_PUB_FAILED PUB failed exiting")
    assert everywhere(made) == [[b"a"], [b"a"], [b"a"]]
    made.nsqds[2].connection.ok()
    assert result(publish) == b"OK"
    made.stop()


def test_without_another_nsqd_a_copy_waits_and_others_do_not() -> None:
    """Where one answer is enough, an nsqd that is down holds nothing up, and nothing piles up."""
    made = setting(nsqds=2, down=(1,), replica_answers=1)
    publishes = [made.pub(b"%d" % number) for number in range(5)]
    assert everywhere(made)[0] == [b"%d" % number for number in range(5)]
    assert made.writer.stats().waiting == 5
    made.nsqds[0].connection.ok(5)
    assert [result(publish) for publish in publishes] == [b"OK"] * 5
    assert made.writer.stats().waiting == 0
    made.stop()


def test_without_enough_nsqds_it_fails_in_time() -> None:
    """A publish that one nsqd has and no other can take is unknown, since it is stored once."""
    made = setting(nsqds=2, down=(1,), publish_timeout=5)
    publish = made.pub(b"a")
    made.nsqds[0].connection.ok()
    made.advance(5)
    error = failed(publish)
    assert error.outcome is Outcome.UNKNOWN
    assert "1 of 2" in str(error)
    assert error.attempts == 1
    made.stop()


def test_all_refuse() -> None:
    """Refused by each, it is rejected, with the code."""
    made = setting(nsqds=2)
    publish = made.pub(b"a")
    made.nsqds[0].connection.error(b"E_BAD_TOPIC PUB topic")
    error = failed(publish)
    assert error.code == "E_BAD_TOPIC"
    # The other one has the message, and may take it.
    assert error.outcome is Outcome.UNKNOWN
    made.stop()


def test_nobody_is_there() -> None:
    """A publish that was sent nowhere is not executed."""
    made = setting(nsqds=2, down=(0, 1), publish_timeout=5)
    publish = made.pub(b"a")
    made.advance(5)
    assert failed(publish).outcome is Outcome.NOT_EXECUTED
    assert made.writer.stats().waiting == 0
    made.stop()


def test_cancelled() -> None:
    """What was not sent is not sent then."""
    made = setting(nsqds=2, down=(1,), max_reconnect_delay=1)
    publish = made.pub(b"a")
    publish.cancel()
    assert isinstance(result(publish), CancelledError)
    made.nsqds[1].up = True
    made.advance(1)
    assert everywhere(made) == [[b"a"], []]
    made.nsqds[0].connection.ok()
    made.stop()


def test_there_must_be_enough() -> None:
    """More copies than nsqds, or more answers than copies, are errors of the settings."""
    with pytest.raises(ConfigError, match="replicas is 3"):
        setting(nsqds=2, replicas=3)
    with pytest.raises(ConfigError, match="replica_answers"):
        WriterConfig(replicas=2, replica_answers=3)
    config = WriterConfig(replicas=2)
    Writer(reactor=Network(), lookupd_http_addresses=["127.0.0.1:4161"], config=config)
