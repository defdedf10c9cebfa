"""A topic's messages on their way into its file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock

from nsqtx.durations import SECOND
from nsqtx.tools.nsq_to_file.archive import Archive
from nsqtx.tools.nsq_to_file.filename import file_name
from nsqtx.tools.nsq_to_file.options import NsqToFileOptions
from nsqtx.tools.nsq_to_file.output import Output
from tests.support.logged import Logged
from tests.support.toolreader import FakeMessage


class Consumer:
    """A Reader that says whether it is starved."""

    starved = False


class Topic:
    """An archive of a topic, in a directory of its own. Threads do their work at once."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.path = path
        self.clock = Clock()
        self.options = NsqToFileOptions(
            output_dir=str(path), filename_format="<TOPIC><REV>", **options
        )
        name = file_name(self.options, "t", "h", 1)
        self.output = Output(self.options, name, "[t/c] ", self.clock.seconds)
        self.archive = Archive(self.options, self.output, "[t/c] ", self.clock, self.in_thread)
        self.archive.consumer = self.consumer = Consumer()
        self.archive.start()
        self.held: Deferred[None] | None = None

    def in_thread(self, work: Callable[[], None]) -> Deferred[None]:
        """Do it now, or when `held` fires."""
        if self.held is not None:
            held, self.held = self.held, None
            return held.addCallback(lambda _: work())
        return maybeDeferred(work)

    def take(self, *bodies: bytes, time_left: float = 60.0) -> list[FakeMessage]:
        """Messages come, in one read."""
        messages = [FakeMessage(body) for body in bodies]
        for message in messages:
            message.time_left = time_left
            self.archive(message)
        self.archive.read_done()
        return messages

    def text(self, name: str = "t") -> str:
        """What a file holds."""
        return (self.path / name).read_text()


def answers(messages: list[FakeMessage]) -> list[str]:
    """How each was answered."""
    return [message.answer for message in messages]


def test_finished_when_synced(tmp_path: Path) -> None:
    """The first at once, others after the interval."""
    topic = Topic(tmp_path)
    first = topic.take(b"a", b"b")
    assert answers(first) == ["FIN", "FIN"]
    then = topic.take(b"c")
    assert answers(then) == [""]
    assert topic.text() == "a\nb\nc\n"
    topic.clock.advance(30)
    assert answers(then) == ["FIN"]


def test_a_full_flight_is_synced(tmp_path: Path) -> None:
    """No more would come."""
    topic = Topic(tmp_path, max_in_flight=3)
    topic.take(b"first")
    two = topic.take(b"a", b"b")
    assert answers(two) == ["", ""]
    assert answers(two + topic.take(b"c")) == ["FIN"] * 3


def test_a_starved_consumer_is_synced(tmp_path: Path) -> None:
    """One connection may have less than all of the flight."""
    topic = Topic(tmp_path)
    topic.take(b"first")
    topic.consumer.starved = True
    assert answers(topic.take(b"a")) == ["FIN"]


def test_the_sync_interval(tmp_path: Path) -> None:
    """Is an option."""
    topic = Topic(tmp_path, sync_interval=SECOND)
    topic.take(b"first")
    messages = topic.take(b"a")
    topic.clock.advance(0.9)
    assert answers(messages) == [""]
    topic.clock.advance(0.1)
    assert answers(messages) == ["FIN"]


def test_messages_gather_while_a_step_is_under_way(tmp_path: Path) -> None:
    """They are written by the next one, in their order."""
    topic = Topic(tmp_path)
    held: Deferred[None] = Deferred()
    topic.held = held
    first = topic.take(b"a")
    topic.take(b"b")
    topic.take(b"c")
    assert answers(first) == [""]
    held.callback(None)
    assert answers(first) == ["FIN"]
    assert topic.text() == "a\nb\nc\n"


def test_hanging_up_closes(tmp_path: Path) -> None:
    """What was written is finished, and the next message has another file."""
    topic = Topic(tmp_path, gzip=True)
    topic.take(b"a")
    messages = topic.take(b"b")
    topic.archive.hang_up()
    assert answers(messages) == ["FIN"]
    topic.take(b"c")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "t-000000.gz",
        "t-000001.gz",
    ]


def test_what_cannot_be_written_is_requeued(tmp_path: Path) -> None:
    """And only that: what was safe before is finished."""
    topic = Topic(tmp_path, rotate_size=1)
    first = topic.take(b"safe")
    (tmp_path / "t-000001").mkdir()
    messages = topic.take(b"a", b"b")
    assert answers(first + messages) == ["FIN", "REQ", "REQ"]
    (tmp_path / "t-000001").rmdir()
    assert answers(topic.take(b"a", b"b")) == ["FIN", "FIN"]


def test_a_stop_syncs_until_the_consumer_has_stopped(tmp_path: Path) -> None:
    """Then the file is closed, and nothing ticks any more."""
    topic = Topic(tmp_path, gzip=True)
    topic.take(b"first")
    waiting = topic.take(b"a")
    topic.archive.stop()
    assert answers(waiting) == ["FIN"]
    assert answers(topic.take(b"late")) == ["FIN"]
    assert topic.archive.close().called
    assert topic.clock.getDelayedCalls() == []


@pytest.mark.parametrize("synced", [True, False])
def test_what_the_client_gave_back_is_not_answered_again(tmp_path: Path, synced: bool) -> None:
    """It does so when the time for a stop is up."""
    topic = Topic(tmp_path, rotate_size=1)
    topic.take(b"first")
    held: Deferred[None] = Deferred()
    topic.held = held
    (message,) = topic.take(b"a")
    message.answered = True
    if not synced:
        (tmp_path / "t-000001").mkdir()
    held.callback(None)
    assert message.answer == ""


def test_syncs_are_told_once_a_second(tmp_path: Path) -> None:
    """All of them together, and what is left at the stop."""
    topic = Topic(tmp_path, max_in_flight=1)
    with Logged() as said:
        for number in range(10):
            topic.take(b"%d" % number)
            topic.clock.advance(0.3)
        topic.archive.stop()
        topic.take(b"last")
        topic.archive.close()
    lines = [line for line in said.lines if "syncing" in line]
    counts = [int(line.split()[2]) for line in lines]
    assert counts == [1, 4, 4, 2]


def test_by_a_bug_no_message_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not written is not finished, then or later."""
    topic = Topic(tmp_path)
    topic.take(b"first")
    with monkeypatch.context() as patched, Logged() as said:
        patched.setattr(topic.output, "_append", lambda data: 1 // 0)
        messages = topic.take(b"a", b"b")
    assert said.failures == [ZeroDivisionError]
    assert answers(messages) == ["REQ", "REQ"]
    topic.consumer.starved = True
    assert answers(topic.take(b"c")) == ["FIN"]
    assert topic.text() == "first\nc\n"


def test_an_interval_that_is_too_long_is_shortened(tmp_path: Path) -> None:
    """Else nsqd would deliver everything again before it is finished. The default is not."""
    with Logged() as said:
        Topic(tmp_path / "default").take(b"first", time_left=59.0)
    assert not [line for line in said.lines if line.startswith("W ")]
    topic = Topic(tmp_path, sync_interval=60 * SECOND)
    with Logged() as said:
        topic.take(b"first")
        messages = topic.take(b"a")
    assert [line for line in said.lines if line.startswith("W ")] == [
        "W [t/c] --sync-interval is too long for nsqd's message timeout: syncing every 30.0 s"
    ]
    topic.clock.advance(30)
    assert answers(messages) == ["FIN"]
