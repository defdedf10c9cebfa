"""A Reader that finds its nsqds by nsqlookupd (client section 14.5)."""

from __future__ import annotations

from typing import Any

import pytest

from nsqtx.client import ConfigError
from nsqtx.client.events import Connected, ConnectFailed, Disconnected, LookupRound
from tests.support.logged import Logged
from tests.support.reading import Reading


def addresses(reading: Reading, *numbers: int) -> list[str]:
    return [reading.nsqds[number].address for number in numbers]


def connected(reading: Reading) -> list[int]:
    """How often the Reader is connected to each nsqd."""
    return [len(nsqd.open) for nsqd in reading.nsqds]


def test_d1_all_that_are_named() -> None:
    """D1: one names A and B, another B and C: one connection to each."""
    with Reading(nsqds=3, lookupds=2) as reading:
        reading.lookupds[0].set("t", *addresses(reading, 0, 1))
        reading.lookupds[1].set("t", *addresses(reading, 1, 2))
        reading.advance(100)
        assert connected(reading) == [1, 1, 1]
        assert len(reading.told(Connected)) == 3


@pytest.mark.parametrize("trouble", ["error", "nonsense", "silent", "down"])
def test_d2_one_nsqlookupd_is_in_trouble(trouble: str) -> None:
    """D2: what the other says is used, and an event tells of the trouble."""
    with Reading(nsqds=1, lookupds=2, lookupd_poll_timeout=3) as reading:
        bad, good = reading.lookupds
        good.set("t", *addresses(reading, 0))
        if trouble == "silent":
            bad.silent = True
        elif trouble == "down":
            bad.stop()
        else:
            bad.answer = (500, b"") if trouble == "error" else (200, b"<html>")
        with Logged() as logged:
            reading.advance(100)
        assert connected(reading) == [1]
        assert all(set(each.failed) == {bad.address} for each in reading.told(LookupRound)[1:])
        warnings = [line for line in logged.lines if line.startswith("W ")]
        assert len(warnings) == 1
        assert bad.address in warnings[0]


def test_d3_nobody_knows_the_topic() -> None:
    """D3: that is nothing to be logged as an error; when it is there, it is found."""
    with Logged() as logged, Reading(nsqds=1, lookupds=2) as reading:
        reading.advance(100)
        assert len(reading.lookupds[0].asked) >= 2
        reading.lookupds[0].set("t", *addresses(reading, 0))
        reading.advance(80)
        assert connected(reading) == [1]
    assert [line for line in logged.lines if line[:2] in ("W ", "E ", "F ")] == []


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("none", [[], None])
def test_d4_both_shapes(old: bool, none: list[Any] | None) -> None:
    """D4: answers from before and after 1.0, and null for no producers."""
    with Reading(nsqds=1, lookupds=1) as reading:
        (lookupd,) = reading.lookupds
        lookupd.old, lookupd.no_producers = old, none
        lookupd.set("t")
        reading.advance(90)
        assert connected(reading) == [0]
        assert reading.told(LookupRound)[-1].failed == {}
        lookupd.set("t", *addresses(reading, 0))
        reading.advance(80)
        assert connected(reading) == [1]


def test_d5_an_incomplete_round_takes_nothing_away() -> None:
    """D5: what is not named while one nsqlookupd is away is not gone."""
    with Reading(nsqds=2, lookupds=2, drop_after_rounds=1) as reading:
        for lookupd in reading.lookupds:
            lookupd.set("t", *addresses(reading, 0))
        reading.lookupds[1].set("t", *addresses(reading, 0, 1))
        reading.advance(100)
        reading.lookupds[1].stop()
        reading.advance(300)
        assert connected(reading) == [1, 1]


def test_d6_gone_after_so_many_rounds() -> None:
    """D6: the connection is drained, then closed; what runs there is finished first."""
    with Reading(nsqds=1, lookupds=1, drop_after_rounds=2, lookupd_poll_interval=10) as reading:
        (lookupd,) = reading.lookupds
        lookupd.set("t", *addresses(reading, 0))
        reading.advance(20)
        reading.put(b"x")
        assert reading.sent() == ["RDY 1"]
        lookupd.set("t")
        reading.advance(40)
        assert reading.sent() == ["CLS"]
        assert connected(reading) == [1]
        reading.finish()
        reading.reactor.settle()
        assert reading.sent() == ["FIN 1"]
        assert connected(reading) == [0]
        reading.advance(100)
        assert connected(reading) == [0]
        lookupd.set("t", *addresses(reading, 0))
        reading.advance(20)
        assert connected(reading) == [1]


