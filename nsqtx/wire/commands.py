"""The commands of a client: bytes in, tuples out.

`Parser.feed` takes what one read brought and goes over it once. It gives a list of *events*, tuples
whose first item is one of the kinds below. Bodies are complete when their event comes. What is
left of the read, the beginning of a command, is kept, together with the number of bytes that must
be there before another look at it makes sense: until then reads are only put on a list, so that a
body of megabytes is joined once.

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

======================== =========================================================================
``(MAGIC, True)``        the four bytes were right
``(PUB, topic, bodies)`` a run of PUBs, each to be answered
``(MPUB, topic, bodies)``
``(DPUB, topic, delay, body)`` with the delay in milliseconds, rounded up
``(FIN, ids)``           a run of FINs whose ids are lower-case hex digits
``(LINE, word, params)`` any other line, to be judged by the session. A barrier: IDENTIFY, AUTH,
                         MPUB with `Parser.announce_mpub`, and all with `Parser.locked`
``(BODY, word, body)``   what `Parser.expect_body` asked for. A barrier
``(BAD_MPUB, topic, error)`` as ERROR, and the topic was valid and is to be created all the same
``(ERROR, error)``       a `ProtocolError` to be answered. The last event
``(TOO_LONG,)``          a line has no end: close without an answer. The last event
======================== =========================================================================
"""

from __future__ import annotations

import re
from struct import Struct
from typing import Any

import attrs

from nsqtx.wire.errors import ProtocolError, quote
from nsqtx.wire.limits import MAX_LINE, Limits
from nsqtx.wire.mpub import MultiBody
from nsqtx.wire.names import valid_name
from nsqtx.wire.numbers import delay_nanoseconds, parse_digits
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

#: A kind and what belongs to it; see the head of this module.
Event = tuple[Any, ...]

PUB, FIN, LINE, MPUB, DPUB, BODY, MAGIC, BAD_MPUB, ERROR, TOO_LONG = range(10)

#: What a client sends first.
MAGIC_V2 = b"  V2"

# What is read next.
_MAGIC, _COMMANDS, _TOTAL, _MESSAGES, _BODY = range(5)

_F = ord("F")
# Possessive: a run is never given up in part, so nothing is remembered for that.
_FIN_RUN = re.compile(rb"(?:FIN [0-9a-f]{16}\n)++")
_FIN_SIZE = len(b"FIN 0123456789abcdef\n")

_unpack_size = Struct(">i").unpack_from

