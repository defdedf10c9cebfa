"""What a Writer sends, and what it refuses to send (client section 14.6)."""

from __future__ import annotations

from typing import Any

import pytest

from nsqtx.client.errors import Outcome
from tests.support.writers import Setting, failed, result


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
