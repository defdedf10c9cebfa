"""Durations as NSQ's options and ``/stats`` write them: Go's syntax, nanoseconds inside."""

from __future__ import annotations

import re
from decimal import Decimal

__all__ = [
    "HOUR",
    "MICROSECOND",
    "MILLISECOND",
    "MINUTE",
    "SECOND",
    "format_duration",
    "parse_duration",
]

MICROSECOND = 1000
MILLISECOND = 1000 * MICROSECOND
SECOND = 1000 * MILLISECOND
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

_UNITS = {
    "ns": 1,
    "us": MICROSECOND,
    "\u00b5s": MICROSECOND,  # micro sign
    "\u03bcs": MICROSECOND,  # Greek mu
    "ms": MILLISECOND,
    "s": SECOND,
    "m": MINUTE,
    "h": HOUR,
}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)([^\d.]*)", re.ASCII)
_MAX = 2**63 - 1


def parse_duration(text: str) -> int:
    """Nanoseconds of a text such as ``1m30s``, ``1.5h`` or ``250ms``.

    :raises ValueError: it is none; the text says why, as Go does.
    """
    negative = text.startswith("-")
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0
    total = position = 0
    while position < len(rest):
        part = _PART.match(rest, position)
        if part is None:
            break
        number, unit = part.groups()
        if unit not in _UNITS:
            what = f'unknown unit "{unit}"' if unit else "missing unit"
            raise ValueError(f'time: {what} in duration "{text}"')
        total += int(Decimal(number) * _UNITS[unit])
        position = part.end()
    if not rest or position < len(rest) or total > _MAX + negative:
        raise ValueError(f'time: invalid duration "{text}"')
    return -total if negative else total


def format_duration(ns: int) -> str:
    """The text of a duration: ``1m30s``, ``1.5s``, ``837.100353ms``, ``0s``."""
    if ns < 0:
        return "-" + format_duration(-ns)
    if ns == 0:
        return "0s"
    if ns < SECOND:
        for unit, size in (("ms", MILLISECOND), ("\u00b5s", MICROSECOND), ("ns", 1)):
            if ns >= size:
                return _decimal(ns, size) + unit
    minutes, seconds = divmod(ns, MINUTE)
    text = _decimal(seconds, SECOND) + "s"
    hours, minutes = divmod(minutes, 60)
    if hours or minutes:
        text = f"{minutes}m{text}"
    if hours:
        text = f"{hours}h{text}"
    return text


def _decimal(number: int, unit: int) -> str:
    """``number`` in units, exactly, without trailing zeros."""
    whole, rest = divmod(number, unit)
    if not rest:
        return str(whole)
    return f"{whole}.{rest:0{len(str(unit)) - 1}d}".rstrip("0")
