"""nsq_to_file put together: topics, consumers, files, start and stop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from nsqtx.tools.nsq_to_file import service as module
from nsqtx.tools.nsq_to_file.options import NsqToFileOptions
from nsqtx.tools.nsq_to_file.service import NsqToFileService
from tests.support.logged import Logged
from tests.support.toolreader import FakeReader


class Pool:
    """Threads that do their work at once."""


class ThreadlessClock(Clock):
    """A clock with such a pool."""

    def getThreadPool(self) -> Pool:
        """That pool."""
        return Pool()


class Running:
    """A nsq_to_file in a directory of its own."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
        monkeypatch.setattr(module, "deferToThreadPool", self.at_once)
        self.clock = ThreadlessClock()
        self.readers: dict[str, FakeReader] = {}
        self.path = path
        options.setdefault("filename_format", "<TOPIC><REV>")
        self.service = NsqToFileService(
            NsqToFileOptions(output_dir=str(path), **options),
            self.clock,
            self.make_reader,
            [lambda: succeed(["found", "other"])],
        )

    @staticmethod
    def at_once(reactor: object, pool: object, work: Callable[[], None]) -> Deferred[None]:
        """In no thread."""
        done: Deferred[None] = Deferred()
        try:
            work()
        except OSError:
            done.errback()
        else:
            done.callback(None)
        return done

    def make_reader(self, topic: str, handler: Callable[[Any], None]) -> FakeReader:
        """Make one, and remember it."""
        self.readers[topic] = FakeReader(topic, handler)
        return self.readers[topic]


def test_a_consumer_for_each_topic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a file; a stop waits for the consumers, syncs and closes."""
    tool = Running(tmp_path, monkeypatch, topic=["a", "b"], gzip=True)
    tool.service.startService()
    assert all(reader.running for reader in tool.readers.values())
    first = tool.readers["a"].receive(b"1") + tool.readers["b"].receive(b"2")
    late = tool.readers["a"].receive(b"3")
    assert [message.answer for message in first + late] == ["FIN", "FIN", ""]
    held: Deferred[None] = Deferred()
    tool.readers["a"].stopping = held
    stopped = tool.service.stopService()
    assert late[0].answer == "FIN"
    assert not stopped.called
    held.callback(None)
    assert stopped.called
    assert tool.clock.getDelayedCalls() == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-000000.gz", "b-000000.gz"]


def test_topics_of_nsqlookupd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a topic those that match are consumed, from the start."""
    tool = Running(tmp_path, monkeypatch, topic_pattern="^f")
    tool.service.startService()
    assert list(tool.readers) == ["found"]
    tool.service.stopService()
    assert tool.clock.getDelayedCalls() == []


def test_hanging_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next message of each topic is in another file."""
    tool = Running(tmp_path, monkeypatch, topic=["a"], gzip=True)
    tool.service.startService()
    for body in (b"1", b"2"):
        tool.readers["a"].receive(body)
        tool.service.hung_up()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-000000.gz", "a-000001.gz"]
    tool.service.stopService()


def test_a_topic_that_would_leave_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is not consumed; the others are."""
    form = "<TOPIC>/<TOPIC>"
    tool = Running(tmp_path, monkeypatch, topic=["..", "a"], filename_format=form)
    with Logged() as said:
        tool.service.startService()
    assert list(tool.readers) == ["a"]
    assert said.lines[0].startswith("E couldn't create logger for new topic ..: ")
    tool.service.stopService()