_SHORT_READ = 4096


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
    # What is kept, its size, and the size from which on to look at it again (0: go on).
    _chunks: list[bytes | bytearray] = attrs.field(factory=list, init=False)
    _held: int = attrs.field(default=0, init=False)
    _need: int = attrs.field(default=0, init=False)
    # The line of the last PUB, its topic, and what unpacks such a line and a size.
    _line: bytes = attrs.field(default=b"", init=False)
    _line_topic: str = attrs.field(default="", init=False)
    _unpack_line: Any = attrs.field(default=_unpack_size, init=False)
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
        if self._chunks:
            if data:
                self._keep(data)
            if self.blocked or self._held < self._need:
                return []
            data = b"".join(self._chunks)
            self._chunks = []
            self._held = 0
        elif self.blocked:
            if data:
                self._keep(data)
            return []
        return self._read(data)

    def _keep(self, data: bytes) -> None:
        """Put a read on the list. Short ones share a chunk, for an object costs 33 bytes more."""
        self._held += len(data)
        if len(data) >= _SHORT_READ:
            self._chunks.append(data)
        elif self._chunks and isinstance(self._chunks[-1], bytearray):
            self._chunks[-1] += data
        else:
            self._chunks.append(bytearray(data))

    def resume(self) -> list[Event]:
        """Go on after a barrier. Without one, or without anything to go on with: no events."""
        self.blocked = False
        return self.feed(b"")

    def expect_body(self, word: bytes, max_size: int) -> None:
        """At the barrier of IDENTIFY or AUTH: read its body next, of at most ``max_size`` bytes.

        `resume` gives it, or a later `feed`.
        """
        self._word = word
        self._max_size = max_size
        self._reads = _BODY
        self.blocked = False

    def stop(self) -> None:
        """Nothing more is to be read: forget what is kept, and whatever comes."""
        self._ended = True
        self._chunks = []
        self._held = 0
        self._multi = None

    @property
    def buffered(self) -> int:
        """How many bytes are kept."""
        return self._held + (self._multi.size if self._multi is not None else 0)

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
            rest = " size" if self._held < 4 else ""
            return ProtocolError("E_BAD_BODY", f"{word} failed to read body{rest}")
        if self._reads == _TOTAL:
            return ProtocolError("E_BAD_BODY", "MPUB failed to read body size")
        if self._multi is not None:
            return self._multi.eof(self._held)
        data = b"".join(self._chunks)
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
        at = self._need = 0
        while not (self._need or self.blocked or self._ended):
            if self._reads == _COMMANDS:
                at = self._read_commands(data, at, events)
                if at == len(data):
                    break
            elif self._reads == _TOTAL:
                at = self._read_total(data, at, events)
            elif self._reads == _MESSAGES:
                at = self._read_messages(data, at, events)
            elif self._reads == _BODY:
                at = self._read_body(data, at, events)
            else:
                at = self._read_magic(data, at, events)
        if at < len(data) and not self._ended:
            # A copy, so that a long read is not kept for the short end of it.
            self._chunks = [data[at:]]
            self._held = len(data) - at
        return events

    def _read_magic(self, data: bytes, at: int, events: list[Event]) -> int:
        if len(data) < len(MAGIC_V2):
            self._need = len(MAGIC_V2)
            return at
        if not data.startswith(MAGIC_V2):
            return self._fail(events, at, ProtocolError("E_BAD_PROTOCOL"))
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
                if self._need or self._ended:
                    return at
                continue
            text = line[:-2] if line.endswith(b"\r\n") else line[:-1]
            word, *params = text.split(b" ")
            if locked:
                self.blocked = True
            elif word == b"PUB":
                topic = self._topic("PUB", params, 1, events)
                if topic is None:
                    return at
                self._line = line
                self._line_topic = topic
                self._unpack_line = Struct(f">{len(line)}si").unpack_from
                continue
            elif word == b"DPUB":
                at = self._read_dpub(data, at, after, params, events)
                if self._need or self._ended:
                    return at
                continue
            elif word == b"MPUB":
                topic = self._topic("MPUB", params, 1, events)
                if topic is None:
                    return at
                self._mpub_topic = topic
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

    def _topic(self, word: str, params: list[bytes], least: int, events: list[Event]) -> str | None:
        """The topic a publishing command names; None after an error (nsqd-tcp 5.2 to 5.4)."""
        if len(params) < least:
            text = f"{word} insufficient number of parameters"
            self._fail(events, 0, ProtocolError("E_INVALID", text))
            return None
        if valid_name(params[0]):
            return params[0].decode("ascii")
        # The original really says the code twice here.
        again = "E_BAD_TOPIC " if word == "MPUB" else ""
        text = f"{again}{word} topic name {quote(params[0])} is not valid"
        self._fail(events, 0, ProtocolError("E_BAD_TOPIC", text))
        return None

    def _read_pubs(self, data: bytes, at: int, events: list[Event]) -> int:
        """PUBs that all have the line of the last one; the first is known to be one."""
        end = len(data)
        line = self._line
        unpack = self._unpack_line
        width = len(line) + 4
        max_size = self.limits.max_msg_size
        last = end - width
        bodies: list[bytes] = []
        if at > last:
            self._need = width
            return at
        size = unpack(data, at)[1]
        stride = width + size
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
            self._fail(events, at, self._bad_size("PUB", size))
        return at

    def _read_dpub(
        self, data: bytes, at: int, after: int, params: list[bytes], events: list[Event]
    ) -> int:
        topic = self._topic("DPUB", params, 2, events)
        if topic is None:
            return at
        number = parse_digits(params[1])
        if number is None:
            text = b"DPUB could not parse timeout " + params[1]
            return self._fail(events, at, ProtocolError("E_INVALID", text))
        delay = delay_nanoseconds(number)
        longest = self.limits.max_req_timeout
        if not 0 <= delay <= longest * 1_000_000:
            text = b"DPUB timeout %d out of range 0-%d" % (number % (1 << 64), longest)
            return self._fail(events, at, ProtocolError("E_INVALID", text))
        start = after + 4
        if start > len(data):
            self._need = start - at
            return at
        size: int = _unpack_size(data, after)[0]
        if not 0 < size <= self.limits.max_msg_size:
            return self._fail(events, at, self._bad_size("DPUB", size))
        stop = start + size
        if stop > len(data):
            self._need = stop - at
            return at
        events.append((DPUB, topic, -(-delay // 1_000_000), data[start:stop]))
        return stop

    def _bad_size(self, word: str, size: int) -> ProtocolError:
        most = self.limits.max_msg_size
        if size > 0:
            bad = f"message too big {size} > {most}"
        else:
            bad = f"invalid message body size {size}"
        return ProtocolError("E_BAD_MESSAGE", f"{word} {bad}")

    def _read_total(self, data: bytes, at: int, events: list[Event]) -> int:
        """The total size of an MPUB. It is checked, but does not say where the body ends."""
        if len(data) - at < 4:
            self._need = 4
            return at
        size: int = _unpack_size(data, at)[0]
        most = self.limits.max_body_size
        if not 0 < size <= most:
            bad = f"body too big {size} > {most}" if size > 0 else f"invalid body size {size}"
            return self._fail(events, at, ProtocolError("E_BAD_BODY", f"MPUB {bad}"))
        self._multi = MultiBody(self.limits)
        self._reads = _MESSAGES
        return at + 4

    def _read_messages(self, data: bytes, at: int, events: list[Event]) -> int:
        multi = self._multi
        assert multi is not None
        try:
            at = multi.read(data, at)
        except ProtocolError as error:
            return self._fail(events, at, error)
        if multi.left:
            self._need = multi.need
        else:
            events.append((MPUB, self._mpub_topic, multi.bodies))
            self._multi = None
            self._reads = _COMMANDS
        return at

    def _read_body(self, data: bytes, at: int, events: list[Event]) -> int:
        """The body of an IDENTIFY or AUTH (nsqd-tcp sections 7.1 and 8.1)."""
        there = len(data) - at
        if there < 4:
            self._need = 4
            return at
        size: int = _unpack_size(data, at)[0]
        most = self._max_size
        if not 0 < size <= most:
            bad = f"body too big {size} > {most}" if size > most else f"invalid body size {size}"
            text = self._word + b" " + bad.encode("ascii")
            return self._fail(events, at, ProtocolError("E_BAD_BODY", text))
        if there < 4 + size:
            self._need = 4 + size
            return at
        stop = at + 4 + size
        events.append((BODY, self._word, data[at + 4 : stop]))
        self._reads = _COMMANDS
        self.blocked = True
        return stop

    def _fail(self, events: list[Event], at: int, error: ProtocolError) -> int:
        """The end. Returns ``at``."""
        if self._reads == _TOTAL or self._reads == _MESSAGES:
            events.append((BAD_MPUB, self._mpub_topic, error))
        else:
            events.append((ERROR, error))
        self.stop()
        return at
