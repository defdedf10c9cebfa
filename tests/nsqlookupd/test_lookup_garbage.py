"""A connection to nsqlookupd that has ended is freed at once, without the garbage collector."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nsqtx.connections import LINGER
from nsqtx.nsqlookupd.protocol import MAGIC_TIMEOUT, LookupProtocol
from tests.nsqlookupd.test_lookup_http import Api
from tests.nsqlookupd.test_lookup_protocol import IDENTIFY, Lookupd, lose
from tests.support.garbage import left_to_collector

Behave = Callable[[LookupProtocol], None]


def silent(protocol: LookupProtocol) -> None:
    """Says nothing but the magic."""


def registers(protocol: LookupProtocol) -> None:
    protocol.dataReceived(IDENTIFY + b"REGISTER t c\nREGISTER u\nUNREGISTER u\nPING\n")


def is_refused(protocol: LookupProtocol) -> None:
    protocol.dataReceived(b"WHAT\n")


def ends(protocol: LookupProtocol) -> None:
    protocol.dataReceived(IDENTIFY + b"REGISTER t c\nPI")
    protocol.readConnectionLost()


@pytest.mark.parametrize("magic", [b"  V1", b""])
@pytest.mark.parametrize("behave", [silent, registers, is_refused, ends])
@pytest.mark.parametrize("seconds", [0.0, LINGER, MAGIC_TIMEOUT])
def test_a_connection(magic: bytes, behave: Behave, seconds: float) -> None:
    """Whatever the client did, and however long it was there."""
    lookupd = Lookupd()

    def come_and_go() -> None:
        protocol, transport = lookupd.connect(magic)
        behave(protocol)
        lookupd.clock.advance(seconds)
        unregister(transport)
        lose(protocol)
        lookupd.clock.pump([0.0] * 3)
        assert lookupd.clock.getDelayedCalls() == []
        assert lookupd.node.sessions == {}

    assert left_to_collector(come_and_go) == {}


def unregister(transport: Any) -> None:
    """As Twisted's transports do when they are lost."""
    if transport.producer is not None:
        transport.unregisterProducer()


@pytest.mark.parametrize("what", ["news", "the time is over", "the client leaves"])
def test_a_wait_for_news(what: str) -> None:
    """A long poll, whatever ends it."""
    api = Api()
    api.producer("a", "t")

    def ask_and_be_answered() -> None:
        waiting = api.ask(f"/lookup?topic=t&wait=10&index={api.index('t')}")
        assert waiting.answers() == []
        if what == "news":
            for _ in api.registry.remove(api.producer("b", "t")):
                pass
            api.clock.advance(0)
        elif what == "the time is over":
            api.clock.advance(10)
        assert len(waiting.answers()) == (what != "the client leaves")
        waiting.lost()
        api.clock.advance(0)
        assert api.clock.getDelayedCalls() == []

    assert left_to_collector(ask_and_be_answered) == {}


def test_a_topic() -> None:
    """Made and deleted by an operator."""
    api = Api()

    def make_and_delete() -> None:
        assert api.post("/channel/create?topic=t&channel=c")[0] == 200
        assert api.post("/topic/delete?topic=t")[0] == 200

    assert left_to_collector(make_and_delete) == {}
