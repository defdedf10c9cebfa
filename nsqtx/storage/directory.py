"""The directory of one topic, made when the first file in it is."""

from __future__ import annotations

import attrs

from nsqtx.interfaces import IFile
from nsqtx.storage.layout import ROOT
from nsqtx.storage.volume import Volume

__all__ = ["TopicDirectory"]


@attrs.define(eq=False)
class TopicDirectory:
    """Where the files of a topic are; ``path`` is relative to the data path."""

    volume: Volume
    path: str
    #: Directories in which something was made that a power cut would take away again.
    unsynced: set[str] = attrs.Factory(set)

    def create(self, path: str) -> IFile:
        """Open a file of the topic, made if missing. OSError passes through.

        Our directories are made if missing, the data path itself never: when it was deleted or
        unmounted under us, nothing may be written until an operator has brought it back.
        """
        files = self.volume.files
        try:
            return files.open(path, create=True)
        except FileNotFoundError:
            files.mkdir(ROOT)
            files.mkdir(self.path)
            self.unsynced |= {"", ROOT}
            return files.open(path, create=True)

    def exists(self) -> bool:
        """Whether the directory is there and can be read."""
        try:
            self.volume.files.listdir(self.path)
        except OSError:
            return False
        return True
