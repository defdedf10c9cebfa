"""A program for trying the fork server: it says how it was called and ends as it was told."""

from __future__ import annotations

import sys
import time

__all__ = ["main"]


def main() -> int:
    """Do what the first argument says with the second."""
    print(*sys.argv[1:], file=sys.stderr, flush=True)
    what, value = sys.argv[1:]
    if what == "exit":
        sys.exit(int(value))
    if what == "raise":
        raise RuntimeError(value)
    if what == "sleep":
        time.sleep(float(value))
        return 0
    return int(value)
