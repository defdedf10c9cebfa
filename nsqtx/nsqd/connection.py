"""What a session needs of the connection that it is on."""

from __future__ import annotations

from typing import Protocol

from nsqtx.nsqd.upgrade import Upgrade

__all__ = ["Connection"]


class Connection(Protocol):
    """What a session needs of the connection it is on."""

    def write(self, data: bytes) -> None:
        """Send."""

    def close(self) -> None:
        """Send what is buffered, then close."""

    def hold(self, on: bool, reason: str = "held") -> None:
        """Stop reading, or go on when no other reason is left."""

    def negotiated(self, first: bool) -> None:
        """IDENTIFY set the session's ``heartbeat_interval``, for the first time or again."""

    def upgrade(self, upgrade: Upgrade) -> None:
        """All was sent that goes out as the connection is: add layers, then `Session.upgraded`."""

    def upgraded(self) -> None:
        """The layers are there, and commands come through them."""

    def broken(self, error: Exception) -> None:
        """A bug has met this client: say so, and close."""
