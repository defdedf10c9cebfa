"""The checksum of files (`nsqtx.storage.crc`)."""

from __future__ import annotations

import importlib
import platform
import sys
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsqtx.storage import crc


@given(st.binary(max_size=300), st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_it_is_zlibs(data: bytes, times: int, seed: int) -> None:
    """Whichever library it is of: a file written with one is read with the other."""
    assert crc.crc32(data * times, seed) == zlib.crc32(data * times, seed)
    assert crc.crc32(memoryview(data * times)) == zlib.crc32(data * times)


def test_where_there_is_no_fast_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library for this processor, zlib does it."""
    monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)
    assert importlib.reload(crc).crc32 is zlib.crc32
    monkeypatch.undo()
    fast = importlib.reload(crc).crc32
    if platform.machine() in ("x86_64", "AMD64", "aarch64", "arm64"):
        assert fast is not zlib.crc32
