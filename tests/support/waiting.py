"""Waiting for what real processes do."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["eventually"]


def eventually(
    true: Callable[[], object],
    shown: Callable[[], object] = lambda: "it did not come to that",
    seconds: float = 20.0,
) -> None:
    """Wait until it is so; an AssertionError with what is ``shown`` after that time."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, shown()
        time.sleep(0.02)
