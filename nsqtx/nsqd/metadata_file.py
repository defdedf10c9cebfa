"""When ``nsqd.dat`` is written: soon after a change, and not all the time."""

from __future__ import annotations

import os

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from nsqtx.broker.broker import Broker
from nsqtx.interfaces import StorageError
from nsqtx.nsqd.loading import described
from nsqtx.storage.metadata import FILE_NAME, encode_metadata
from nsqtx.storage.store import Store
from nsqtx.version import NSQ_VERSION

__all__ = ["MetadataFile"]

log = Logger(namespace="nsqd")

#: It rests for so many times as long as it took. The file names every topic, so who makes ten
#: thousand of them would else wait for ten thousand times as many names.
REST = 20


class MetadataFile:
    """What topics and channels there are, for the original and for scripts; our logs say it too."""

    def __init__(self, store: Store, broker: Broker, data_path: str, clock: IReactorTime) -> None:
        self._store = store
        self._broker = broker
        self._path = os.path.join(data_path, FILE_NAME)
        self._clock = clock
        self._due: IDelayedCall | None = None
        self._rests_until = 0.0

    def soon(self) -> None:
        """Write it in the next turn of the reactor, or after a rest, once for all changes."""
        if self._due is None:
            delay = max(0.0, self._rests_until - self._clock.seconds())
            # A clock that was put back must not make it wait for that.
            self._due = self._clock.callLater(min(delay, 10.0), self.write)

    def write(self) -> None:
        """Write it now."""
        self.cancel()
        log.info("NSQ: persisting topic/channel metadata to {path}", path=self._path)
        began = self._clock.seconds()
        try:
            self._store.write_metadata(encode_metadata(described(self._broker), NSQ_VERSION))
        except StorageError as error:
            # Not fatal, also at the start: a full disk must not keep consumers from draining it.
            log.error("failed to persist metadata - {error}", error=error)
        now = self._clock.seconds()
        self._rests_until = now + REST * max(0.0, now - began)

    def cancel(self) -> None:
        """Do not write it soon."""
        due, self._due = self._due, None
        if due is not None and due.active():
            due.cancel()
