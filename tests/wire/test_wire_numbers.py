"""Numbers in parameters."""

from __future__ import annotations

import pytest

from nsqtx.wire.numbers import delay_nanoseconds, parse_digits


@pytest.mark.parametrize(
    ("param", "value"),
    [
        (b"", 0),
        (b"0", 0),
        (b"007", 7),
        (b"9223372036854775807", 2**63 - 1),
        (b"9223372036854775808", -(2**63)),
        (b"18446744073709551615", -1),
        (b"18446744073709551616", 0),
        (b"18446744073709551621", 5),
        (b"1" + b"0" * 64 + b"7", 7),
        (b"0" * 10_000 + b"12", 12),
        (b"9" * 16_000, -1),
    ],
)
def test_digits(param: bytes, value: int) -> None:
    """Digits are a number modulo 2**64, signed; nothing is 0."""
    assert parse_digits(param) == value


@pytest.mark.parametrize("param", [b"-1", b"+1", b"1.5", b"0x10", b"1e3", b" 1", b"1_0", b"\xb2"])
def test_not_digits(param: bytes) -> None:
    """Anything but the digits 0 to 9 is no number."""
    assert parse_digits(param) is None


@pytest.mark.parametrize(
    ("milliseconds", "delay"),
    [
        (0, 0),
        (1, 1_000_000),
        (-(2**63), 0),
        (-1, -1_000_000),
        (18446744073710, 448_384),
        (9223372036855, -(2**63) + 224_192),
    ],
)
def test_delay(milliseconds: int, delay: int) -> None:
    """A delay wraps around to a signed 64-bit number of nanoseconds."""
    assert delay_nanoseconds(milliseconds) == delay
