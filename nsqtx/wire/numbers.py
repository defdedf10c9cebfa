"""Numbers in the parameters of commands, with NSQ's arithmetic (nsqd-tcp section 3)."""

from __future__ import annotations

__all__ = ["delay_nanoseconds", "parse_digits"]

_MODULUS = 1 << 64


def _signed(number: int) -> int:
    """The number modulo 2**64, as a signed 64-bit integer."""
    number %= _MODULUS
    return number - _MODULUS if number >> 63 else number


def parse_digits(param: bytes) -> int | None:
    """The value of a parameter; None when it is anything but digits.

    An empty parameter is 0. The value is taken modulo 2**64 and is then signed.
    """
    if not param:
        return 0
    if not param.isdigit():
        return None
    # 10**64 is a multiple of 2**64, so digits before the last 64 change nothing; int() would
    # refuse the thousands of digits that fit into a line.
    return _signed(int(param[-64:]))


def delay_nanoseconds(milliseconds: int) -> int:
    """The delay of a REQ or DPUB in nanoseconds, signed and wrapped to 64 bits as in the original.

    May be negative. REQ then means 0, DPUB is an error (nsqd-tcp sections 5.3 and 5.6).
    """
    return _signed(milliseconds * 1_000_000)
