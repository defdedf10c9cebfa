"""The commands of a client: bytes in, tuples out.

`Parser.feed` takes what one read brought and goes over it once. It gives a list of events, as
`nsqtx.wire.events` describes them. Bodies are complete when their event comes. What is left of
the read, the beginning of a command, is kept, together with the number of bytes that must be there
before another look at it makes sense: until then reads are only put on a list, so that a body of
megabytes is joined once.

What pays on the path of a message is done in runs: PUBs with the same line are one event, and so
are FINs. Everything that depends on the state of a session (may this command be used now, what do
its parameters mean) is left to the session, which gets the line.

A *barrier* is an event after which the parser stops, since what follows has to be read otherwise,
or must not be read before the command was answered. `Parser.blocked` is true then, and reads are
only kept (the session stops reading from its transport if the answer takes time) until
`Parser.resume`. A session's loop is::

    events = parser.feed(data)
    while events:
        for event in events: ...            # expect_body() if it was IDENTIFY or AUTH
        events = parser.resume()            # or later, when an answer is being waited for
"""

from __future__ import annotations

import re
from struct import Struct
from typing import Any

import attrs

from nsqtx.wire.errors import ProtocolError
from nsqtx.wire.events import (
    BAD_MPUB,
    BODY,
    DPUB,
    ERROR,
    FIN,
    LINE,
    MAGIC,
    MPUB,
    PUB,
    TOO_LONG,
    Event,
)
from nsqtx.wire.kept import Kept
from nsqtx.wire.limits import MAX_LINE, Limits
from nsqtx.wire.mpub import MultiBody
from nsqtx.wire.publishing import bad_size, delay_of, topic_of
from nsqtx.wire.runs import WORTHWHILE, alike, cut

__all__ = [
    "BAD_MPUB",
    "BODY",
    "DPUB",
    "ERROR",
    "FIN",
    "LINE",
    "MAGIC",
    "MAGIC_V2",
    "MPUB",
    "PUB",
    "TOO_LONG",
    "Event",
    "Parser",
]

#: What a client sends first.
MAGIC_V2 = b"  V2"

# What is read next.
_MAGIC, _COMMANDS, _TOTAL, _MESSAGES, _BODY = range(5)

_F = ord("F")
_NEWLINE = ord("\n")
# Possessive: a run is never given up in part, so nothing is remembered for that.
_FIN_RUN = re.compile(rb"(?:FIN [0-9a-f]{16}\n)++")
_FIN_SIZE = len(b"FIN 0123456789abcdef\n")

_unpack_size = Struct(">i").unpack_from


