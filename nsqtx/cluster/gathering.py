"""Asking many daemons the same thing, with a limit, and what it means that some did not answer.

Facts: nsqadmin section 4.3. If nobody answered, also where there is nobody to ask, that is an
error; if some did not, their reasons are a warning beside what the others said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import attrs
from twisted.internet.defer import Deferred, DeferredList, DeferredSemaphore

from nsqtx.cluster.daemon import InvalidName
from nsqtx.cluster.errors import ApiError
from nsqtx.cluster.reasons import reason_text

__all__ = ["ClusterError", "Gathered", "Gathering"]

T = TypeVar("T")
A = TypeVar("A")


class ClusterError(Exception):
    """Nobody who was asked has answered; the text says who, and why not."""


@attrs.frozen
class Gathered(Generic[T]):
    """What is known of a cluster, and the warnings of each step of finding it out."""

    value: T
    warnings: list[str] = attrs.field(factory=list)

    @property
    def message(self) -> str:
        """For people: empty if nothing is to be said."""
        return "WARNING: " + "; ".join(self.warnings) if self.warnings else ""


@attrs.define
class Gathering:
    """Asks, at most ``parallel`` daemons at a time, whoever they are asked for."""

    parallel: int
    _places: DeferredSemaphore = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._places = DeferredSemaphore(self.parallel)

    async def ask_all(
        self, kind: str, whom: Iterable[A], request: Callable[[A], Deferred[T]]
    ) -> Gathered[list[T]]:
        """Ask all of them; what those say who answer, in that order.

        :param kind: what they are: ``nsqlookupd`` or ``nsqd``.
        :raises ClusterError: not one has answered.
        """
        answers, errors = await self._ask(whom, request)
        if not answers:
            reasons = "\n".join(errors)
            raise ClusterError(f"failed to query any {kind}: {reasons}")
        return _gathered(answers, errors)

    async def tell_all(
        self, whom: Iterable[A], request: Callable[[A], Deferred[T]]
    ) -> Gathered[list[T]]:
        """Tell all of them something: nobody has to be there, and nobody has to agree."""
        return _gathered(*await self._ask(whom, request))

    async def _ask(
        self, whom: Iterable[A], request: Callable[[A], Deferred[T]]
    ) -> tuple[list[T], list[str]]:
        asking = [self._places.run(request, each) for each in whom]
        results: list[tuple[bool, Any]] = await DeferredList(asking, consumeErrors=True)
        answers: list[T] = []
        errors: list[str] = []
        for answered, result in results:
            if answered:
                answers.append(result)
            else:
                errors.append(_reason(result.value))
        return answers, errors


def _gathered(answers: list[T], errors: list[str]) -> Gathered[list[T]]:
    """All that one step of asking has to say is one warning."""
    return Gathered(answers, ["\n".join(errors)] if errors else [])


def _reason(error: BaseException) -> str:
    """Why somebody did not answer. Any other error is a bug, which is not to pass for that."""
    if isinstance(error, ApiError):
        return reason_text(error)
    if isinstance(error, InvalidName):
        return str(error)
    raise error
