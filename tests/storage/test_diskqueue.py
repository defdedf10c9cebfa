"""Which messages of an original's disk queue are still to be delivered."""

from __future__ import annotations

import pytest

from nsqtx.storage.diskqueue import DiskQueue
from nsqtx.storage.imports import find_queues
from tests.support.disk import SimulatedDisk
from tests.support.diskqueue import Original, stored
from tests.support.storage import make_store

MESSAGES = [stored(i, b"message %d" % i) for i in range(10)]
SIZE = len(MESSAGES[0])


def read(original: Original, max_msg_size: int = 1000) -> tuple[list[bytes], list[str]]:
    """The messages of the queue ``t``, and what was reported."""
    disk = SimulatedDisk()
    original.on(disk)
    reports: list[str] = []
    volume = make_store(disk).volume
    queue = find_queues(original.files)[0]["t"].own
    assert queue is not None
    found = list(DiskQueue(volume, queue, max_msg_size, reports.append).messages())
    assert disk.open_files == 0
    return [len(each).to_bytes(4, "big") + each for each in found], reports


@pytest.fixture
def original() -> Original:
    """A queue of ten messages in files of three."""
    original = Original(max_bytes_per_file=3 * SIZE)
    original.put("t", *MESSAGES)
    original.sync("t", depth=10)
    return original


def test_all_files_in_order(original: Original) -> None:
    """From the first file to the last."""
    assert len(original.files) == 5
    assert read(original) == (MESSAGES, [])


def test_more_than_six_digits() -> None:
    """Numbers of files are compared as numbers."""
    original = Original()
    for number, message in zip((999_999, 1_000_000), MESSAGES, strict=False):
        original.files[original.file("t", number)] = message
    original.files["t.diskqueue.meta.dat"] = b"2\n999999,0\n1000000,%d\n" % SIZE
    assert read(original) == (MESSAGES[:2], [])


def test_what_was_consumed_does_not_come(original: Original) -> None:
    """Reading begins where the metadata says."""
    del original.files[original.file("t", 0)]
    original.sync("t", read=(1, SIZE))
    assert read(original) == (MESSAGES[4:], [])
    original.sync("t", read=(3, SIZE))
    for number in (1, 2):
        del original.files[original.file("t", number)]
    assert read(original) == ([], [])


def test_metadata_behind_the_data(original: Original) -> None:
    """What was written after the last sync is found, in the same file or in a later one."""
    original.files["t.diskqueue.meta.dat"] = b"2\n0,0\n0,%d\n" % (2 * SIZE)
    assert read(original) == (MESSAGES, [])


def test_metadata_ahead_of_the_data(original: Original) -> None:
    """What the metadata knows and the files have not is not waited for."""
    last = original.file("t", 3)
    original.files[last] = b""
    assert read(original) == (MESSAGES[:9], [])
    del original.files[last]
    assert read(original) == (MESSAGES[:9], [])


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"10\n",
        b"10\n3,",
        b"x\n3,0\n3,46\n",
        b"10\n-1,0\n3,46\n",
        b"10\n4,0\n3,46\n",  # reading is ahead of writing
        b"10\n2,0\n3,46\n",  # an older file is there
        b"10\n99999999999999999999999,0\n3,46\n",
    ],
)
def test_metadata_that_cannot_be_true(original: Original, text: bytes) -> None:
    """Everything is read, and that is said."""
    original.files["t.diskqueue.meta.dat"] = text
    found, reports = read(original)
    assert found == MESSAGES
    assert len(reports) == 1
    assert "read from its start" in reports[0]


def test_without_metadata(original: Original) -> None:
    """Everything is read, where the original overwrites it."""
    del original.files["t.diskqueue.meta.dat"]
    found, reports = read(original)
    assert found == MESSAGES
    assert len(reports) == 1


def test_reading_inside_a_message(original: Original) -> None:
    """A place at which no message begins is not believed; a damaged message there is."""
    original.sync("t", read=(0, SIZE + 5))
    assert read(original)[0] == MESSAGES
    original.sync("t", read=(0, SIZE))
    first = original.file("t")
    original.files[first] = MESSAGES[0] + bytes(SIZE) + MESSAGES[2]
    assert read(original)[0] == MESSAGES[2:]


def test_every_byte_of_the_metadata_changed(original: Original) -> None:
    """Never a failure, and never less than the original delivers of the same files."""
    text = original.files["t.diskqueue.meta.dat"]
    for at in range(len(text)):
        for byte in b"\n,09x\xff":
            original.files["t.diskqueue.meta.dat"] = text[:at] + bytes([byte]) + text[at + 1 :]
            found, _ = read(original)
            assert found == MESSAGES[MESSAGES.index(found[0]) :]
            assert len(found) >= 8 or at == 3, "only the number of the file can hide something"


def test_behind_a_bad_length(original: Original) -> None:
    """Only the message itself is lost, where the original loses the rest of the file."""
    name = original.file("t", 1)
    original.files[name] = b"\x7f\xff\xff\xff" + original.files[name][4:]
    found, reports = read(original)
    assert found == MESSAGES[:3] + MESSAGES[4:]
    assert reports == [f"{name}: no message in bytes 0 to {SIZE}"]


def test_a_file_set_aside(original: Original) -> None:
    """What is before the failure was delivered, what is behind it comes first."""
    name = original.file("t", 1)
    data = original.files.pop(name)
    original.files[f"{name}.bad"] = data[:SIZE] + b"\xff" + data[SIZE + 1 :]
    del original.files[original.file("t", 0)]
    original.sync("t", read=(2, 0))
    found, _ = read(original)
    assert found == [MESSAGES[5], *MESSAGES[6:]]


def test_a_file_set_aside_for_a_large_message() -> None:
    """A message beyond --max-msg-size was the failure, and is delivered."""
    original = Original()
    large = stored(3, b"x" * 500)
    original.files["t.diskqueue.000000.dat.bad"] = MESSAGES[0] + large + MESSAGES[1]
    original.sync("t")
    assert read(original, max_msg_size=100)[0] == [large, MESSAGES[1]]
    assert read(original, max_msg_size=500)[0] == [], "nothing is wrong with it: all was read"


def test_a_file_set_aside_by_mistake(original: Original) -> None:
    """When all of a file is good, the original had read it."""
    original.files[original.file("t") + ".bad"] = original.files.pop(original.file("t"))
    original.sync("t", read=(1, 0))
    assert read(original) == (MESSAGES[3:], [])
