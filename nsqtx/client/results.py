"""What a handler has returned: something to wait for, or not (client section 5.2)."""

from __future__ import annotations

from asyncio import isfuture
from inspect import isasyncgen, iscoroutine, isgenerator
from typing import Any

from twisted.internet.defer import Deferred

__all__ = ["to_wait_for"]


def to_wait_for(result: Any) -> Deferred[Any] | None:
    """What to wait for, if a handler has returned such a thing.

    :raises TypeError: it has done nothing so far, and never will.
    """
    if isinstance(result, Deferred):
        return result
    if iscoroutine(result):
        return Deferred.fromCoroutine(result)
    if isgenerator(result) or isasyncgen(result):
        raise TypeError("the handler is a generator: inlineCallbacks?")
    return Deferred.fromFuture(result) if isfuture(result) else None
