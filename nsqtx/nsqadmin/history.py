"""The last hour, in memory: depth and rate of every topic, channel and node.

A point is 20 seconds; an hour of one row takes 2 KiB. The number of rows is limited: beyond that,
new ones have no history until old ones are forgotten, which happens an hour after they were last
seen.
"""

from __future__ import annotations

import math
from array import array

__all__ = ["FIELDS", "HOUR", "POINTS", "STEP", "History", "Key", "Series", "Values", "window"]

#: Seconds of a point, and points that are kept.
STEP = 20
POINTS = 180
HOUR = STEP * POINTS
#: What a chart can be of, in minutes: there is something to see soon after the start.
WINDOWS = (4, 12, 20, 40, 60)
#: What is kept of a row.
FIELDS = ("depth", "in_flight", "rate")
#: Rows there may be.
MAX_ROWS = 20_000

#: What a row is called: kind and names, such as ``("channel", topic, channel)``.
Key = tuple[str, ...]
#: A value for each of `FIELDS`; None where there is none.
Values = tuple[float | None, float | None, float | None]

_NONE = math.nan
_EMPTY = array("f", [_NONE]) * (POINTS * len(FIELDS))


def window(points: int) -> int:
    """The least of `WINDOWS` that has room for so many points."""
    return next((each for each in WINDOWS if each * 60 >= points * STEP), WINDOWS[-1])


class Series:
    """The points of one row: a ring for each field, in one array."""

    __slots__ = ("last", "values")

    def __init__(self, slot: int) -> None:
        self.values = _EMPTY[:]
        #: The latest point there is, as time divided by `STEP`.
        self.last = slot

    def move_to(self, slot: int) -> None:
        """Begin a new point; those in between have nothing."""
        for passed in range(max(self.last + 1, slot - POINTS + 1), slot + 1):
            for field in range(len(FIELDS)):
                self.values[field * POINTS + passed % POINTS] = _NONE
        self.last = slot


class History:
    """Points of many rows."""

    def __init__(self, max_rows: int = MAX_ROWS) -> None:
        self._max_rows = max_rows
        self._rows: dict[Key, Series] = {}
        self._slot = 0
        self._first = 0
        #: How many polls went into the present point.
        self._count = 0

    def __len__(self) -> int:
        return len(self._rows)

    def begin(self, at: float) -> None:
        """The values that are added from now on are of this moment (seconds since 1970)."""
        slot = int(at // STEP)
        if slot != self._slot:
            self._first = self._first or slot
            self._slot, self._count = slot, 0
            self._forget()
        self._count += 1

    def add(self, key: Key, values: Values) -> None:
        """Add the values of a row; those of one point are averaged."""
        slot = self._slot
        series = self._rows.get(key)
        if series is None:
            if len(self._rows) >= self._max_rows:
                return
            series = self._rows[key] = Series(slot)
        elif series.last != slot:
            series.move_to(slot)
        place = slot % POINTS
        for value in values:
            if value is not None:
                before = series.values[place]
                # A row that is new in this point has nothing to be averaged with.
                if before == before:
                    value = before + (value - before) / self._count
                series.values[place] = value
            place += POINTS

    def _forget(self) -> None:
        gone = [key for key, series in self._rows.items() if series.last <= self._slot - POINTS]
        for key in gone:
            del self._rows[key]

    def points(self, key: Key, field: str) -> list[float | None]:
        """The last hour, oldest first; None where nothing is known."""
        series = self._rows.get(key)
        if series is None:
            return [None] * POINTS
        start = FIELDS.index(field) * POINTS
        found: list[float | None] = []
        for slot in range(self._slot - POINTS + 1, self._slot + 1):
            value = series.values[start + slot % POINTS]
            known = series.last - POINTS < slot <= series.last and value == value
            found.append(value if known else None)
        return found

    @property
    def minutes(self) -> int:
        """How much there is to see, of all rows together: one of `WINDOWS`."""
        return window(self._slot - self._first + 1)

    def recent(self, key: Key, field: str) -> list[float | None]:
        """The points of the last `minutes`."""
        return self.points(key, field)[-(self.minutes * 60 // STEP) :]

    @property
    def until(self) -> float:
        """The time of the latest point (seconds since 1970)."""
        return float(self._slot * STEP)
