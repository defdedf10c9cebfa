"""Frames and records, byte by byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsqtx.wire import frames

#: The message of nsqd-tcp section 15.
RECORD = bytes.fromhex(
    "000000230000000218eab60264b9cf2a00013138613562346338666565363930303068656c6c6f"
)


def test_responses() -> None:
    """The prebuilt frames are those of the specification."""
    assert bytes.fromhex("00000006000000004f4b") == frames.OK
    assert bytes.fromhex("0000000f000000005f6865617274626561745f") == frames.HEARTBEAT
    assert frames.CLOSE_WAIT == b"\0\0\0\x0e\0\0\0\0CLOSE_WAIT"


def test_error() -> None:
    """An error is a frame of type 1."""
    assert frames.error(b"E_BAD_PROTOCOL") == b"\0\0\0\x12\0\0\0\1E_BAD_PROTOCOL"


def test_record() -> None:
    """A record has the bytes of the specification's example."""
    packed = frames.pack_records([b"hello"], [b"18a5b4c8fee69000"], 0x18EAB60264B9CF2A)
    assert packed == [RECORD]


def test_parts() -> None:
    """The parts of a record are found where they were put."""
    assert frames.timestamp_of(RECORD) == 0x18EAB60264B9CF2A
    assert frames.attempts_of(RECORD) == 1
    assert frames.id_of(RECORD) == b"18a5b4c8fee69000"
    assert frames.body_of(RECORD) == b"hello"
    assert len(RECORD) == frames.HEADER_SIZE + 5


def test_renaming() -> None:
    """Another id, attempts from the beginning, all else as it was."""
    again = frames.renamed(frames.with_attempts(RECORD, 7), b"f" * 16)
    assert frames.id_of(again) == b"f" * 16
    assert frames.attempts_of(again) == 1
    assert frames.timestamp_of(again) == frames.timestamp_of(RECORD)
    assert frames.body_of(again) == frames.body_of(RECORD)
    assert frames.split_records(again) == [again]


@pytest.mark.parametrize(("attempts", "kept"), [(2, 2), (65535, 65535), (65536, 0), (65537, 1)])
def test_attempts(attempts: int, kept: int) -> None:
    """Attempts are counted modulo 65536, and nothing else of a record changes."""
    again = frames.with_attempts(RECORD, attempts)
    assert frames.attempts_of(again) == kept
    assert frames.with_attempts(again, 1) == RECORD


@given(st.lists(st.binary(min_size=1, max_size=9), max_size=40) | st.just([b"abc"] * 600))
def test_pack_and_split(bodies: list[bytes]) -> None:
    """Records that are joined come apart as they were, whatever their sizes."""
    ids = [b"%016x" % number for number in range(len(bodies))]
    records = frames.pack_records(bodies, ids, 77)
    assert [frames.body_of(record) for record in records] == bodies
    assert [frames.id_of(record) for record in records] == ids
    assert frames.split_records(b"".join(records)) == records


@pytest.mark.parametrize("count", [1, 5])
def test_split_garbage(count: int) -> None:
    """Every cut, and every change of a size or type, is found."""
    data = RECORD * count
    for end in range(1, len(data)):
        if end % len(RECORD):
            with pytest.raises(ValueError, match="record"):
                frames.split_records(data[:end])
    last = len(data) - len(RECORD)
    for at in range(last, last + 8):
        bad = bytearray(data)
        bad[at] ^= 1
        with pytest.raises(ValueError, match="record"):
            frames.split_records(bytes(bad))


def test_split_without_body() -> None:
    """A record without a body is none."""
    record = b"\0\0\0\x1e" + RECORD[4:34]
    with pytest.raises(ValueError, match="no record"):
        frames.split_records(record * 5)


def test_a_message_of_a_disk_queue() -> None:
    """It gets its id and one attempt more, which wraps as in the original; the rest is kept."""
    id = b"0123456789abcdef"
    for attempts, following in ((0, 1), (7, 8), (65535, 0)):
        stored = (-5).to_bytes(8, "big", signed=True) + attempts.to_bytes(2, "big") + b"f" * 16
        record = frames.restored_record(stored + b"body", id)
        assert frames.split_records(record) == [record]
        assert frames.timestamp_of(record) == -5
        assert frames.attempts_of(record) == following
        assert (frames.id_of(record), frames.body_of(record)) == (id, b"body")
