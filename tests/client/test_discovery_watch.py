"""Discovery by nsqlookupd that can wait for news: watches."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nsqtx.client.discovery import CUT_PAUSE, FLOOR, WATCH
from nsqtx.cluster.errors import ApiError
from tests.support.discovery import Owner


@pytest.fixture
def owner() -> Iterator[Owner]:
    owner = Owner()
    owner.one.index = 7
    owner.two.at_once = []
    yield owner
    owner.discovery.stop()
    assert owner.one.waiting == []
    assert owner.clock.getDelayedCalls() == []


def test_who_can_wait_is_watched(owner: Owner) -> None:
    """From the first answer with an index on; the other is not."""
    owner.start()
    owner.one.answer("a:4150")
    assert owner.one.asked == [("t", 0.0, 0), ("t", WATCH, 7)]
    assert len(owner.two.asked) == 1


def test_without_the_option_nobody_is_watched() -> None:
    """Not even asked whether it can."""
    owner = Owner(long_poll=False)
    owner.one.index = 7
    owner.one.at_once = owner.two.at_once = []
    owner.start()
    owner.clock.advance(60)
    assert owner.one.asked == [("t", 0.0, None)] * 2
    owner.discovery.stop()


def test_news_bring_a_round_at_once(owner: Owner) -> None:
    """Everyone is asked, what comes is told, and the watch goes on from there."""
    owner.start()
    owner.one.answer("a:4150")
    owner.clock.advance(20)
    owner.one.index = 8
    owner.one.answer("a:4150", "b:4150")
    owner.clock.advance(0)
    assert owner.one.asked[2:] == [("t", 0.0, 0)]
    assert len(owner.two.asked) == 2
    owner.one.answer("a:4150", "b:4150")
    assert owner.told[-1] == (["a:4150", "b:4150"], True)
    assert owner.one.asked[3:] == [("t", WATCH, 8)]


def test_a_topic_that_is_not_there_is_watched(owner: Owner) -> None:
    """A consumer that starts first is connected as soon as there is an nsqd."""
    owner.start()
    owner.one.unknown()
    assert owner.one.asked[-1] == ("t", WATCH, 7)
    owner.clock.advance(WATCH)
    owner.one.unknown()
    assert owner.one.asked[2:] == [("t", WATCH, 7)]
    owner.one.index = 8
    owner.clock.advance(5)
    owner.one.answer("a:4150")
    owner.clock.advance(0)
    owner.one.answer("a:4150")
    assert owner.told == [([], True), (["a:4150"], True)]


def test_no_news_no_round(owner: Owner) -> None:
    """A watch that ends with the state as it was is followed by the next one."""
    owner.start()
    owner.one.answer("a:4150")
    owner.clock.advance(WATCH)
    owner.one.answer("a:4150")
    owner.clock.advance(1)
    assert owner.one.asked[1:] == [("t", WATCH, 7)] * 2
    assert len(owner.told) == 1


def test_one_that_answers_at_once_is_not_hammered(owner: Owner) -> None:
    """It says it can wait, and does not, with news each time or never."""
    owner.one.index = 7
    for changing in (False, True):
        asked, begun = len(owner.one.asked), owner.clock.seconds()
        if not owner.told:
            owner.start()
        while owner.clock.seconds() < begun + 30:
            while owner.one.waiting:
                if changing:
                    owner.one.index += 1
                owner.one.answer()
            owner.clock.advance(0.125)
        assert 20 <= len(owner.one.asked) - asked <= 2 * 30 / FLOOR + 2


def test_a_watch_that_is_cut(owner: Owner) -> None:
    """The nsqlookupd may be starting: it is asked again soon, and then as often as the others."""
    owner.start()
    owner.one.answer("a:4150")
    owner.clock.advance(10)
    owner.one.refuse()
    owner.clock.advance(CUT_PAUSE - 0.1)
    assert len(owner.one.asked) == 2
    owner.clock.advance(0.1)
    owner.clock.advance(0)
    assert len(owner.one.asked) == 3
    owner.one.refuse()
    assert owner.told[-1] == ([], False)
    owner.clock.advance(59)
    assert len(owner.one.asked) == 3
    owner.clock.advance(1)
    assert len(owner.one.asked) == 4
    owner.one.answer("a:4150")
    assert owner.one.asked[-1] == ("t", WATCH, 7)


def test_a_watch_that_is_refused(owner: Owner) -> None:
    """Too many wait there already: it is left in peace until the next round."""
    owner.start()
    owner.one.answer("a:4150")
    owner.one.refuse(ApiError("TOO_MANY_WAITING", status=503))
    owner.clock.advance(59)
    assert len(owner.one.asked) == 2
    owner.clock.advance(1)
    owner.one.answer("a:4150")
    assert owner.one.asked[-1] == ("t", WATCH, 7)


def test_one_that_can_wait_no_longer(owner: Owner) -> None:
    """It was replaced by an original: rounds alone."""
    owner.start()
    owner.one.answer("a:4150")
    owner.one.index = None
    owner.one.answer("a:4150")
    owner.clock.advance(59)
    assert len(owner.one.asked) == 2
    owner.clock.advance(1)
    owner.one.answer("a:4150")
    assert owner.one.asked[2:] == [("t", 0.0, 0)]


def test_a_watch_outlives_rounds(owner: Owner) -> None:
    """A round while it waits begins no second one, and what that round saw is no news."""
    owner.start()
    owner.one.answer("a:4150")
    owner.clock.advance(60)
    watch = owner.one.waiting.pop(0)
    owner.one.index = 8
    owner.one.answer("a:4150", "b:4150")
    assert owner.one.waiting == []
    owner.one.waiting.append(watch)
    owner.one.answer("a:4150", "b:4150")
    owner.clock.advance(2)
    assert owner.one.asked[3:] == [("t", WATCH, 8)]


def test_one_that_is_removed_is_watched_no_more(owner: Owner) -> None:
    """The request is cancelled, and nothing comes of it."""
    owner.start()
    owner.one.answer("a:4150")
    owner.discovery.remove("one")
    assert owner.one.cancelled == 1
    owner.clock.advance(300)
    assert len(owner.one.asked) == 2


@pytest.mark.parametrize("step", ["waiting", "cut", "at once"])
@pytest.mark.parametrize("hides_cancel", [False, True])
def test_stop_ends_watches(owner: Owner, step: str, hides_cancel: bool) -> None:
    """D9: while it waits, and in both of its pauses; the fixture looks for timers."""
    owner.one.hides_cancel = hides_cancel
    owner.start()
    owner.one.answer("a:4150")
    if step == "cut":
        owner.one.refuse()
    elif step == "at once":
        owner.one.answer("a:4150")
    owner.discovery.stop()
    assert owner.clock.getDelayedCalls() == []
    assert owner.one.cancelled == (step == "waiting")
