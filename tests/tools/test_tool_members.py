"""gzip files that a crash leaves readable."""

from __future__ import annotations

import gzip
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nsqtx.tools.nsq_to_file.members import END, Member, is_ours, whole_size


def member(data: bytes, level: int = 6) -> bytes:
    """A member of this."""
    made = Member(level)
    for start in range(0, len(data), 7):
        made.write(data[start : start + 7])
    return b"".join(made.finish())


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    """An empty file."""
    opened = os.open(tmp_path / "f.gz", os.O_CREAT | os.O_RDWR)
    yield opened
    os.close(opened)


def test_any_reader_reads_them(tmp_path: Path) -> None:
    """Members and the empty one at the end are one file for Python and for gzip itself."""
    path = tmp_path / "f.gz"
    path.write_bytes(member(b"first\n" * 50) + member(b"second\n", 9) + END)
    assert gzip.decompress(path.read_bytes()) == b"first\n" * 50 + b"second\n"
    done = subprocess.run(["gzip", "-dc", path], capture_output=True, check=True)
    assert done.stdout == b"first\n" * 50 + b"second\n"
    assert done.stderr == b""


def test_the_level_is_used() -> None:
    """1 is quick, 9 is small."""
    data = os.urandom(2000).hex().encode() * 3
    assert len(member(data, 9)) < len(member(data, 1))


def test_a_torn_member_is_found_wherever_it_is_torn(descriptor: int) -> None:
    """What is whole is all before it."""
    first, second = member(b"a\n" * 20), member(b"b\n" * 20)
    for cut in range(len(second) + 1):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, first + second[:cut], 0)
        whole = len(first) + (len(second) if cut == len(second) else 0)
        assert whole_size(descriptor) == whole
        assert is_ours(descriptor)


def test_a_start_that_is_torn_is_ours(descriptor: int) -> None:
    """Even if less than a header is there, and nothing of it is whole."""
    for size in range(20):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, END[:size], 0)
        assert is_ours(descriptor)
        assert whole_size(descriptor) == 0


def test_a_last_member_of_zeros_is_torn(descriptor: int) -> None:
    """A power cut may leave a size without the bytes."""
    first, second = member(b"a\n"), member(os.urandom(500))
    os.pwrite(descriptor, first + second[:30] + bytes(len(second) - 30), 0)
    assert whole_size(descriptor) == len(first)
    os.pwrite(descriptor, first + bytes(100), 0)
    assert whole_size(descriptor) == len(first)


def test_files_of_others_are_not_ours(descriptor: int) -> None:
    """They are known by their first member."""
    os.pwrite(descriptor, gzip.compress(b"x"), 0)
    assert not is_ours(descriptor)
