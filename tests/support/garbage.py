"""What only Python's garbage collector frees: objects that refer to one another.

A daemon runs the collector seldom, and what waits for it takes memory. So whatever ends (a
connection, a request, a topic) has to let go of what refers to it.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from twisted.logger import globalLogBeginner, globalLogPublisher

__all__ = ["left_to_collector"]


def left_to_collector(end_one: Callable[[], object], times: int = 5) -> dict[str, int]:
    """What waits for the collector each time that something began and ended.

    :param end_one: begins and ends one of what is looked at. Called once more before, for what is
        made only once.
    :return: by type or function, how many objects; empty if reference counts freed everything.
    """
    with _no_log_kept(), _no_collections():
        end_one()
        gc.collect()
        for _ in range(times):
            end_one()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            gc.collect()
            found = Counter(map(_name, gc.garbage))
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
    # What was there less often is somebody else's, a cache's or the test runner's.
    return {name: count // times for name, count in found.items() if count >= times}


@contextmanager
def _no_collections() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def _no_log_kept() -> Iterator[None]:
    """Until somebody begins to log, Twisted keeps the last events, and what their errors knew."""
    keeps = globalLogBeginner._temporaryObserver
    if keeps is not None:
        globalLogPublisher.removeObserver(keeps)
    try:
        yield
    finally:
        if keeps is not None:
            globalLogPublisher.addObserver(keeps)


def _name(found: Any) -> str:
    kind = type(found)
    if kind.__name__ in ("function", "method"):
        return f"{kind.__name__} {found.__module__}.{found.__qualname__}"
    return f"{kind.__module__}.{kind.__qualname__}"
