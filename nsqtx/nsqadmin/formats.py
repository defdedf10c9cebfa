"""Figures as people read them."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from nsqtx.durations import HOUR, MICROSECOND, MILLISECOND, MINUTE, SECOND

__all__ = ["ago", "clock_time", "count", "ordinal", "rate", "short", "size", "span", "stamp"]

_STEPS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def count(number: int) -> str:
    """``1,234,567``."""
    return f"{number:,}"


def rate(number: float | None) -> str:
    """Messages a second; a dash where it is not known."""
    if number is None:
        return "–"
    if 0 < number < 10:
        return f"{number:.2f}"
    return f"{number:,.0f}"


def short(number: float) -> str:
    """Three digits and a letter: ``1.23M``."""
    for step, letter in _STEPS:
        if abs(number) >= step:
            return f"{number / step:.3g}{letter}"
    return f"{number:.3g}"


def size(number: int) -> str:
    """Bytes."""
    for step, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if number >= step:
            return f"{number / step:.1f} {unit}"
    return f"{number} B"


def span(nanoseconds: float) -> str:
    """A duration: hours and minutes, then the rest to two decimals (nsqadmin section 10.10)."""
    left = max(0.0, nanoseconds)
    hours, left = divmod(left, HOUR)
    minutes, left = divmod(left, MINUTE)
    text = f"{hours:.0f}h " if hours else ""
    text += f"{minutes:.0f}m " if minutes or hours else ""
    for unit, name in ((SECOND, "s"), (MILLISECOND, "ms"), (MICROSECOND, "µs")):
        if left >= unit or (text and unit == SECOND):
            return f"{text}{_trimmed(left / unit)}{name}"
    return f"{left:.0f}ns"


def _trimmed(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")


def ago(seconds: float) -> str:
    """How long something lasts, in one or two units: ``3d 4h``, ``2m 5s``."""
    left = max(0, int(seconds))
    parts: list[str] = []
    for unit, name in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        number, left = divmod(left, unit)
        if number or (unit == 1 and not parts):
            parts.append(f"{number}{name}")
    return " ".join(parts[:2])


def ordinal(quantile: float) -> str:
    """A percentile, ``99th`` for 0.99 and for 0.999, as the original has it."""
    number = math.floor(quantile * 100 + 1e-9)
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def stamp(seconds: float) -> str:
    """A moment, to the second, in UTC."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return "–"


def clock_time(seconds: float) -> str:
    """A time of the day, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M")
