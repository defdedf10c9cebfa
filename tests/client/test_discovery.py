"""Discovery by nsqlookupd: rounds (client section 14.5)."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsqtx.client.discovery import Absences, Discovery
from nsqtx.client.events import LookupRound
from nsqtx.cluster.errors import ApiError
from nsqtx.cluster.producers import Producer
from tests.support.discovery import FakeLookupClient, Owner
from tests.support.logged import Logged


@pytest.fixture
def owner() -> Iterator[Owner]:
    owner = Owner()
    yield owner
    owner.discovery.stop()
    assert owner.clock.getDelayedCalls() == []


def test_what_both_say_is_put_together(owner: Owner) -> None:
    """D1: A, B and B, C are A, B, C, once each; the first round is at once."""
    owner.start()
    assert owner.round("a:4150 b:4150", "b:4150 c:4150 ::1:4150") == (
        ["[::1]:4150", "a:4150", "b:4150", "c:4150"],
        True,
    )
    assert owner.one.asked == [("t", 0.0, 0), ("t", 0.0, 0)]


def test_one_that_fails_does_not_hide_the_other(owner: Owner) -> None:
    """D2: what the other says counts, the round is incomplete, and the event has the reason."""
    owner.start()
    with Logged() as logged:
        assert owner.round(None, "b:4150") == (["b:4150"], False)
        owner.round(None, "b:4150")
        owner.round("a:4150", "b:4150")
    assert owner.events[0] == LookupRound(frozenset(["b:4150"]), {"one": "it is down"})
    assert owner.events[2] == LookupRound(frozenset(["a:4150", "b:4150"]), {})
    about_one = [line for line in logged.lines if "nsqlookupd one" in line]
    assert about_one == ["W nsqlookupd one: it is down", "nsqlookupd one: answers again"]


def test_one_that_names_too_many_is_not_followed(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each nsqd would be dialled: so many are an answer that failed."""
    monkeypatch.setattr("nsqtx.client.discovery.MOST_PRODUCERS", 2)
    owner.start()
    with Logged():
        assert owner.round("a:1 b:1 c:1", "b:4150") == (["b:4150"], False)
    reason = "it names 3 nsqd: more than 2"
    assert owner.events[0] == LookupRound(frozenset(["b:4150"]), {"one": reason})


def test_an_unknown_topic_is_normal(owner: Owner) -> None:
    """D3: all say 404: nothing is logged but for debugging, and rounds go on as usual."""
    owner.start()
    with Logged() as logged:
        for _ in range(3):
            owner.one.unknown()
            owner.two.unknown()
            assert owner.told[-1] == ([], True)
            owner.clock.advance(60)
    assert [line for line in logged.lines if line.startswith(("W", "E", "F"))] == []
    assert len(owner.one.asked) == 4


def test_another_404_is_a_failure(owner: Owner) -> None:
    """Of a proxy that does not know the path, say."""
    owner.start()
    owner.one.refuse(ApiError("no such page", status=404))
    owner.two.unknown()
    assert owner.told == [([], False)]


def test_rounds_follow_with_jitter() -> None:
    """The interval, and up to 0.3 of it by lot, anew each time."""
    owner = Owner(jitter=0.3)
    owner.one.at_once = owner.two.at_once = []
    owner.start()
    drawn, times = Random(1), []
    for _ in range(3):
        (call,) = owner.clock.getDelayedCalls()
        times.append(call.getTime() - owner.clock.seconds())
        owner.clock.advance(times[-1] + 0.001)
    assert times == pytest.approx([60 * (1 + 0.3 * drawn.random()) for _ in range(3)], abs=0.01)
    owner.discovery.stop()


def test_a_slow_one_does_not_hold_up_the_start(owner: Owner) -> None:
    """What the other said is told after a second, as incomplete; all of it at the end."""
    owner.start()
    owner.clock.advance(0.5)
    owner.one.answer("a:4150")
    assert owner.told == []
    owner.clock.advance(0.5)
    assert owner.told == [(["a:4150"], False)]
    assert owner.events == []
    owner.two.answer("b:4150")
    assert owner.told[1:] == [(["a:4150", "b:4150"], True)]


