"""What other clients of NSQ get wrong (client section 15): each trap by its number there.

Traps of discovery, RDY shares, backoff and publishing have tests of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from nsqtx.client.config import ReaderConfig
from nsqtx.client.errors import AlreadyAnswered, ConfigError
from nsqtx.client.events import AnswerLost, ConnectFailed, Disconnected
from nsqtx.client.message import Message
from tests.support.logged import Logged
from tests.support.scriptedreader import ScriptedReader


@pytest.fixture
def setting() -> Iterator[ScriptedReader]:
    """A Reader with max_in_flight 5 whose messages are kept; it stops in the end."""
    setting = ScriptedReader(max_in_flight=5)
    yield setting
    setting.stop()


def test_1_rdy_is_a_cap(setting: ScriptedReader) -> None:
    """It is sent once, however many messages come and are finished."""
    assert setting.sent() == ["RDY 5"]
    for number in range(20):
        setting.push(number)
        setting.messages[-1].finish()
    assert setting.sent() == [f"FIN {number}" for number in range(20)]


@pytest.mark.parametrize("attempts", [6, 32768, 40000, 65535, 0])
def test_2_attempts_are_unsigned(attempts: int) -> None:
    """From 32768 on a message has more than five attempts, too, and after 65535 comes 0."""
    setting = ScriptedReader(max_attempts=5)
    setting.push(attempts=attempts)
    assert setting.messages == []
    assert setting.sent() == ["RDY 1", "FIN 1"]
    setting.stop()


@pytest.mark.parametrize(("attempts", "delay"), [(1, 90), (9, 810), (10, 900), (40000, 900)])
def test_2_no_delay_is_negative(attempts: int, delay: int) -> None:
    """The automatic delay grows with the attempts, up to its cap."""
    setting = ScriptedReader(max_attempts=0, backoff=False)
    setting.push(attempts=attempts)
    setting.messages[0].requeue()
    assert setting.sent() == ["RDY 1", f"REQ 1 {delay * 1000}"]
    setting.stop()


def test_3_timestamps_are_exact(setting: ScriptedReader) -> None:
    """Nanoseconds beyond what a float can hold."""
    setting.push(timestamp=1_700_000_000_123_456_789)
    assert setting.messages[0].timestamp == 1_700_000_000_123_456_789


@pytest.mark.parametrize("text", [b"E_BAD_PROTOCOL", b"E_NEVER_SEEN with words", b"", b"E_\xff"])
def test_4_errors_have_one_word(setting: ScriptedReader, text: bytes) -> None:
    """Bare, unknown or no text: the connection ends with that for a reason, and comes back."""
    setting.connection.send(text, 1)
    setting.advance()
    (gone,) = [event for event in setting.events if isinstance(event, Disconnected)]
    assert gone.reason == text.decode("utf-8", "backslashreplace")
    setting.advance(5)
    assert len(setting.nsqds[0].connections) == 2


@pytest.mark.parametrize("code", ["E_FIN_FAILED", "E_REQ_FAILED", "E_TOUCH_FAILED"])
def test_5_some_errors_end_nothing(setting: ScriptedReader, code: str) -> None:
    """The connection stays, and the event has the text, in which the id is."""
    text = f"{code} FIN 0000000000000001 failed ID not in flight"
    setting.connection.send(text.encode(), 1)
    setting.push()
    assert not setting.connection.lost
    assert len(setting.messages) == 1
    assert [event.reason for event in setting.events if isinstance(event, AnswerLost)] == [text]


def test_6_a_heartbeat_is_no_answer(setting: ScriptedReader) -> None:
    """Neither to SUB nor to CLS: both wait for theirs."""
    setting.stop()
    setting = ScriptedReader()
    nsqd = setting.nsqds[0]
    nsqd.answers[b"SUB"] = None
    nsqd.connection.lose()
    setting.advance(5)
    assert nsqd.connection.names() == [b"IDENTIFY", b"SUB"]
    nsqd.connection.heartbeat()
    setting.advance()
    assert nsqd.connection.names() == [b"IDENTIFY", b"SUB", b"NOP"]
    nsqd.connection.ok()
    setting.advance()
    assert setting.sent() == ["RDY 1"]
    nsqd.answers[b"CLS"] = None
    setting.reader.stopService()
    nsqd.connection.heartbeat()
    setting.advance()
    assert not nsqd.connection.lost
    nsqd.connection.send(b"CLOSE_WAIT")
    setting.advance()
    assert nsqd.connection.lost
    setting.stop()


def test_12_delays_are_what_nsqd_takes(setting: ScriptedReader) -> None:
    """More than an hour is fatal with old nsqds, less than nothing with all."""
    setting.push(1)
    setting.push(2)
    setting.messages[0].requeue(10_000, backoff=False)
    setting.messages[1].requeue(-1, backoff=False)
    assert setting.sent() == ["RDY 5", "REQ 1 3600000", "REQ 2 0"]


def test_14_the_secret_is_sent_if_asked_for() -> None:
    """An nsqd without authorization closes at AUTH."""
    for required in (False, True):
        setting = ScriptedReader(auth_secret="s", answer={"auth_required": required})
        assert (b"AUTH" in setting.connection.names()) == required
        setting.stop()


def test_19_the_port_of_http_is_refused(setting: ScriptedReader) -> None:
    """1.2 GB are not waited for."""
    setting.connection.receive(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    setting.advance()
    assert setting.connection.lost
    (gone,) = [event for event in setting.events if isinstance(event, Disconnected)]
    assert "HTTP" in gone.reason


def test_25_consumers_have_heartbeats() -> None:
    """nsqd does not let one subscribe without."""
    with pytest.raises(ConfigError):
        ReaderConfig(heartbeat_interval=-1)


def test_28_without_backoff_rdy_stays() -> None:
    """max_backoff_duration 0 turns it off, and does not leave RDY at 1."""
    setting = ScriptedReader(max_in_flight=5, max_backoff_duration=0)
    setting.push()
    setting.messages[0].requeue()
    setting.advance(10)
    assert setting.sent() == ["RDY 5", "REQ 1 90000"]
    setting.stop()


def test_32_giving_up_is_no_success() -> None:
    """The level stays, and the block is as long as before."""
    setting = ScriptedReader(max_in_flight=5, max_attempts=5)
    setting.push(1)
    setting.messages[0].requeue(0)
    setting.advance(2)
    setting.push(2, attempts=6)
    assert setting.sent() == ["RDY 5", "RDY 0", "REQ 1 0", "RDY 1", "RDY 0", "FIN 2"]
    assert setting.reader.backoff.level == 1
    assert setting.reader.backoff.remaining == 2
    setting.stop()


def test_33_rdy_comes_before_the_answer() -> None:
    """B1: what an nsqd sees of ok, fail, fail, ok, ok."""
    outcomes = iter(["ok", "fail", "fail", "ok", "ok"])

    def handle(message: Message) -> None:
        if next(outcomes) == "fail":
            message.requeue(0)

    setting = ScriptedReader(handle, max_in_flight=5)
    for number, wait in ((1, 0), (2, 2), (3, 4), (4, 2), (5, 0)):
        setting.push(number)
        setting.advance(wait)
    assert " ".join(setting.sent()) == (
        "RDY 5 FIN 1 RDY 0 REQ 2 0 RDY 1 RDY 0 REQ 3 0 RDY 1 RDY 0 FIN 4 RDY 1 RDY 5 FIN 5"
    )
    setting.stop()


def test_36_heartbeats_wait_for_no_handler() -> None:
    """All handlers run and more messages wait: each heartbeat is answered at once."""
    setting = ScriptedReader(lambda _: Deferred(), max_in_flight=5, concurrency=1)
    for number in range(5):
        setting.push(number)
    for _ in range(3):
        setting.connection.heartbeat()
    assert setting.connection.names()[-3:] == [b"NOP"] * 3
    setting.stop()


def test_37_heartbeats_go_on_in_the_drain() -> None:
    """However long the last handler takes, and it may still touch and finish."""
    handlers: list[Deferred[None]] = [Deferred()]
    setting = ScriptedReader(lambda _: handlers[0], drain_timeout=300.0)
    setting.push()
    setting.reader.stopService()
    setting.advance()
    for _ in range(8):
        setting.advance(30)
        setting.connection.heartbeat()
    setting.messages[0].touch()
    handlers[0].callback(None)
    assert setting.sent() == ["RDY 1", "CLS", "TOUCH 1", "FIN 1"]
    assert setting.connection.names().count(b"NOP") == 8
    setting.advance()
    assert setting.connection.lost
    setting.stop()


def test_38_what_was_stopped_does_not_come_back() -> None:
    """Stopped while connected, and while it waits to dial again."""
    for lose_first in (False, True):
        setting = ScriptedReader()
        if lose_first:
            setting.connection.lose()
        setting.stop()
        setting.advance(600)
        assert len(setting.nsqds[0].connections) == 1


def test_39_leaving_one_nsqd_strands_nothing() -> None:
    """It is told CLS, what runs is finished, what comes late goes back, then it is closed."""
    setting = ScriptedReader(nsqds=2, max_in_flight=4)
    setting.push(1)
    setting.reader.nsqds.remove_nsqd(setting.nsqds[0].address)
    setting.push(2)
    setting.advance()
    assert not setting.connection.lost
    setting.messages[0].finish()
    setting.advance()
    assert setting.connection.lost
    assert setting.sent() == ["RDY 4", "RDY 2", "CLS", "REQ 2 0", "FIN 1"]
    setting.advance(600)
    assert len(setting.nsqds[0].connections) == 1
    assert setting.sent(1)[-1] == "RDY 4"
    setting.stop()


def test_40_more_in_flight_than_rdy_is_no_error(setting: ScriptedReader) -> None:
    """nsqd pushes again what has timed out while the handler still runs."""
    for number in range(12):
        setting.push(number)
    assert len(setting.messages) == 12
    for message in setting.messages:
        message.finish()
    assert len(setting.sent()) == 1 + 12
    assert not setting.connection.lost


def test_41_a_message_is_answered_once(setting: ScriptedReader) -> None:
    """In the same turn of the reactor, too; and one that is answered cannot be touched."""
    setting.push()
    (message,) = setting.messages
    message.finish()
    for again in (message.finish, message.requeue, message.touch):
        with pytest.raises(AlreadyAnswered):
            again()
    assert setting.sent() == ["RDY 5", "FIN 1"]
    assert setting.reader.backoff.level == 0


def test_41_one_id_twice_is_two_messages(setting: ScriptedReader) -> None:
    """Pushed again after a timeout while the first handler runs: each has its own answer."""
    setting.push(7)
    setting.push(7, attempts=2)
    first, second = setting.messages
    second.finish()
    assert not first.answered
    first.requeue(0, backoff=False)
    assert setting.sent() == ["RDY 5", "FIN 7", "REQ 7 0"]
    assert setting.reader.ready.snapshot().in_flight == 0


def test_50_a_handler_without_a_result_finishes() -> None:
    """None is what a handler returns that has done its work."""
    setting = ScriptedReader(lambda _: None)
    setting.push()
    assert setting.sent() == ["RDY 1", "FIN 1"]
    setting.stop()


@pytest.mark.parametrize("late", [False, True])
def test_51_what_a_handler_raises_is_told(late: bool) -> None:
    """A coroutine that fails is requeued and logged as one that fails at once is."""

    def handle(_: Message) -> Any:
        if late:
            waiting: Deferred[None] = Deferred()
            failing.network.callLater(1, waiting.errback, ValueError("no"))
            return waiting
        raise ValueError("no")

    failing = ScriptedReader(handle)
    with Logged() as logged:
        failing.push()
        failing.advance(1)
    assert logged.failures == [ValueError]
    assert "REQ 1 90000" in failing.sent()
    assert "HandlerFailed" in [type(event).__name__ for event in failing.events]
    failing.stop()


def test_55_an_address_given_twice_is_one_connection(setting: ScriptedReader) -> None:
    """It would have twice its share."""
    setting.reader.nsqds.add_nsqd(setting.nsqds[0].address)
    setting.advance()
    assert len(setting.nsqds[0].connections) == 1


def test_64_a_restart_costs_no_minute(setting: ScriptedReader) -> None:
    """An nsqd that is away for three seconds is found again within the next four."""
    nsqd = setting.nsqds[0]
    nsqd.up = False
    nsqd.connection.lose()
    for _ in range(12):
        setting.advance(0.25)
    nsqd.up = True
    for _ in range(16):
        setting.advance(0.25)
    assert len(nsqd.connections) == 2
    assert any(isinstance(event, ConnectFailed) for event in setting.events)
