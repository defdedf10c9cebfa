"""Descriptors of a process that does not exist."""

from __future__ import annotations

from nsqtx.descriptors import Descriptors

__all__ = ["FakeDescriptors"]


class FakeDescriptors(Descriptors):
    """So many may be open, and ``used`` are."""

    def __init__(self, limit: int, used: int = 0) -> None:
        self.most = limit
        self.used = used

    def limit(self) -> int:
        return self.most

    def lowest_free(self) -> int:
        return self.used
