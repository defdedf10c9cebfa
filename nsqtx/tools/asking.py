"""Asking several daemons at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredList

from nsqtx.cluster.errors import ApiError

__all__ = ["all_answers"]

T = TypeVar("T")


async def all_answers(asking: Iterable[Deferred[T]]) -> list[T | ApiError]:
    """What each answered, or why it did not, in their order. A cancel goes to all of them."""
    results: list[T | ApiError] = []
    value: Any
    for ok, value in await DeferredList(list(asking), consumeErrors=True):
        if ok:
            results.append(value)
        elif value.check(ApiError):
            results.append(value.value)
        else:
            value.raiseException()
    return results
