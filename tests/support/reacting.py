"""Tests that need the real reactor: sockets of the client under test, and processes beside it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

from twisted.internet.defer import Deferred

__all__ = ["reacting"]

P = ParamSpec("P")


def reacting(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, Deferred[None]]:
    """Makes a test of a coroutine function; pytest-twisted runs the reactor until its end."""

    @functools.wraps(test)
    def begin(*args: P.args, **kwargs: P.kwargs) -> Deferred[None]:
        return Deferred.fromCoroutine(test(*args, **kwargs))

    return begin
