"""Finding messages in a data file of a disk queue, damaged or not."""

from __future__ import annotations

import pytest

from nsqtx.storage.queuefile import QueueFile
from tests.support.disk import SimulatedDisk
from tests.support.diskqueue import stored

#: Of all lengths, with bodies that look like parts of a record.
RECORDS = [
    stored(0, b"a"),
    stored(1, b"0123456789abcdef" * 3, attempts=2),
    stored(2, b"00001" + b"f" * 40),
    stored(3, b"b" * 100),
    stored(4, b"c"),
    stored(5, b"d" * 30),
]
DATA = b"".join(RECORDS)


def read(data: bytes, start: int = 0) -> tuple[list[bytes], list[tuple[int, int]]]:
    """The records found, and the stretches without any."""
    disk = SimulatedDisk()
    disk.write("f", data)
    gaps: list[tuple[int, int]] = []
    with QueueFile(disk.open("f"), lambda a, b: gaps.append((a, b))) as file:
        found = list(file.messages(start))
    assert disk.open_files == 0
    return [len(each).to_bytes(4, "big") + each for each in found], gaps


def as_the_original(data: bytes) -> list[bytes]:
    """What the original delivers of a file (engine section 6.4)."""
    found = []
    at = 0
    while len(data) - at >= 4:
        length = int.from_bytes(data[at : at + 4], "big", signed=True)
        if not 26 <= length <= 1024 * 1024 + 26 or at + 4 + length > len(data):
            break
        found.append(data[at : at + 4 + length])
        at += 4 + length
    return found


def spans() -> list[tuple[int, int]]:
    """Where each record stands."""
    ends = [sum(map(len, RECORDS[: i + 1])) for i in range(len(RECORDS))]
    return [(end - len(record), end) for end, record in zip(ends, RECORDS, strict=True)]


def test_a_healthy_file() -> None:
    """All messages, in order, and nothing to report."""
    assert read(DATA) == (RECORDS, [])
    assert read(DATA, spans()[2][0]) == (RECORDS[2:], [])
    assert read(b"") == ([], [])


def test_pieces_that_are_smaller_than_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is found the same in whatever pieces it is read, whole or damaged."""
    hurt = DATA[: spans()[3][0]] + b"\xff" * 7 + DATA[spans()[3][0] + 7 :]
    expected = read(hurt)
    for size in range(31, 200, 7):
        monkeypatch.setattr("nsqtx.storage.queuefile._PIECE", size)
        assert read(DATA) == (RECORDS, [])
        assert read(hurt) == expected


@pytest.mark.parametrize("change", [0xFF, 0x01, 0x40, 0x80])
def test_every_byte_flipped(change: int) -> None:
    """A wrong byte costs at most the message it is in, and never what the original delivers."""
    for at in range(len(DATA)):
        data = bytearray(DATA)
        data[at] ^= change
        found, _ = read(bytes(data))
        whole = [r for r, (a, b) in zip(RECORDS, spans(), strict=True) if not a <= at < b]
        assert [record for record in found if record in whole] == whole, at
        extra = [record for record in found if record not in whole]
        assert len(extra) <= 1, at
        if at not in {a + i for a, _ in spans() for i in range(4)}:
            assert len(extra) == 1, f"{at}: only a wrong length makes a message unreadable"


def test_truncated_at_every_byte() -> None:
    """Whatever is there in full is found."""
    for size in range(len(DATA)):
        found, gaps = read(DATA[:size])
        assert found == as_the_original(DATA[:size])
        cut = size not in [b for _, b in spans()]
        assert len(gaps) == (cut and size > 0)


def test_a_sector_of_zeros_anywhere() -> None:
    """Messages that a hole does not touch are found on both sides of it."""
    for at in range(0, len(DATA), 5):
        end = min(len(DATA), at + 64)
        data = DATA[:at] + bytes(end - at) + DATA[end:]
        found, _ = read(data)
        whole = [r for r, (a, b) in zip(RECORDS, spans(), strict=True) if data[a:b] == r]
        assert [record for record in found if record in RECORDS] == whole, at


def test_garbage_holds_no_messages() -> None:
    """Nothing is found in text, zeros, or hex digits, and all of it is reported."""
    for data in (b"0123456789abcdef" * 5000, bytes(70_000), b"\x00\x00\x00\x20" * 9000):
        assert read(data) == ([], [(0, len(data))])


def test_a_body_that_holds_a_disk_queue() -> None:
    """It stays one message, also when what follows it is destroyed."""
    outer = stored(9, DATA)
    assert read(outer + RECORDS[0]) == ([outer, RECORDS[0]], [])
    found, gaps = read(outer + b"\xff" * 50 + RECORDS[0])
    assert found == [outer, RECORDS[0]]
    assert gaps == [(len(outer), len(outer) + 50)]


def test_a_cut_off_body_that_holds_a_disk_queue() -> None:
    """Nothing is taken out of it, wherever it is cut."""
    outer = stored(9, DATA + b"!")
    inside = [b + 30 for _, b in spans()]
    for size in range(31, len(outer)):
        found, _ = read(outer[:size])
        assert found == [] or size in inside, size


def test_a_stale_end() -> None:
    """What an earlier, longer file left behind is found, from its first whole message on."""
    old = [stored(i, b"old" * 20) for i in range(10, 20)]
    new = [stored(20, b"new"), stored(21, b"newer")]
    data = b"".join(new) + b"".join(old)[sum(map(len, new)) :]
    assert read(data)[0] == [*new, *old[1:]]


def test_an_empty_body_is_passed_over() -> None:
    """Nobody can have published it, and no record of ours can hold it."""
    assert read(stored(1, b"") + RECORDS[0]) == ([RECORDS[0]], [])
