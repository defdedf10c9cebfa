"""What an original nsqd left in the data path, and how far taking it over has come.

Which disk queues there are says the list of files: ``<topic>.diskqueue.…`` holds what was not yet
handed to channels, ``<topic>:<channel>.diskqueue.…`` what is that channel's alone (engine section
6.1). Names may contain ``.diskqueue.``, so the last one in a file's name counts.

A topic is imported as a whole, and its checkpoint decides whether it was. A `Mark` is written
before the first message is appended to the topic's log, with where the log ended; nobody else
appends meanwhile. So after a crash with a mark left behind

* a checkpoint that ends where the log ended then, or before, knows nothing of the import: what was
  appended is passed over, and all is read again;
* a checkpoint that ends later has all of it: the files need only be renamed.

The files are renamed, to ``<name>.imported``, and never deleted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import attrs

from nsqtx.storage.crc import crc32
from nsqtx.storage.diskqueue import QueueFiles
from nsqtx.storage.layout import ROOT
from nsqtx.storage.volume import Volume
from nsqtx.wire.names import is_ephemeral, valid_name

__all__ = [
    "Mark",
    "TopicQueues",
    "find_queues",
    "list_data_path",
    "read_mark",
    "remove_mark",
    "set_aside",
    "write_mark",
]

_MARK = f"{ROOT}/importing.mark"
_SUFFIX = ".imported"
_FILE = re.compile(r"(?P<queue>.+)\.diskqueue\.(?:(?P<number>\d{6,})|meta)\.dat(?P<rest>.*)", re.S)
_TEMPORARY = re.compile(r"\.\d+\.tmp\Z")


@attrs.define
class TopicQueues:
    """The disk queues of a topic: its own, if there is one, and those of its channels."""

    own: QueueFiles | None = None
    channels: dict[str, QueueFiles] = attrs.Factory(dict)

    def by_age(self) -> list[tuple[str | None, QueueFiles]]:
        """All queues, with their channels: the topic's own last, whose messages are younger."""
        own = [] if self.own is None else [(None, self.own)]
        return [*self.channels.items(), *own]

    def names(self) -> list[str]:
        """All their files."""
        return [name for _, queue in self.by_age() for name in queue.names()]


@attrs.frozen
class Mark:
    """Says that a topic is being imported from ``files``, into a log that ended at ``end``."""

    topic: str
    end: int
    files: list[str]


def find_queues(names: Iterable[str]) -> tuple[dict[str, TopicQueues], list[str]]:
    """The disk queues among the files of a data path, by topic, and files that cannot be imported.

    The latter are of topics or channels that are ephemeral or have names that are not valid.
    """
    topics: dict[str, TopicQueues] = {}
    odd = []
    for name in sorted(names):
        match = _FILE.fullmatch(name)
        if match is None or not _is_queue_file(match):
            continue
        topic, colon, channel = match["queue"].partition(":")
        parts = [topic, channel] if colon else [topic]
        if not all(valid_name(part) and not is_ephemeral(part) for part in parts):
            odd.append(name)
            continue
        queues = topics.setdefault(topic, TopicQueues())
        if colon:
            queue = queues.channels.setdefault(channel, QueueFiles())
        else:
            queue = queues.own = queues.own or QueueFiles()
        _add(queue, name, match)
    return topics, odd


def _is_queue_file(match: re.Match[str]) -> bool:
    number, rest = match["number"], match["rest"]
    if number is None:
        return not rest or _TEMPORARY.match(rest) is not None
    return rest in ("", ".bad") and f"{int(number):06d}" == number


def _add(queue: QueueFiles, name: str, match: re.Match[str]) -> None:
    number, rest = match["number"], match["rest"]
    if number is not None:
        (queue.bad if rest else queue.data)[int(number)] = name
    elif rest:
        queue.temporary.append(name)
    else:
        queue.metadata = name


def list_data_path(volume: Volume) -> list[str]:
    """The names in the data path.

    :raises StorageError: it cannot be read.
    """
    try:
        return volume.files.listdir("")
    except OSError as error:
        raise volume.unreadable("open", "", error) from error


def read_mark(volume: Volume) -> Mark | None:
    """The mark of an import that was interrupted; None if there is none.

    :raises StorageError: it cannot be read.
    """
    try:
        data = volume.files.read(_MARK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise volume.unreadable("read", _MARK, error) from error
    crc, body = data[:8], data[8:]
    if crc != b"%08x" % crc32(body):
        volume.report(f"{_MARK} is damaged: an interrupted import may come again")
        return None
    return Mark(**json.loads(body))


def write_mark(volume: Volume, mark: Mark) -> None:
    """Note, atomically and on stable storage, that an import begins.

    :raises StorageError: the disk refused.
    """
    body = json.dumps(attrs.asdict(mark)).encode()
    temporary = f"{_MARK}.tmp"
    try:
        file = volume.files.open(temporary, create=True)
        try:
            file.truncate(0)
            file.write_at(b"%08x" % crc32(body) + body, 0)
            file.datasync()
        finally:
            file.close()
        volume.files.rename(temporary, _MARK)
        volume.files.sync_directory(ROOT)
    except OSError as error:
        raise volume.refused("write", _MARK, error) from error


def remove_mark(volume: Volume) -> None:
    """The import is complete, or was taken back.

    :raises StorageError: the disk refused.
    """
    try:
        volume.files.unlink(_MARK)
        volume.files.sync_directory(ROOT)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise volume.refused("unlink", _MARK, error) from error


def set_aside(volume: Volume, files: Iterable[str]) -> None:
    """Rename files that were imported; those that are not there were renamed already.

    :raises StorageError: the disk refused.
    """
    there = set(list_data_path(volume))
    try:
        for name in files:
            if name not in there:
                continue
            target = name + _SUFFIX
            number = 1
            while target in there:  # of an earlier import
                number += 1
                target = f"{name}{_SUFFIX}.{number}"
            volume.files.rename(name, target)
            there.add(target)
        volume.files.sync_directory("")
    except OSError as error:
        raise volume.refused("rename", "*.diskqueue.*", error) from error
