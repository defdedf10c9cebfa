"""Which of two versions is newer, by the rules of semver.org."""

from __future__ import annotations

import re

__all__ = ["Version", "version_order"]

_NUMBER = "(0|[1-9][0-9]{0,17})"
_SEMVER = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)

#: What versions are compared by.
Version = tuple[int, int, int, int, tuple[tuple[int, int, str], ...]]


def version_order(text: str) -> Version:
    """Orders as versions do. What is none is the oldest: 0.0.0 (nsqadmin section 4.4)."""
    match = _SEMVER.fullmatch(text)
    if match is None:
        return (0, 0, 0, 1, ())
    before = match[4]
    # A version comes after all those that lead to it; numbers before words.
    rest = tuple(
        (0, int(part), "") if part.isdigit() and len(part) < 19 else (1, 0, part)
        for part in (before or "").split(".")
        if part
    )
    return (int(match[1]), int(match[2]), int(match[3]), 0 if before else 1, rest)
