"""One data file of an original nsqd's disk queue: finding the messages in it.

A file is records, one after the other (engine section 6.2)::

    0        4           12         14            30
    ┌────────┬───────────┬──────────┬─────────────┬──────
    │ length │ timestamp │ attempts │ id          │ body
    └────────┴───────────┴──────────┴─────────────┴──────
     i32      i64, ns     u16        16 hex digits

``length`` counts what comes after it. There is no checksum and no mark between records, so the
original gives up the rest of a file where a length is impossible. We do not:

* A length is believed when it leads exactly to the end of the file, or to what looks like the start
  of another message: a time between 2006 and 2043, and 16 hex digits, at their places. Then
  nothing inside the body is ever looked at.
* When it leads elsewhere in the file, either it is damaged or what follows it is. It is damaged if
  a message begins inside, and that one, or one behind it, goes on past where the length leads: two
  healthy messages do not overlap. Else the length is believed, as the original does.
* When it leads past the end of the file, the message was cut off, which is what a crash leaves;
  unless messages that begin inside lead exactly to the end of the file.
* After something that is no message, the search goes byte by byte for the next start, whose length
  in turn must lead to the end of the file or to another start, or whose id must be made of its
  time, as those of nsqd are.

A message cannot be made up that way: no text has a time in binary in it with a length before it,
and by chance 16 bytes are hex digits once in 2**64 places. Only a body that is itself a piece of
such a file can be taken apart, and only if the length or the start of its message is destroyed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Self

from nsqtx.interfaces import IFile

__all__ = ["LENGTH_SIZE", "SMALLEST", "QueueFile"]

#: The size of the length before each message, and the least that it can say: an empty body.
LENGTH_SIZE = 4
SMALLEST = 26
_HEADER_SIZE = LENGTH_SIZE + SMALLEST
#: How much is read at a time, in bytes.
_PIECE = 1024 * 1024
#: The first byte of a time in ns is 10 (2006) to 1F (2043).
_START = re.compile(rb".{4}[\x10-\x1f].{9}[0-9a-f]{16}", re.DOTALL)
_STARTS = re.compile(rb"(?=.{4}[\x10-\x1f].{9}[0-9a-f]{16})", re.DOTALL)
#: What nsqd takes off the time when it makes an id, in units of 2**20 ns (engine section 3), and
#: how far apart id and time of a message may be: about 4 s.
_ID_EPOCH = 1288834974288
_ID_SLACK = 4096


class QueueFile:
    """A data file, read in pieces; a context manager that closes it.

    ``report(start, stop)`` is told of each stretch in which there is no message. OSError from the
    system passes through all methods.
    """

    def __init__(self, file: IFile, report: Callable[[int, int], None]) -> None:
        self._file = file
        self._report = report
        self.size = file.size()
        self._piece = b""
        self._base = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _read(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes; fewer only at the end of the file."""
        size = max(0, min(size, self.size - offset))
        at = offset - self._base
        if at < 0 or at + size > len(self._piece):
            if size > _PIECE:
                return self._file.read_at(offset, size)
            self._piece = self._file.read_at(offset, _PIECE)
            self._base, at = offset, 0
        return self._piece[at : at + size]

    def messages(self, start: int = 0) -> Iterator[bytes]:
        """The messages from ``start`` on, as they were stored, without their length."""
        offset = start
        while offset < self.size:
            for data in self._healthy(offset):
                yield data
                offset += LENGTH_SIZE + len(data)
            stop = self.stop_of(offset)
            if stop is None:
                found = self._resume(offset)
                self._report(offset, found)
                offset = found
                continue
            data = self._read(offset + LENGTH_SIZE, stop - offset - LENGTH_SIZE)
            if len(data) > SMALLEST:  # nobody can publish an empty body
                yield data
            offset = stop

    def _healthy(self, offset: int) -> Iterator[bytes]:
        """Messages from ``offset`` on that are in memory, each before what looks like another.

        It finds no others than `stop_of` would; it is for speed.
        """
        piece = self._piece
        at = offset - self._base
        last = len(piece) - _HEADER_SIZE
        starts = _START.match
        while 0 <= at <= last:
            stop = at + LENGTH_SIZE + int.from_bytes(piece[at : at + LENGTH_SIZE], "big")
            if stop > last or stop - at <= _HEADER_SIZE or not starts(piece, stop):
                return
            yield piece[at + LENGTH_SIZE : stop]
            at = stop

    def stop_of(self, offset: int) -> int | None:
        """Where the message that begins at ``offset`` ends; None when none begins there."""
        stop = self._declared(offset)
        if stop is None or stop == self.size or self.starts(stop):
            return stop
        if not self.starts(offset) or self._overlapped(offset, stop):
            return None
        return stop

    def starts(self, offset: int) -> bool:
        """Whether what stands at ``offset`` looks like the start of a message."""
        return _START.match(self._read(offset, _HEADER_SIZE)) is not None

    def first_failure(self, largest: int) -> int:
        """Where the original fails with ``largest`` for a message's size; the end if nowhere."""
        offset = 0
        while offset < self.size:
            stop = self._declared(offset)
            if stop is None or stop - offset - LENGTH_SIZE > largest:
                break
            offset = stop
        return offset

    def is_boundary(self, offset: int) -> bool:
        """Whether the lengths of the messages lead from the beginning to ``offset``."""
        at: int | None = 0
        while at is not None and at < offset:
            at = self._declared(at)
        return at == offset

    def _declared(self, offset: int) -> int | None:
        """Where the length at ``offset`` leads; None when that is impossible."""
        length = int.from_bytes(self._read(offset, LENGTH_SIZE), "big")
        stop = offset + LENGTH_SIZE + length
        return stop if length >= SMALLEST and stop <= self.size else None

    def _overlapped(self, offset: int, stop: int) -> bool:
        """Whether a message that begins inside this one ends behind it."""
        inner: int | None = self._search(offset + _HEADER_SIZE, stop)
        while inner is not None and inner < stop:
            inner = self._declared(inner) if self.starts(inner) else None
        return inner is not None and inner > stop

    def _resume(self, offset: int) -> int:
        """Where reading goes on after ``offset``, where no message was found."""
        found = self._search(offset + 1)
        if self.starts(offset) and self._declared(offset) is None:
            while found < self.size and (end := self._end_of_chain(found)) < self.size:
                found = self._search(end + 1)
        return found

    def _end_of_chain(self, offset: int) -> int:
        """How far the lengths lead from message to message."""
        while self.starts(offset) and (stop := self._declared(offset)) is not None:
            offset = stop
        return offset

    def _search(self, offset: int, limit: int | None = None) -> int:
        """The first place from ``offset`` on where a message begins; ``limit`` if there is none."""
        if limit is None:
            limit = self.size
        while offset < limit:
            piece = self._read(offset, min(_PIECE, limit - offset + _HEADER_SIZE))
            for match in _STARTS.finditer(piece):
                found = offset + match.start()
                if found >= limit:
                    break
                if self._trusted(found):
                    return found
            offset += max(1, len(piece) - _HEADER_SIZE + 1)
        return limit

    def _trusted(self, offset: int) -> bool:
        """Whether what looks like the start of a message is one."""
        stop = self._declared(offset)
        if stop is None:
            return False
        return stop == self.size or self.starts(stop) or self._made_of_its_time(offset)

    def _made_of_its_time(self, offset: int) -> bool:
        header = self._read(offset, _HEADER_SIZE)
        time = int.from_bytes(header[4:12], "big") >> 20
        return abs((int(header[14:30], 16) >> 22) + _ID_EPOCH - time) <= _ID_SLACK
