"""Turns of a reactor that end when a test says so."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from zope.interface import implementer

from nsqtx.interfaces import ITurns

__all__ = ["ManualTurns"]


@implementer(ITurns)
@attrs.define(eq=False)
class ManualTurns:
    """Keeps what is put off until `end`."""

    works: list[Callable[[], None]] = attrs.Factory(list)

    def at_turn_end(self, work: Callable[[], None]) -> None:
        """See `nsqtx.interfaces.ITurns`."""
        self.works.append(work)

    def end(self) -> None:
        """Do what was put off; what that puts off is for the next turn."""
        works, self.works = self.works, []
        for work in works:
            work()