def test_d7_no_way_back_without_being_named() -> None:
    """D7: a lost connection is made again if nsqlookupd still names the nsqd, and only then."""
    with Reading(nsqds=2, lookupds=1) as reading:
        (lookupd,) = reading.lookupds
        lookupd.set("t", *addresses(reading, 0, 1))
        reading.advance(100)
        lookupd.set("t", *addresses(reading, 0))
        for nsqd in reading.nsqds:
            nsqd.connection.drop()
        reading.advance(5)
        assert connected(reading) == [1, 0]
        reading.advance(300)
        assert connected(reading) == [1, 0]


def test_d7_an_nsqd_that_was_found_and_restarts() -> None:
    """D7: it is back within seconds, not at the next round."""
    with Reading(nsqds=1, lookupds=1) as reading:
        reading.lookupds[0].set("t", *addresses(reading, 0))
        reading.advance(100)
        reading.nsqds[0].stop()
        reading.advance(2)
        reading.nsqds[0].start()
        reading.advance(15)
        assert connected(reading) == [1]


def test_d8_refused_again_and_again() -> None:
    """D8: the longest delay doubles, each is drawn; a connection that holds begins anew."""
    with Reading(nsqds=1, max_reconnect_delay=30) as reading:
        nsqd = reading.nsqds[0]
        reading.advance(60)
        nsqd.stop()
        reading.advance(90)
        delays = [each.delay or 0.0 for each in reading.told(ConnectFailed)]
        assert len(delays) >= 5
        assert all(0 <= delay <= min(30, 2.0 ** (n + 1)) for n, delay in enumerate(delays))
        assert len(set(delays)) == len(delays)
        nsqd.start()
        reading.advance(90)
        assert nsqd.open
        nsqd.connection.drop()
        reading.advance(1.1)
        assert nsqd.open


@pytest.mark.parametrize("at", ["lookup", "dial", "handshake", "delay", "watch"])
def test_d9_stopped_in_between(at: str) -> None:
    """D9: a lookup, a dial, a handshake, a delay: all is cancelled, and no timer stays."""
    lookups = at in ("lookup", "watch")
    with Reading(nsqds=1, lookupds=int(lookups)) as reading:
        nsqd = reading.nsqds[0]
        if at == "lookup":
            reading.lookupds[0].silent = True
            reading.advance(100)
        elif at == "watch":
            reading.lookupds[0].waits = True
            reading.advance(65)
            assert reading.lookupds[0].waiting
        elif at == "dial":
            reading.reactor.silent.add(nsqd.address)
            nsqd.connection.drop()
            reading.advance(1.5)
        elif at == "handshake":
            nsqd.ignore("SUB", 100)
            nsqd.connection.drop()
            reading.advance(2)
            assert nsqd.open
        else:
            nsqd.stop()
            reading.advance(20)
        assert not reading.told(Disconnected) or at in ("dial", "handshake", "delay")


def test_addresses_can_be_changed() -> None:
    """nsqds and nsqlookupds, at run time."""
    with Reading(nsqds=2, lookupds=2, reader={"lookupd_http_addresses": []}) as reading:
        fleet = reading.reader.nsqds
        one, two = addresses(reading, 0, 1)
        assert fleet.addresses == fleet.lookupds == []
        fleet.add_nsqd(one)
        reading.advance(1)
        assert connected(reading) == [1, 0]
        reading.lookupds[0].set("t", two)
        fleet.add_lookupd(reading.lookupds[0].address)
        reading.advance(1)
        assert connected(reading) == [1, 1]
        assert fleet.lookupds == [reading.lookupds[0].address]
        fleet.add_lookupd(reading.lookupds[1].address)
        reading.advance(1)
        assert reading.lookupds[1].asked
        fleet.remove_nsqd(one)
        reading.advance(1)
        assert connected(reading) == [0, 1]
        fleet.remove_lookupd(reading.lookupds[0].address)
        fleet.remove_lookupd(reading.lookupds[1].address)
        reading.nsqds[1].connection.drop()
        reading.advance(100)
        assert connected(reading) == [0, 0]
        for bad in ("", "host", "host:0", "a b:1:2"):
            with pytest.raises(ConfigError):
                fleet.add_nsqd(bad)


