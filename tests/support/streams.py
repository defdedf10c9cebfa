"""Streams of bytes for our parsers, however they are cut into reads; what must come of them.

Each function here is given by hypothesis what it makes up, and by `tests.fuzz` what a fuzzer does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from nsqtx.client.config import ClientConfig
from nsqtx.client.connection import NsqdConnection
from nsqtx.nsqd.lookup_connection import LookupConnection
from nsqtx.wire.commands import BAD_MPUB, BODY, ERROR, FIN, LINE, PUB, TOO_LONG, Event, Parser
from nsqtx.wire.errors import ProtocolError
from nsqtx.wire.identify import check, parse_identify
from nsqtx.wire.incoming import FrameError, FrameParser
from nsqtx.wire.limits import Limits
from nsqtx.wire.lookup import Body, Line, LookupParser, parse_peer
from tests.support.http import TcpTransport
from tests.support.logged import Logged

__all__ = [
    "LIMITS",
    "answers_for_nsqd",
    "apart",
    "commands_in",
    "frames_for_a_client",
    "lookup_events",
    "nothing_follows_an_error",
    "same_commands",
    "same_frames",
    "same_lookup_events",
]

LIMITS = Limits(max_msg_size=60, max_body_size=300, max_req_timeout=1000)


# Commands, as nsqd reads them.


def commands_in(
    reads: Sequence[bytes], limits: Limits = LIMITS, *, locked: bool = False, announce: bool = False
) -> tuple[list[Event], ProtocolError | None]:
    """What a session sees that lets IDENTIFY and AUTH through, and what it hears at the end."""
    parser = Parser(limits, locked, announce)
    seen: list[Event] = []
    for read in reads:
        events = parser.feed(read)
        while events:
            for event in events:
                if event[0] == LINE and event[1] in (b"IDENTIFY", b"AUTH"):
                    parser.expect_body(event[1], limits.max_body_size)
            seen += events
            events = parser.resume()
        assert parser.buffered <= max(limits.max_body_size, 16384) + 40
    return seen, parser.eof()


def apart(events: list[Event]) -> list[Event]:
    """The events with runs taken apart, and errors as bytes."""
    single: list[Event] = []
    for event in events:
        if event[0] == PUB:
            single += [(PUB, event[1], body) for body in event[2]]
        elif event[0] == FIN:
            single += [(FIN, id) for id in event[1]]
        elif event[0] == LINE and event[1] == b"FIN" and len(event[2]) == 1:
            single.append((FIN, event[2][0]))
        elif event[0] in (ERROR, BAD_MPUB):
            single.append((*event[:-1], event[-1].data))
        else:
            single.append(event)
    return single


def same_commands(
    reads: Sequence[bytes], *, locked: bool = False, announce: bool = False
) -> list[Event]:
    """However a stream is cut into reads, the same commands come of it, and the same end.

    ``locked``: without TLS, which is required; ``announce``: MPUBs wait for authorization.
    """
    whole, end = commands_in([b"".join(reads)], locked=locked, announce=announce)
    cut, cut_end = commands_in(reads, locked=locked, announce=announce)
    assert apart(cut) == apart(whole)
    assert (cut_end and cut_end.data) == (end and end.data)
    return cut


def _refusal(take: Callable[[bytes], object], body: bytes) -> ProtocolError | None:
    """Why a body is not taken, None if it is."""
    try:
        take(body)
    except ProtocolError as error:
        return error
    return None


def nothing_follows_an_error(events: list[Event]) -> None:
    """The last event may be an error. A body is read as an IDENTIFY, or refused in words."""
    for event in events[:-1]:
        assert event[0] not in (ERROR, BAD_MPUB, TOO_LONG)
    for event in events:
        if event[0] == ERROR:
            assert isinstance(event[1], ProtocolError)
            assert event[1].fatal
        elif event[0] == BODY:
            refusal = _refusal(lambda body: check(parse_identify(body), LIMITS), event[-1])
            assert refusal is None or refusal.data.startswith(b"E_BAD_BODY IDENTIFY")


# Protocol V1, as nsqlookupd reads it.


def lookup_events(parser: LookupParser, *reads: bytes) -> list[object]:
    """What is in these reads, the magic first; an error, as its text, is the last."""
    found: list[object] = []
    try:
        for read in reads:
            parser.feed(read)
            while (event := parser.next()) is not None:
                found.append(event)
                if isinstance(event, Line) and event.word == b"IDENTIFY":
                    parser.expect_body()
    except ProtocolError as error:
        found.append(str(error))
    return found


def same_lookup_events(reads: Sequence[bytes]) -> None:
    """Any bytes give the same events however they come, and none but protocol errors."""
    found = lookup_events(LookupParser(), *reads)
    assert found == lookup_events(LookupParser(), b"".join(reads))
    for event in found:
        if isinstance(event, Body):
            refusal = _refusal(parse_peer, event.data)
            assert refusal is None or refusal.code == "E_BAD_BODY"


# Frames, as clients read them.


def _fed(reads: Sequence[bytes], max_size: int) -> list[tuple[int, bytes]] | None:
    parser = FrameParser(max_size)
    try:
        return [frame for read in reads for frame in parser.feed(read)]
    except FrameError:
        return None


def _taken(reads: Sequence[bytes], max_size: int) -> tuple[list[tuple[int, bytes]], bool]:
    parser = FrameParser(max_size)
    frames: list[tuple[int, bytes]] = []
    try:
        for read in reads:
            parser.add(read)
            while (frame := parser.next()) is not None:
                frames.append(frame)
    except FrameError:
        return frames, True
    return frames, False


def same_frames(reads: Sequence[bytes], max_size: int = 1000) -> None:
    """However a stream is cut, and asked for, it has the same frames and the same fault."""
    taken, refused = _taken(reads, max_size)
    assert (taken, refused) == _taken([b"".join(reads)], max_size)
    fed = _fed(reads, max_size)
    assert (fed is None) is refused
    assert fed is None or fed == taken
    assert all(len(data) + 4 <= max_size for _, data in taken)


def frames_for_a_client(reads: Sequence[bytes], asked: int, subscribed: bool) -> None:
    """They are frames, or the connection ends; every request has an answer or a failure."""
    connection = NsqdConnection(
        "nsqd:4150", ClientConfig(client_id="c", hostname="h", max_msg_size=1000), Clock()
    )
    results: list[object] = []
    with Logged() as logged:
        connection.makeConnection(TcpTransport())
        if subscribed:
            connection.handshaken()
            connection.on_messages = lambda messages: None
        for _ in range(asked):
            request: Deferred[Any] = connection.request(b"NOP\n")
            request.addBoth(results.append)
        for read in reads:
            if not connection.closing:
                connection.dataReceived(read)
        connection.connectionLost()
    assert logged.failures == []
    assert len(results) == asked


def answers_for_nsqd(reads: Sequence[bytes]) -> None:
    """What nsqlookupd says are answers, or the connection ends; who asked is told."""
    clock = Clock()
    results: list[object] = []
    connection = LookupConnection(clock, 1000)
    with Logged() as logged:
        connection.makeConnection(TcpTransport())
        asked: Deferred[Any] = connection.ask(b"IDENTIFY\n")
        asked.addBoth(results.append)
        for read in reads:
            connection.dataReceived(read)
        connection.connectionLost()
    assert logged.failures == []
    assert len(results) == 1
    assert clock.getDelayedCalls() == []
