"""The data path: where the logs of all topics are."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from zope.interface import implementer

from nsqtx.interfaces import IFiles, IStore, StorageError
from nsqtx.storage.crc import crc32
from nsqtx.storage.handles import Handles
from nsqtx.storage.layout import ROOT, decode_topic, encode_topic
from nsqtx.storage.log import TopicLog
from nsqtx.storage.metadata import write_metadata
from nsqtx.storage.syncs import SyncLine, sync_file
from nsqtx.storage.volume import Counters, InThread, Settings, Volume

__all__ = ["Store"]

_STOPPED = f"{ROOT}/stopped.mark"
_POSITIONS = f"{ROOT}/positions.mark"
_PROBE = f"{ROOT}/probe.mark"
_PROBE_SIZE = 4096


def _ignore(_text: str) -> None:
    """Report to nobody."""


@implementer(IStore)
class Store:
    """See `nsqtx.interfaces.IStore`. Call `start` first and `close` last.

    ``root`` is the path that ``files`` are under, for error texts. ``now`` is the time in seconds
    since the epoch. ``report`` is told about damage and about failures that nobody waits for.
    """

    def __init__(
        self,
        files: IFiles,
        root: str,
        settings: Settings,
        in_thread: InThread,
        now: Callable[[], float],
        report: Callable[[str], None] = _ignore,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        #: The disk below, for those who keep other files in the data path.
        self.volume = Volume(files, root, settings, in_thread, now, report, random)
        self._handles = Handles(files, settings.open_files)
        self._line = SyncLine(in_thread, settings.open_files)
        self._logs: dict[str, TopicLog] = {}
        self._clean = False
        self._high_water = 0

    @property
    def health(self) -> str | None:
        """None, or the text of a write that failed since one succeeded (engine section 9)."""
        return self.volume.health

    @property
    def counters(self) -> Counters:
        """What the disk did so far."""
        return self.volume.counters

    def start(self) -> None:
        """Find out how the last run ended, and note that this one has begun.

        :raises StorageError: the data path cannot be used at all.
        """
        volume = self.volume
        files = volume.files
        try:
            files.mkdir(ROOT)
            names = files.listdir(ROOT)
            if _STOPPED.removeprefix(f"{ROOT}/") in names:
                files.unlink(_STOPPED)
                # Else a power cut brings the mark back, and positions come twice.
                files.sync_directory(ROOT)
                self._clean = True
            else:
                # Directories that a run made which was killed may be gone after a power cut, and
                # no later sync would know of them.
                files.sync_directory("")
                files.sync_directory(ROOT)
        except OSError as error:
            raise volume.refused("open", ROOT, error) from error
        self._high_water = self._read_high_water()
        leftovers = [name for name in names if ".deleted." in name]
        if leftovers:
            self._purge([f"{ROOT}/{name}" for name in leftovers])

    @property
    def used(self) -> bool:
        """Whether an nsqd of ours has run here: then the logs say all that ``nsqd.dat`` says.

        :raises StorageError: the data path cannot be read.
        """
        try:
            return ROOT in self.volume.files.listdir("")
        except OSError as error:
            raise self.volume.unreadable("open", "", error) from error

    def topics(self) -> list[str]:
        """See `nsqtx.interfaces.IStore.topics`."""
        try:
            names = self.volume.files.listdir(ROOT)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self.volume.unreadable("open", ROOT, error) from error
        topics = map(decode_topic, names)
        return sorted(topic for topic in topics if topic is not None)

    def open(self, topic: str) -> TopicLog:
        """See `nsqtx.interfaces.IStore.open`.

        Nothing is written before something is appended or saved, so a topic can also be made
        while the disk refuses.
        """
        log = self._logs.get(topic)
        if log is None or log.closed:
            log = TopicLog(
                self.volume, self._handles, self._line, topic, self._clean, self._high_water
            )
            self._logs[topic] = log
        return log

    def delete(self, topic: str) -> None:
        """See `nsqtx.interfaces.IStore.delete`. The files are removed in a thread."""
        volume = self.volume
        end = self.open(topic).end
        if end > self._high_water:
            self._high_water = end
            self._write_high_water()
        path = f"{ROOT}/{encode_topic(topic)}"
        doomed = [f"{path}.deleted.{volume.mark().hex()}"]
        try:
            volume.files.rename(path, doomed[0])
        except FileNotFoundError:
            doomed = []  # nothing was ever written
        except OSError as error:
            raise volume.refused("rename", path, error) from error
        self._logs.pop(topic).discard()
        if doomed:
            self._purge(doomed)

    def _purge(self, directories: list[str]) -> None:
        files = self.volume.files

        def work() -> None:
            # Before the topic is gone it must be known which positions were used. A disk that
            # refuses this shall be emptied all the same.
            with contextlib.suppress(OSError):
                sync_file(files, _POSITIONS)
            files.sync_directory(ROOT)  # the topic is gone for good before its files are
            for directory in directories:
                for name in files.listdir(directory):
                    files.unlink(f"{directory}/{name}")
                files.rmdir(directory)

        def done(error: BaseException | None) -> None:
            if error is not None:
                self.volume.report(f"delete {', '.join(directories)}: {error}")

        self.volume.in_thread(work, done)

    # The clock is what keeps positions from coming twice. This is for when it was set back.

    def _read_high_water(self) -> int:
        try:
            data = self.volume.files.read(_POSITIONS)
        except OSError:
            return 0
        good = len(data) >= 12 and crc32(data[:8]).to_bytes(4, "big") == data[8:12]
        return int.from_bytes(data[:8], "big") if good else 0

    def _write_high_water(self) -> None:
        data = self._high_water.to_bytes(8, "big")
        try:
            file = self.volume.files.open(_POSITIONS, create=True)
            try:
                file.write_at(data + crc32(data).to_bytes(4, "big"), 0)
            finally:
                file.close()
        except OSError as error:
            self.volume.report(str(self.volume.unreadable("write", _POSITIONS, error)))

    def write_metadata(self, data: bytes) -> None:
        """Replace ``nsqd.dat``; see `nsqtx.storage.metadata.write_metadata`.

        Without a sync, since it only repeats what the logs' checkpoints say.
        """
        write_metadata(self.volume, data, sync=False)

    def tick(self) -> None:
        """Close files that are idle, and see whether the disk works again; once a second."""
        self._handles.sweep(self.volume.now())
        self.probe()

    # Health.

    def probe(self) -> None:
        """If the last write failed, try a small one, so that health comes back by itself."""
        volume = self.volume
        if volume.health is None:
            return
        files = volume.files
        try:
            files.mkdir(ROOT)
            file = files.open(_PROBE, create=True)
            try:
                file.write_at(bytes(_PROBE_SIZE), 0)
            finally:
                file.close()
                files.unlink(_PROBE)
        except OSError as error:
            volume.refused("write", _PROBE, error)
        else:
            volume.succeeded()

    def close(self, orderly: bool = True) -> None:
        """Close all logs and note that the stop was orderly.

        ``orderly``: every topic has written its last checkpoint. If one has not, its newest may be
        that of an earlier stop, and what was handed out since then would be handed out again.

        :raises StorageError: it was not; the next start has to look closer.
        """
        failure = None if orderly else StorageError("the stop was not orderly")
        for log in self._logs.values():
            try:
                log.close()
            except StorageError as error:
                failure = error
            if log.failed and failure is None:
                failure = StorageError("the stop was not orderly")
        self._logs.clear()
        if failure is not None:
            raise failure
        try:
            self.volume.files.open(_STOPPED, create=True).close()
            self.volume.files.sync_directory(ROOT)
        except OSError as error:
            raise self.volume.refused("write", _STOPPED, error) from error