def test_an_address_that_was_found_and_is_given() -> None:
    """It is kept from then on, whatever nsqlookupd says."""
    with Reading(nsqds=1, lookupds=1) as reading:
        (lookupd,) = reading.lookupds
        lookupd.set("t", *addresses(reading, 0))
        reading.advance(100)
        reading.reader.nsqds.add_nsqd(reading.nsqds[0].address)
        lookupd.set("t")
        reading.connection.drop()
        reading.advance(5)
        assert connected(reading) == [1]
        assert len(reading.nsqds[0].connections) == 2


def test_a_given_address_is_not_dropped() -> None:
    """Though nsqlookupd has named it, and names it no more."""
    settings: dict[str, Any] = {"drop_after_rounds": 1, "lookupd_poll_interval": 10}
    with Reading(nsqds=1, lookupds=1, **settings) as reading:
        reading.reader.nsqds.add_nsqd(reading.nsqds[0].address)
        reading.lookupds[0].set("t", *addresses(reading, 0))
        reading.advance(30)
        reading.lookupds[0].set("t")
        reading.advance(100)
        assert connected(reading) == [1]
        assert len(reading.nsqds[0].connections) == 1


def test_a_removed_address_leaves_its_share() -> None:
    """To the others, at once but for what is still in flight there."""
    with Reading(nsqds=2, max_in_flight=10) as reading:
        reading.put(b"x")
        reading.reader.nsqds.remove_nsqd(reading.nsqds[0].address)
        assert reading.rdy[1] == 9
        reading.finish()
        assert reading.rdy[1] == 10


def test_stopped_while_an_address_is_left() -> None:
    """It is told CLS once: nsqd closes at a second one."""
    with Reading(nsqds=1) as reading:
        reading.put(b"x")
        reading.reader.nsqds.remove_nsqd(reading.nsqds[0].address)
        reading.advance(1)
        stopping = reading.reader.stopService()
        reading.finish()
        reading.reactor.wait_for(stopping)
        assert reading.sent() == ["RDY 1", "CLS", "FIN 1"]


def test_an_address_that_is_removed_and_given_again() -> None:
    """What runs there ends on the old connection, then there is a new one."""
    with Reading(nsqds=1) as reading:
        reading.put(b"x")
        (address,) = addresses(reading, 0)
        reading.reader.nsqds.remove_nsqd(address)
        reading.reader.nsqds.add_nsqd(address)
        reading.advance(5)
        assert len(reading.nsqds[0].connections) == 1
        reading.finish()
        reading.advance(1)
        assert connected(reading) == [1]
        assert len(reading.nsqds[0].connections) == 2
        assert reading.nsqds[0].channel("t", "c").finished == [b"x"]


def test_nsqlookupd_that_was_away() -> None:
    """When all of them fail, they are asked again soon, not only after the interval."""
    with Reading(nsqds=1, lookupds=1) as reading:
        (lookupd,) = reading.lookupds
        lookupd.set("t", *addresses(reading, 0))
        lookupd.stop()
        reading.reader.nsqds.remove_lookupd(lookupd.address)
        reading.reader.nsqds.add_lookupd(lookupd.address)
        reading.advance(20)
        lookupd.start()
        reading.advance(20)
        assert connected(reading) == [1]


def test_found_addresses_are_chosen_and_translated() -> None:
    """What nsqlookupd names may be reached elsewhere, and some of it may be left out."""

    def translate(producer: Any) -> str | None:
        return f"127.0.0.1:{producer.tcp_port - 1000}"

    def choose(found: frozenset[str]) -> set[str]:
        return {address for address in found if address.endswith("0")}

    given = {"translate": translate, "choose": choose}
    with Reading(nsqds=2, lookupds=1, reader=given) as reading:
        reading.lookupds[0].set("t", "docker:5150", "docker:5151")
        reading.advance(100)
        assert connected(reading) == [1, 0]


def test_the_secret_is_sent_to_nsqlookupd_if_wanted() -> None:
    """Trap 57: by default it is not."""
    for wanted in (False, True):
        given: dict[str, Any] = {"auth_secret": "s3cret", "lookupd_authorization": wanted}
        with Reading(lookupds=1, **given) as reading:
            reading.advance(1)
            heads = reading.lookupds[0].heads
            assert [b"Authorization: Bearer s3cret" in head for head in heads] == [wanted]
