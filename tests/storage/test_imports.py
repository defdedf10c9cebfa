"""Which files of a data path are disk queues, and the mark of an import."""

from __future__ import annotations

import pytest

from nsqtx.interfaces import StorageError
from nsqtx.storage.imports import (
    Mark,
    find_queues,
    read_mark,
    remove_mark,
    set_aside,
    write_mark,
)
from tests.support.disk import SimulatedDisk
from tests.support.storage import make_store

MARK = Mark("t", 5, ["t.diskqueue.000000.dat"])


def test_queues_of_topics_and_channels() -> None:
    """All files of a queue are found by the name before the last .diskqueue in theirs."""
    topics, odd = find_queues(
        [
            "nsqd.dat",
            "t.diskqueue.meta.dat",
            "t.diskqueue.meta.dat.123.tmp",
            "t.diskqueue.000001.dat",
            "t.diskqueue.000000.dat.bad",
            "t:c.diskqueue.1000000.dat",
            "..diskqueue.000000.dat",
            "a.b:c.d.diskqueue.000002.dat",
            "x.diskqueue.000000.dat:c.diskqueue.000003.dat",
        ]
    )
    assert odd == []
    assert sorted(topics) == [".", "a.b", "t", "x.diskqueue.000000.dat"]
    own = topics["t"].own
    assert own is not None
    assert own.metadata == "t.diskqueue.meta.dat"
    assert own.data == {1: "t.diskqueue.000001.dat"}
    assert own.bad == {0: "t.diskqueue.000000.dat.bad"}
    assert own.temporary == ["t.diskqueue.meta.dat.123.tmp"]
    assert topics["t"].channels["c"].data == {1_000_000: "t:c.diskqueue.1000000.dat"}
    assert topics["a.b"].channels["c.d"].data == {2: "a.b:c.d.diskqueue.000002.dat"}
    assert list(topics["x.diskqueue.000000.dat"].channels) == ["c"]
    assert len(topics["t"].names()) == 5


def test_what_is_not_a_disk_queue() -> None:
    """Other files, and those imported before, are passed over; odd names are told."""
    odd = [
        "t#ephemeral:c.diskqueue.000000.dat",
        "t:c#ephemeral.diskqueue.000000.dat",
        "t:c:d.diskqueue.000000.dat",
        "\u00e9.diskqueue.000000.dat",
        "t:.diskqueue.000000.dat",
    ]
    others = [
        "t.diskqueue.000000.dat.imported",
        "t.diskqueue.meta.dat.imported.2",
        "t.diskqueue.0000000.dat",
        "t.diskqueue.00000.dat",
        "t.diskqueue.meta.dat.bad",
        ".diskqueue.000000.dat",
        "nsqd.topics",
    ]
    topics, found = find_queues([*odd, *others])
    assert topics == {}
    assert found == sorted(odd)


def test_the_mark_comes_and_goes() -> None:
    """It is replaced atomically and survives a power cut."""
    disk = SimulatedDisk()
    volume = make_store(disk).volume
    disk.sync_directory("")
    assert read_mark(volume) is None
    remove_mark(volume)
    write_mark(volume, MARK)
    disk.power_cut()
    assert read_mark(volume) == MARK
    other = Mark("other", 7, ["x"] * 100)
    write_mark(volume, other)
    write_mark(volume, MARK)
    assert read_mark(volume) == MARK
    remove_mark(volume)
    disk.power_cut()
    assert read_mark(volume) is None


def test_a_damaged_mark() -> None:
    """It is reported and does not prevent a start."""
    disk = SimulatedDisk()
    reports: list[str] = []
    volume = make_store(disk, reports=reports).volume
    write_mark(volume, MARK)
    disk.write("nsqd.topics/importing.mark", b"00000000{}")
    assert read_mark(volume) is None
    assert "is damaged" in reports[0]


def test_setting_aside_replaces_nothing() -> None:
    """A file imported earlier keeps its name, the next of that name gets a number."""
    disk = SimulatedDisk()
    volume = make_store(disk).volume
    for content in (b"1", b"2", b"3"):
        disk.write("f", content)
        set_aside(volume, ["f", "not there"])
    disk.power_cut()
    assert disk.read("f.imported") == b"1"
    assert disk.read("f.imported.2") == b"2"
    assert disk.read("f.imported.3") == b"3"
    assert "f" not in disk.listdir("")


def test_refused() -> None:
    """What the disk refuses is an error that says what was tried."""
    disk = SimulatedDisk()
    volume = make_store(disk).volume
    disk.write("f", b"1")
    disk.failures = {"rename": 13, "unlink": 13}
    with pytest.raises(StorageError, match="permission denied"):
        set_aside(volume, ["f"])
    with pytest.raises(StorageError, match=r"importing\.mark"):
        write_mark(volume, MARK)
