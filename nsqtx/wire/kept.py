"""Bytes that wait until there are enough of them."""

from __future__ import annotations

import attrs

__all__ = ["Kept"]

# As long as reads are shorter than this, they share a chunk: an object costs 33 bytes more.
_SHORT = 4096


@attrs.define(eq=False)
class Kept:
    """Reads, one after the other, to be joined once."""

    #: How many bytes there are.
    size: int = 0
    _chunks: list[bytes | bytearray] = attrs.Factory(list)

    def put(self, data: bytes) -> None:
        """Add a read."""
        self.size += len(data)
        if len(data) >= _SHORT:
            self._chunks.append(data)
        elif self._chunks and isinstance(self._chunks[-1], bytearray):
            self._chunks[-1] += data
        else:
            self._chunks.append(bytearray(data))

    def joined(self) -> bytes:
        """All of it; it stays kept."""
        return b"".join(self._chunks)

    def take(self) -> bytes:
        """All of it, and nothing is kept any more."""
        data = b"".join(self._chunks)
        self.clear()
        return data

    def clear(self) -> None:
        """Forget it."""
        self._chunks = []
        self.size = 0