def test_nobody_answers_for_a_second(owner: Owner) -> None:
    """Then there is nothing to tell yet."""
    owner.start()
    owner.clock.advance(30)
    assert owner.told == []
    assert len(owner.one.asked) == 1


def test_incomplete_rounds_remove_nobody() -> None:
    """D5, D6: gone is who was absent in two complete rounds, in a row but for incomplete ones."""
    owner = Owner(drop_after=2)
    owner.start()
    owner.round("a:4150 b:4150", "")
    owner.round("b:4150", None)
    owner.round("b:4150", "")
    owner.round("b:4150", None)
    assert owner.gone == []
    owner.round("b:4150", "")
    assert owner.gone == [["a:4150"]]
    owner.round("", "")
    owner.round("", "b:4150")
    owner.round("", "")
    assert owner.gone == [["a:4150"]]
    owner.round("", "")
    owner.round("", "")
    assert owner.gone == [["a:4150"], ["b:4150"]]
    owner.discovery.stop()


def test_without_the_option_nobody_is_gone(owner: Owner) -> None:
    """As in the original: a connection is kept while it lives."""
    owner.start()
    owner.round("a:4150", "")
    for _ in range(5):
        owner.round("", "")
    assert owner.gone == []


@given(st.lists(st.tuples(st.frozensets(st.sampled_from("abc")), st.booleans()), max_size=12))
def test_absences(rounds: list[tuple[frozenset[str], bool]]) -> None:
    """Gone is who was named before, and then not in three complete rounds, whatever is between."""
    absences = Absences(3)
    for number, (named, complete) in enumerate(rounds):
        gone = absences.round(named, complete)
        for address in "abc":
            missed, seen = 0, False
            for names, whole in reversed(rounds[: number + 1]):
                if address in names:
                    seen = True
                    break
                missed += whole
            assert (address in gone) == (seen and complete and missed == 3)


def test_addresses_are_translated() -> None:
    """D1 by what consumers can reach: two names of one nsqd are one address, None is nowhere."""

    def translate(producer: Producer) -> str | None:
        return {"in": "out:1", "also-in": "out:1"}.get(producer.broadcast_address)

    owner = Owner(translate=translate)
    owner.start()
    assert owner.round("in:4150 hidden:4150", "also-in:4150") == (["out:1"], True)
    owner.discovery.stop()


def test_addresses_are_chosen() -> None:
    """The filter has the last word on whom to connect to; it does not make anyone gone."""
    owner = Owner(choose=lambda named: sorted(named)[:1], drop_after=1)
    owner.start()
    assert owner.round("c:4150 b:4150", "a:4150") == (["a:4150"], True)
    assert owner.round("b:4150", "c:4150 a:4150") == (["a:4150"], True)
    assert owner.gone == []
    owner.discovery.stop()


@pytest.mark.parametrize("address", ["/run/nsqd.sock:1", "a=b:4150", ":4150", "a:0", "a:70000"])
def test_what_is_no_address_is_left_out(owner: Owner, address: str) -> None:
    """nsqlookupd cannot make us connect to a path, or to nothing."""
    owner.start()
    assert owner.round(address, "b:4150") == (["b:4150"], True)


def test_a_function_that_raises_ends_nothing() -> None:
    """It is logged, and the next round comes."""
    calls = []

    def choose(named: frozenset[str]) -> frozenset[str]:
        calls.append(named)
        raise ValueError("no")

    owner = Owner(choose=choose)
    owner.one.at_once = owner.two.at_once = []
    with Logged() as logged:
        owner.start()
        owner.clock.advance(60)
    assert len(calls) == 2
    assert logged.failures == [ValueError, ValueError]
    owner.discovery.stop()


def test_poll_soon(owner: Owner) -> None:
    """D7: a lost connection is reason to ask, once, and only what is named then counts."""
    owner.start()
    owner.round("a:4150", "")
    owner.one.at_once = owner.two.at_once = []
    owner.one.answer()
    owner.two.answer()
    owner.clock.advance(30)
    for _ in range(3):
        owner.discovery.poll_soon()
    owner.clock.advance(0)
    assert len(owner.one.asked) == 3
    assert owner.told[-1] == ([], True)
    owner.clock.advance(59)
    assert len(owner.one.asked) == 3
    owner.clock.advance(1)
    assert len(owner.one.asked) == 4


