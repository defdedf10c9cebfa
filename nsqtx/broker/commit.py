"""Publishes that wait for the disk.

At durability ``fsync`` a message is only safe after a sync, so `Topic.publish` hands back a
`Commit`, and the answer to the publisher is said when it is done. A plain callback list, not a
Deferred: there may be one for every message.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from nsqtx.interfaces import StorageError

__all__ = ["Commit"]


@attrs.define(eq=False)
class Commit:
    """One publish on its way to stable storage.

    ``channels_made`` says how many channels its topic had made when it began to wait.
    """

    channels_made: int = 0
    done: bool = False
    error: StorageError | None = None
    _callbacks: list[Callable[[StorageError | None], None]] = attrs.Factory(list)

    def add(self, callback: Callable[[StorageError | None], None]) -> None:
        """Call back with None when the messages are safe, with the error when they are refused."""
        if self.done:
            callback(self.error)
        else:
            self._callbacks.append(callback)

    def finish(self, error: StorageError | None) -> None:
        """Tell all who wait."""
        self.done = True
        self.error = error
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(error)