@attrs.define(eq=False)
class Parser:
    """The reading side of one connection."""

    limits: Limits = attrs.Factory(Limits)
    #: TLS is required and not there yet: lines are only handed out.
    locked: bool = False
    #: The line of an MPUB is handed out before its body is looked at, for authorization.
    announce_mpub: bool = False
    #: At a barrier.
    blocked: bool = attrs.field(default=False, init=False)

    _reads: int = attrs.field(default=_MAGIC, init=False)
    _ended: bool = attrs.field(default=False, init=False)
    # The beginning of a command, and how much of it there must be before another look.
    _kept: Kept = attrs.field(factory=Kept, init=False)
    _need: int = attrs.field(default=0, init=False)
    # The line of the last PUB, its topic, and what unpacks such a line and a size.
    _line: bytes = attrs.field(default=b"", init=False)
    _line_topic: str = attrs.field(default="", init=False)
    _unpack_line: Any = attrs.field(default=_unpack_size, init=False)
    # What `put_back` was given.
    _behind: list[Event] = attrs.field(factory=list, init=False)
    # The MPUB being read.
    _mpub_topic: str = attrs.field(default="", init=False)
    _multi: MultiBody | None = attrs.field(default=None, init=False)
    # What `expect_body` asked for.
    _word: bytes = attrs.field(default=b"", init=False)
    _max_size: int = attrs.field(default=0, init=False)

    # What a session calls.

    def feed(self, data: bytes) -> list[Event]:
        """What is complete now that ``data`` was read."""
        if self._ended:
            return []
        kept = self._kept
        if kept.size or self.blocked:
            if data:
                kept.put(data)
            if self.blocked or kept.size < self._need:
                return []
            data = kept.take()
        return self._read(data)

    def lone_pub(self, data: bytes) -> bytes | None:
        """The body, if a read is exactly one PUB with the line of the last; else it is for `feed`.

        That is what a client sends who waits for each answer; `pub_topic` is its topic.
        """
        if not self._line or self._reads != _COMMANDS or self.blocked or self.locked:
            return None
        width = len(self._line) + 4
        if self._kept.size or self._ended or len(data) <= width:
            return None
        line, size = self._unpack_line(data)
        if line != self._line or width + size != len(data) or size > self.limits.max_msg_size:
            return None
        return data[width:]

    def lone_fin(self, data: bytes) -> bytes | None:
        """The same for one FIN: what may be its id, if nothing else is under way."""
        if len(data) != _FIN_SIZE or data[:4] != b"FIN " or data[-1] != _NEWLINE:
            return None
        if self._reads != _COMMANDS or self.blocked or self.locked:
            return None
        return None if self._kept.size or self._ended else data[4:-1]

    @property
    def pub_topic(self) -> str:
        """The topic of the last PUB."""
        return self._line_topic

    def resume(self) -> list[Event]:
        """Go on after a barrier. Without one, or without anything to go on with: no events."""
        if not self.blocked and self._reads != _BODY:
            return []
        if self._behind:
            # Still blocked: reads that came since are behind these.
            events, self._behind = self._behind, []
            return events
        self.blocked = False
        return self.feed(b"")

    def put_back(self, events: list[Event]) -> None:
        """Stop as at a barrier: the first of ``events``, the last that were given, has to wait.

        `resume` gives them again.
        """
        self._behind = events
        self.blocked = True

    def expect_body(self, word: bytes, max_size: int) -> None:
        """At the barrier of IDENTIFY or AUTH: read its body next, of at most ``max_size`` bytes.

        `resume` gives it, or a later `feed`.
        """
        self._word = word
        self._max_size = max_size
        self._reads = _BODY
        self.blocked = False

    def take(self) -> bytes:
        """At a barrier: give away what is kept, since it has to be read otherwise."""
        return self._kept.take()

    def stop(self) -> None:
        """Nothing more is to be read: forget what is kept, and whatever comes."""
        self._ended = True
        self._behind.clear()
        self._kept.clear()
        self._multi = None

    @property
    def buffered(self) -> int:
        """How many bytes are kept."""
        return self._kept.size + (self._multi.size if self._multi is not None else 0)

    @property
    def mpub_topic(self) -> str | None:
        """The topic of the MPUB whose body is being read. It is created in any case."""
        in_mpub = self._reads == _TOTAL or self._reads == _MESSAGES
        return self._mpub_topic if in_mpub and not self._ended else None

    def eof(self) -> ProtocolError | None:
        """What to answer when no more will come, or the time for it is over; None: just close."""
        if self._ended or self.blocked or self._reads == _MAGIC:
            return None
        if self._reads == _BODY:
            word = self._word.decode("ascii")
            rest = " size" if self._kept.size < 4 else ""
            return ProtocolError("E_BAD_BODY", f"{word} failed to read body{rest}")
        if self._reads == _TOTAL:
            return ProtocolError("E_BAD_BODY", "MPUB failed to read body size")
        if self._multi is not None:
            return self._multi.eof(self._kept.size)
        data = self._kept.joined()
        newline = data.find(b"\n")
        if newline < 0:
            return None
        # Only a PUB or DPUB is kept with its whole line.
        word = data.split(b" ", 1)[0].decode("ascii")
        rest = " size" if len(data) - newline - 1 < 4 else ""
        return ProtocolError("E_BAD_MESSAGE", f"{word} failed to read message body{rest}")

    # One pass over a read. Each of these reads from ``at``, and returns up to where it is done.

    def _read(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        self._need = 0
        try:
            at = self._read_stages(data, events)
        except ProtocolError as error:
            in_mpub = self._reads == _TOTAL or self._reads == _MESSAGES
            events.append((BAD_MPUB, self._mpub_topic, error) if in_mpub else (ERROR, error))
            self.stop()
            return events
        if at < len(data) and not self._ended:
            # A copy, so that a long read is not kept for the short end of it.
            self._kept.put(data[at:])
        return events

    def _read_stages(self, data: bytes, events: list[Event]) -> int:
        at = 0
        while True:
            if self._reads == _COMMANDS:
                at = self._read_commands(data, at, events)
                if at == len(data):
                    return at
            elif self._reads == _TOTAL:
                at = self._read_total(data, at)
            elif self._reads == _MESSAGES:
                at = self._read_messages(data, at, events)
            elif self._reads == _BODY:
                at = self._read_body(data, at, events)
            else:
                at = self._read_magic(data, events)
            if self._need or self.blocked or self._ended:
                return at

    def _read_magic(self, data: bytes, events: list[Event]) -> int:
        if len(data) < len(MAGIC_V2):
            self._need = len(MAGIC_V2)
            return 0
        if not data.startswith(MAGIC_V2):
            raise ProtocolError("E_BAD_PROTOCOL")
        self._reads = _COMMANDS
        events.append((MAGIC, True))
        return len(MAGIC_V2)

    def _read_commands(self, data: bytes, at: int, events: list[Event]) -> int:
        end = len(data)
        find = data.find
        locked = self.locked
        while at < end:
            if data[at] == _F and not locked:
                run = _FIN_RUN.match(data, at)
                if run is not None:
                    stop = run.end()
                    count = (stop - at) // _FIN_SIZE
                    events.append((FIN, cut(data, at, _FIN_SIZE, count, "4x16sx")))
                    at = stop
                    continue
            newline = find(b"\n", at, at + MAX_LINE)
            if newline < 0:
                if end - at < MAX_LINE:
                    self._need = end - at + 1
                else:
                    self.stop()
                    events.append((TOO_LONG,))
                return at
            after = newline + 1
            line = data[at:after]
            if line == self._line and not locked:
                at = self._read_pubs(data, at, events)
                if self._need:
                    return at
                continue
            text = line[:-2] if line.endswith(b"\r\n") else line[:-1]
            word, *params = text.split(b" ")
            if locked:
                self.blocked = True
            elif word == b"PUB":
                self._line_topic = topic_of(word, params)
                self._line = line
                self._unpack_line = Struct(f">{len(line)}si").unpack_from
                continue
            elif word == b"DPUB":
                event = self._read_dpub(data, at, after, params)
                if event is None:
                    return at
                events.append(event)
                at = after + 4 + len(event[3])
                continue
            elif word == b"MPUB":
                self._mpub_topic = topic_of(word, params)
                self._reads = _TOTAL
                if self.announce_mpub:
                    self.blocked = True
                    events.append((LINE, word, params))
                return after
            elif word == b"IDENTIFY" or word == b"AUTH":
                self.blocked = True
            events.append((LINE, word, params))
            at = after
            if self.blocked:
                return at
        return at

    def _read_pubs(self, data: bytes, at: int, events: list[Event]) -> int:
        """PUBs that all have the line of the last one; the first is known to be one."""
        end = len(data)
        line = self._line
        unpack = self._unpack_line
        width = len(line) + 4
        max_size = self.limits.max_msg_size
        last = end - width
        if at > last:
            self._need = width
            return at
        size = unpack(data, at)[1]
        stride = width + size
        if at + stride == end and 0 < size <= max_size:
            # The one PUB of a client that waits for each answer.
            events.append((PUB, self._line_topic, [data[at + width :]]))
            return end
        bodies: list[bytes] = []
        count = (end - at) // stride if 0 < size <= max_size else 0
        if count >= WORTHWHILE and alike(data, at, stride, count, data[at : at + width]):
            bodies = cut(data, at, stride, count, f"{width}x{size}s")
            at += stride * count
        append = bodies.append
        while at <= last:
            found, size = unpack(data, at)
            if found != line:
                break
            start = at + width
            stop = start + size
            if stop > end or not 0 < size <= max_size:
                if 0 < size <= max_size:
                    self._need = width + size
                break
            append(data[start:stop])
            at = stop
        else:
            found = b""
        if bodies:
            events.append((PUB, self._line_topic, bodies))
        if found == line and not self._need:
            raise bad_size(b"PUB", "message", size, max_size)
        return at

    def _read_dpub(self, data: bytes, at: int, after: int, params: list[bytes]) -> Event | None:
        """The DPUB whose line stands at ``at`` and its body at ``after``; None: not all of it."""
        topic = topic_of(b"DPUB", params, 2)
        delay = delay_of(params[1], self.limits.max_req_timeout)
        body = self._sized(data, after, b"DPUB", "message", self.limits.max_msg_size)
        if body is None:
            self._need += after - at
            return None
        return (DPUB, topic, delay, body)

    def _sized(self, data: bytes, at: int, word: bytes, what: str, most: int) -> bytes | None:
        """The body whose size stands at ``at``; None: not all of it, and `_need` says how much."""
        there = len(data) - at
        if there < 4:
            self._need = 4
            return None
        size: int = _unpack_size(data, at)[0]
        if not 0 < size <= most:
            raise bad_size(word, what, size, most)
        if there < 4 + size:
            self._need = 4 + size
            return None
        return data[at + 4 : at + 4 + size]

    def _read_total(self, data: bytes, at: int) -> int:
        """The total size of an MPUB. It is checked, but does not say where the body ends."""
        if len(data) - at < 4:
            self._need = 4
            return at
        size: int = _unpack_size(data, at)[0]
        most = self.limits.max_body_size
        if not 0 < size <= most:
            raise bad_size(b"MPUB", "body", size, most)
        self._multi = MultiBody(self.limits)
        self._reads = _MESSAGES
        return at + 4

    def _read_messages(self, data: bytes, at: int, events: list[Event]) -> int:
        multi = self._multi
        assert multi is not None
        at = multi.read(data, at)
        if multi.left:
            self._need = multi.need
        else:
            events.append((MPUB, self._mpub_topic, multi.bodies))
            self._multi = None
            self._reads = _COMMANDS
        return at

    def _read_body(self, data: bytes, at: int, events: list[Event]) -> int:
        """The body of an IDENTIFY or AUTH (nsqd-tcp sections 7.1 and 8.1)."""
        body = self._sized(data, at, self._word, "body", self._max_size)
        if body is None:
            return at
        events.append((BODY, self._word, body))
        self._reads = _COMMANDS
        self.blocked = True
        return at + 4 + len(body)
