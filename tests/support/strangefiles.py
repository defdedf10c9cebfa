"""Files that others wrote, or damaged: what is in them is read or refused.

Each function here is given by hypothesis what it makes up, and by `tests.fuzz` what a fuzzer does.
"""

from __future__ import annotations

from collections.abc import Sequence
from tempfile import NamedTemporaryFile
from typing import Any

from nsqtx.interfaces import Batch
from nsqtx.options import ConfigError, read_file, read_options
from nsqtx.storage.metadata import MetadataError, read_metadata
from tests.support.disk import SimulatedDisk
from tests.support.programs import DAEMONS
from tests.support.storage import Now, append, everything, make_state, make_store

__all__ = [
    "HOW",
    "Damage",
    "damaged_data_path",
    "known_options",
    "metadata_of",
    "options_in",
    "takes_or_refuses",
]

#: What happens to a file: which one, where (as a share of it), how, and what stands there then.
Damage = tuple[int, float, str, bytes]
HOW = ("write", "cut", "insert", "zeros")


def options_in(cls: Any, data: bytes) -> Any:
    """The options in a file; None if it is refused."""
    with NamedTemporaryFile(suffix=".toml") as file:
        file.write(data)
        file.flush()
        try:
            return read_options(cls, {}, read_file(cls, file.name))
        except ConfigError:
            return None


def known_options(program: str) -> list[str]:
    """The keys that a file may have."""
    cls, _ = DAEMONS[program]
    return [each.metadata.get("key") or each.name for each in cls.__attrs_attrs__]


def takes_or_refuses(program: str, data: bytes) -> None:
    """An option file is taken or refused, or the daemon does not start by it and says why."""
    cls, start_error = DAEMONS[program]
    options = options_in(cls, data)
    if options is not None:
        assert start_error(options) != ""


def metadata_of(data: bytes) -> Any:
    """What an nsqd.dat says; None if it is refused."""
    disk = SimulatedDisk()
    disk.write("nsqd.dat", data)
    try:
        found = read_metadata(disk, "/data", lambda text: None)
    except MetadataError:
        return None
    assert found is not None
    return found


def _apply(disk: SimulatedDisk, damage: Sequence[Damage]) -> None:
    names = sorted(disk.listdir("nsqd.topics/t"))
    for number, share, how, data in damage:
        path = f"nsqd.topics/t/{names[number % len(names)]}"
        old = disk.read(path)
        at = int(share * len(old))
        if how == "write":
            disk.write(path, old[:at] + data + old[at + len(data) :])
        elif how == "cut":
            disk.write(path, old[:at])
        elif how == "insert":
            disk.write(path, old[:at] + data + old[at:])
        else:
            disk.write(path, old[:at] + bytes(len(old) - at))


def damaged_data_path(damage: Sequence[Damage], clean: bool) -> None:
    """The log opens, has nothing that was not written, in order, and goes on.

    ``clean``: nsqd was stopped before, and not killed.
    """
    disk, now = SimulatedDisk(), Now()
    store = make_store(disk, now=now, segment_size=300)
    log = store.open("t")
    known: list[Batch] = [append(log, b"x" * (1 + i * 7 % 90), b"%d" % i) for i in range(9)]
    log.save(make_state(log.end, "c", clean=clean))
    if clean:
        log.close()
        store.close()
    _apply(disk, damage)
    disk.restart()
    now.seconds += 1
    log = make_store(disk, now=now, seed=2, segment_size=300).open("t")
    found = everything(log)
    assert [batch for batch in found if batch not in known] == []
    firsts = [batch.first for batch in found]
    assert firsts == sorted(set(firsts))
    log.load()
    after = append(log, b"after")
    assert everything(log) == [*found, after]