def test_poll_soon_does_not_hammer(owner: Owner) -> None:
    """An nsqd that is named and never reached: 1, 2, 4 ... seconds between rounds; then anew."""
    owner.one.at_once = owner.two.at_once = ["a:4150"]
    owner.start()
    begun = []
    asked = len(owner.one.asked)
    while owner.clock.seconds() < 1200:
        owner.discovery.poll_soon()
        owner.clock.advance(0.25)
        if len(owner.one.asked) > asked:
            begun.append(owner.clock.seconds() - 1000)
            asked = len(owner.one.asked)
    assert begun == [1, 3, 7, 15, 31, 63, 123, 183]
    owner.clock.pump([1] * 120)
    asked = len(owner.one.asked)
    owner.clock.advance(30)
    owner.discovery.poll_soon()
    owner.clock.advance(0)
    assert len(owner.one.asked) == asked + 1


def test_poll_soon_during_a_round(owner: Owner) -> None:
    """The answers may be older than the loss: there is another round."""
    owner.start()
    owner.clock.advance(3)
    owner.discovery.poll_soon()
    owner.one.answer()
    owner.two.answer()
    owner.clock.advance(0)
    assert len(owner.one.asked) == 2


def test_lookupds_come_and_go(owner: Owner) -> None:
    """One that is added is asked at once; of one that is removed nothing is waited for."""
    owner.start()
    owner.round("a:4150", "")
    third = FakeLookupClient()
    owner.discovery.add("three", third)
    owner.discovery.add("one", FakeLookupClient())
    owner.one.answer("a:4150")
    owner.discovery.remove("two")
    assert owner.two.cancelled == 1
    assert owner.told[-1] == (["a:4150"], False), "the third was not asked"
    owner.clock.advance(0)
    third.answer("c:4150")
    owner.one.answer("a:4150")
    assert owner.told[-1] == (["a:4150", "c:4150"], True)
    assert owner.discovery.lookupds == ["one", "three"]
    for name in ("one", "three", "three"):
        owner.discovery.remove(name)
    told = len(owner.told)
    owner.clock.advance(300)
    assert len(owner.told) == told


def test_the_first_may_be_added_late() -> None:
    """A Discovery without anyone to ask waits for one."""
    owner = Owner()
    owner.discovery.remove("one")
    owner.discovery.remove("two")
    owner.start()
    owner.clock.advance(10)
    owner.discovery.add("one", owner.one)
    owner.start()
    assert len(owner.clock.getDelayedCalls()) == 1
    owner.clock.advance(0)
    owner.one.answer("a:4150")
    assert owner.told == [(["a:4150"], True)]
    owner.discovery.stop()


@pytest.mark.parametrize("seconds", [0.0, 2.0, 70.0])
@pytest.mark.parametrize("hides_cancel", [False, True])
def test_stop_cancels_all(seconds: float, hides_cancel: bool) -> None:
    """D9: during the requests, or between rounds: no request and no timer is left."""
    owner = Owner()
    owner.one.hides_cancel = owner.two.hides_cancel = hides_cancel
    if seconds > 60:
        owner.one.at_once = owner.two.at_once = []
    owner.start()
    owner.clock.advance(seconds)
    with Logged() as logged:
        owner.discovery.stop()
    assert logged.lines == []
    assert owner.one.waiting == owner.two.waiting == []
    assert owner.clock.getDelayedCalls() == []
    told = len(owner.told)
    owner.discovery.poll_soon()
    owner.clock.advance(600)
    assert len(owner.told) == told
    owner.discovery.stop()


def test_found_may_stop_it() -> None:
    """Whoever is told has enough, and is told nothing more."""
    owner = Owner(drop_after=1)
    owner.one.at_once = owner.two.at_once = ["a:4150"]
    told = []

    def found(addresses: frozenset[str], complete: bool) -> None:
        told.append(addresses)
        if not addresses:
            discovery.stop()

    discovery = Discovery(
        "t", owner.clock, Random(1), found, jitter=0.0, gone=told.append, drop_after=1
    )
    discovery.add("one", owner.one)
    discovery.start()
    owner.one.at_once = []
    owner.clock.advance(60)
    assert told == [frozenset(["a:4150"]), frozenset()]
    assert owner.clock.getDelayedCalls() == []
