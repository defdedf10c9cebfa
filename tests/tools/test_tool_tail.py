"""nsq_tail: messages on their way to standard output."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from nsqtx.client.handling import Collector
from nsqtx.tools.nsq_tail.options import NsqTailOptions, start_error
from nsqtx.tools.nsq_tail.tail import Tail, TopicTail
from tests.support.toolreader import FakeMessage


class Terminal:
    """Where lines go, and how it ends."""

    def __init__(self, limit: int = 0) -> None:
        self.out = b""
        self.held: Deferred[None] | None = None
        self.error: OSError | None = None
        self.ended: list[str] = []
        self.tail = Tail(self.write, limit, lambda: self.ended.append("done"), self.ended.append)
        self.topic = TopicTail(self.tail, b"")

    def write(self, data: bytes) -> Deferred[None]:
        """Now, or when `held` fires."""
        if self.error is not None:
            return fail(self.error)
        self.out += data
        if self.held is not None:
            return self.held
        return succeed(None)

    def receive(self, *bodies: bytes) -> list[FakeMessage]:
        """Messages come, in one read."""
        messages = [FakeMessage(body) for body in bodies]
        for message in messages:
            self.topic(message)
        self.topic.read_done()
        return messages


def answers(messages: list[FakeMessage]) -> str:
    """How each was answered."""
    return " ".join(message.answer or "-" for message in messages)


def test_finished_when_written() -> None:
    """Not before; what comes meanwhile waits."""
    terminal = Terminal()
    terminal.held = held = Deferred[None]()
    first = terminal.receive(b"a", b"b\xff")
    second = terminal.receive(b"c")
    assert terminal.out == b"a\nb\xff\n"
    assert answers(first + second) == "- - -"
    terminal.held = None
    held.callback(None)
    assert answers(first + second) == "FIN FIN FIN"
    assert terminal.out == b"a\nb\xff\nc\n"
    assert terminal.ended == []


def test_a_stop_gives_back_what_is_not_being_written() -> None:
    """What is, is finished when it is."""
    terminal = Terminal()
    terminal.held = held = Deferred[None]()
    messages = terminal.receive(b"a") + terminal.receive(b"b")
    terminal.topic.stop()
    held.callback(None)
    assert answers(messages) == "FIN REQ"


def test_the_topic_before_each() -> None:
    """If it is asked for."""
    terminal = Terminal()
    terminal.topic = TopicTail(terminal.tail, b"t | ")
    terminal.receive(b"a")
    assert terminal.out == b"t | a\n"
    assert isinstance(terminal.topic, Collector)


def test_so_many_of_all_topics() -> None:
    """They are finished, and that is the end, at which the others go back."""
    terminal = Terminal(3)
    other = TopicTail(terminal.tail, b"")
    first = terminal.receive(b"a", b"b")
    terminal.topic = other
    second = terminal.receive(b"c", b"d")
    assert answers(first + second) == "FIN FIN FIN -"
    assert terminal.out == b"a\nb\nc\n"
    assert terminal.ended == ["done"]
    third = terminal.receive(b"e")
    terminal.topic.stop()
    assert answers(second + third) == "FIN REQ REQ"


def test_nobody_reads_any_more() -> None:
    """That is the end, at which all goes back."""
    terminal = Terminal()
    terminal.error = BrokenPipeError(32, "Broken pipe")
    messages = terminal.receive(b"a") + terminal.receive(b"b")
    assert answers(messages) == "- -"
    terminal.topic.stop()
    assert answers(messages) == "REQ REQ"
    assert terminal.ended == ["ERROR: failed to write to os.Stdout - [Errno 32] Broken pipe"]


def test_what_the_client_gave_back_is_not_answered_again() -> None:
    """It does so when the time for a stop is up."""
    terminal = Terminal()
    terminal.held = held = Deferred[None]()
    (message,) = terminal.receive(b"a")
    message.answered = True
    held.callback(None)
    assert message.answer == ""


GOOD: dict[str, Any] = {"topic": ["t"], "nsqd_tcp_address": ["h:1"]}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, None),
        ({"nsqd_tcp_address": []}, "--nsqd-tcp-address or --lookupd-http-address required"),
        ({"topic": []}, "--topic required"),
        ({"topic": ["a:b"]}, "invalid topic name"),
        ({"channel": "a:b"}, "invalid channel name"),
        ({"lookupd_http_address": ["h:1:2"], "nsqd_tcp_address": []}, "'h:1:2' is neither .*"),
    ],
)
def test_options(options: dict[str, Any], reason: str | None) -> None:
    """What cannot be is said."""
    told = start_error(NsqTailOptions(**{**GOOD, **options}))
    assert told == reason or str(told).startswith(str(reason).removesuffix(".*"))


def test_a_channel_of_its_own() -> None:
    """It goes when nsq_tail ends, and no two are alike."""
    names = {NsqTailOptions().channel for _ in range(5)}
    assert len(names) > 1
    for name in names:
        assert name.startswith("tail")
        assert name.endswith("#ephemeral")
        assert len(name) == 20


def test_no_more_in_flight_than_shown() -> None:
    """Others would only have to go back."""
    assert NsqTailOptions(n=3).max_in_flight == 3
    assert NsqTailOptions(n=300).max_in_flight == 200
    assert NsqTailOptions().max_in_flight == 200
