"""The files that hold a topic's newest checkpoints.

A checkpoint is written in place, over an older one, so that a full disk can take it: a slot is made
with room, grows when it must and never shrinks. Two checkpoints must never be overwritten: the
newest (a kill in the middle of a write leaves that one), and the newest that is known to be on
stable storage (a power cut may leave only that one). So there are three slots, and a fourth is made
when a sync of one more is under way.
"""

from __future__ import annotations

import attrs

from nsqtx.interfaces import StorageError, TopicState
from nsqtx.storage.checkpoint import (
    CheckpointHeader,
    decode_checkpoint,
    encode_checkpoint,
    parse_checkpoint,
)
from nsqtx.storage.directory import TopicDirectory

__all__ = ["Slots"]

_SLOT_SIZE = 4096
_NAMES = ("checkpoint.a", "checkpoint.b", "checkpoint.c", "checkpoint.d")


#: A slot that was made for later has only zeros in so many bytes at its front.
_LOOK = 64


@attrs.define(eq=False)
class _Slot:
    path: str
    #: Length of the file, 0 when it does not exist.
    size: int = 0
    #: Sequence of the checkpoint in it, 0 when there is none.
    sequence: int = 0


class Slots:
    """The checkpoints of one topic."""

    def __init__(self, directory: TopicDirectory) -> None:
        self._directory = directory
        self._volume = directory.volume
        self._slots = [_Slot(f"{directory.path}/{name}") for name in _NAMES]
        self._newest: _Slot | None = None
        self._stable: _Slot | None = None
        self._syncing: _Slot | None = None
        #: The newest checkpoint is not known to be on stable storage.
        self.dirty = False
        #: A sync of it failed, so only writing it again can help.
        self._spoilt = False

    def open(self) -> CheckpointHeader | None:
        """Look at what is there; None when there is no good checkpoint.

        :raises StorageError: a slot cannot be read.
        """
        newest = None
        for slot in self._slots:
            data = self._read(slot)
            header = parse_checkpoint(data)
            slot.size = len(data)
            slot.sequence = header.sequence if header else 0
            if not header and any(data[:_LOOK]):
                self._volume.report(f"{slot.path}: no good checkpoint, an older one counts")
            if header and (newest is None or header.sequence > newest.sequence):
                newest = header
                # What an earlier run left counts as stable, until a sync says more.
                self._newest = self._stable = slot
        return newest

    def rewrite(self) -> None:
        """Write the newest checkpoint once more, over the oldest one.

        A sync that failed in an earlier run may have left one that no later sync makes stable,
        though it can be read as long as the machine runs.
        """
        newest = self._newest
        if newest is None:
            return
        try:
            self._put(newest.sequence, self._read(newest))
        except StorageError:
            # A disk that has no room for one more. The next checkpoint may fit.
            self.dirty = True

    def load(self) -> TopicState | None:
        """The newest good checkpoint."""
        return decode_checkpoint(self._read(self._newest)) if self._newest else None

    def save(self, state: TopicState) -> None:
        """Write a checkpoint.

        :raises StorageError: the disk refused; the last one is as it was.
        """
        volume = self._volume
        began = volume.now()
        sequence = self._newest.sequence + 1 if self._newest else 1
        self._put(sequence, encode_checkpoint(sequence, state))
        volume.counters.checkpoint_times.add(volume.now() - began)
        if not self._slots[-2].size:
            self._reserve()

    def _reserve(self) -> None:
        """Make the other slots while there is room on the disk."""
        try:
            for slot in self._slots[:-1]:
                if not slot.size:
                    self._write(slot, b"")
        except StorageError:
            pass  # the checkpoint itself is safe, and the next save comes here again

    def _put(self, sequence: int, data: bytes) -> None:
        kept = (self._newest, self._stable, self._syncing)
        free = [slot for slot in self._slots if slot not in kept]
        slot = min(free, key=lambda slot: (not slot.size, slot.sequence))
        slot.sequence = 0
        self._write(slot, data)
        slot.sequence = sequence
        self._newest = slot
        self.dirty = True
        self._spoilt = False

    def _write(self, slot: _Slot, data: bytes) -> None:
        action = "open"
        try:
            file = self._directory.create(slot.path)
            action = "write"
            try:
                size = file.size()
                if not size:
                    self._directory.unsynced.add(self._directory.path)
                room = max(size, _SLOT_SIZE)
                while room < len(data):
                    room *= 2
                if room > size:
                    data += bytes(room - len(data))
                file.write_at(data, 0)
            finally:
                file.close()
        except OSError as error:
            raise self._volume.refused(action, slot.path, error) from error
        slot.size = room
        self._volume.succeeded()

    def _read(self, slot: _Slot) -> bytes:
        try:
            return self._volume.files.read(slot.path)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise self._volume.unreadable("read", slot.path, error) from error

    # A sync. The newest checkpoint goes along when the log is synced.

    def begin_sync(self) -> str | None:
        """The file to sync, None when that is not needed.

        :raises StorageError: it had to be written again, and the disk refused.
        """
        if not self.dirty or self._newest is None:
            return None
        if self._spoilt:
            data = self._read(self._newest)
            if parse_checkpoint(data) is None:
                raise StorageError(f"read {self._newest.path}: checkpoint is damaged")
            self._put(self._newest.sequence, data)
        self._syncing = self._newest
        self.dirty = False
        return self._newest.path

    def end_sync(self, good: bool) -> None:
        """The sync has ended."""
        slot, self._syncing = self._syncing, None
        if slot is None:
            return
        if good:
            self._stable = slot
        elif slot is self._newest:
            self.dirty = self._spoilt = True
        else:
            slot.sequence = 0
