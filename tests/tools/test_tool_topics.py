"""Which topics nsq_to_file consumes."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from nsqtx.cluster.errors import ApiError
from nsqtx.durations import SECOND
from nsqtx.tools import patterns
from nsqtx.tools.nsq_to_file.topics import TopicFinder
from nsqtx.tools.patterns import PatternError, TopicPattern
from tests.support.logged import Logged


class Cluster:
    """Some nsqlookupd, and a finder that asks them."""

    def __init__(self, pattern: str = "", refresh: int = 60 * SECOND) -> None:
        self.clock = Clock()
        self.known: dict[str, list[str] | Exception] = {"a": [], "b": []}
        self.found: list[str] = []
        lookups = [lambda: self.answer("a"), lambda: self.answer("b")]
        self.finder = TopicFinder(
            TopicPattern(pattern), self.found.append, lookups, refresh, self.clock
        )

    def answer(self, name: str) -> Deferred[list[str]]:
        """What this one knows."""
        known = self.known[name]
        return fail(known) if isinstance(known, Exception) else succeed(known)


def test_topics_are_found_at_once_and_later() -> None:
    """Each once, of all nsqlookupd."""
    cluster = Cluster("^e")
    cluster.known = {"a": ["events", "other"], "b": ["errors", "events"]}
    cluster.finder.start()
    assert cluster.found == ["events", "errors"]
    cluster.known["b"] = ["events", "extra"]
    cluster.clock.advance(60)
    assert cluster.found == ["events", "errors", "extra"]
    cluster.finder.stop()
    assert cluster.clock.getDelayedCalls() == []


def test_a_dead_nsqlookupd_hides_nothing_of_the_others() -> None:
    """It is in the log."""
    cluster = Cluster()
    cluster.known = {"a": ApiError("refused"), "b": ["t"]}
    with Logged() as said:
        cluster.finder.start()
    assert cluster.found == ["t"]
    assert said.lines == ["E could not retrieve topic list: refused"]
    cluster.finder.stop()


def test_without_refresh_once_is_enough() -> None:
    """0 means never again."""
    cluster = Cluster(refresh=0)
    cluster.known["a"] = ["t"]
    cluster.finder.start()
    assert cluster.found == ["t"]
    assert cluster.clock.getDelayedCalls() == []
    cluster.finder.stop()


def test_a_stop_ends_the_asking() -> None:
    """Requests under way are cancelled."""
    clock = Clock()
    asked: Deferred[list[str]] = Deferred()
    finder = TopicFinder(TopicPattern(""), lambda _: None, [lambda: asked], SECOND, clock)
    finder.start()
    finder.stop()
    assert asked.called
    assert clock.getDelayedCalls() == []


def test_what_is_passed_over_is_said_once() -> None:
    """Topics that do not match, and what is no name."""
    cluster = Cluster("x")
    with Logged() as said:
        cluster.finder.take(["a:b", "t"])
        cluster.finder.take(["a:b", "t"])
    assert said.lines == [
        "E a:b is no name of a topic",
        "W skipping topic t (doesn't match pattern x)",
    ]
    assert cluster.found == []


@pytest.mark.parametrize("with_re2", [True, False])
def test_patterns(with_re2: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are found anywhere, and refused when they are none; RE2 is not needed."""
    if not with_re2:
        monkeypatch.setattr(patterns, "re2", None)
    pattern = TopicPattern("[ab]$")
    assert [pattern.matches(name) for name in ("xa", "b", "ax")] == [True, True, False]
    with pytest.raises(PatternError, match="missing"):
        TopicPattern("(")
