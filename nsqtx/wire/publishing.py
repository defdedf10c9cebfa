"""What a PUB, DPUB or MPUB may say in its line and its sizes (nsqd-tcp sections 5.2 to 5.4)."""

from __future__ import annotations

from nsqtx.wire.errors import ProtocolError, quote
from nsqtx.wire.names import valid_name
from nsqtx.wire.numbers import delay_nanoseconds, parse_digits

__all__ = ["bad_size", "delay_of", "topic_of"]


def topic_of(word: bytes, params: list[bytes], least: int = 1) -> str:
    """The topic a command names, which has ``least`` parameters or more.

    :raises ProtocolError: ``E_INVALID`` or ``E_BAD_TOPIC``.
    """
    if len(params) < least:
        raise ProtocolError("E_INVALID", word + b" insufficient number of parameters")
    if valid_name(params[0]):
        return params[0].decode("ascii")
    command = word.decode("ascii")
    # The original really says the code twice here.
    again = "E_BAD_TOPIC " if command == "MPUB" else ""
    text = f"{again}{command} topic name {quote(params[0])} is not valid"
    raise ProtocolError("E_BAD_TOPIC", text)


def delay_of(param: bytes, longest: int) -> int:
    """The delay of a DPUB in milliseconds, of which at most ``longest`` are allowed.

    What wraps around (as in the original) may leave part of a millisecond: it counts as a whole,
    so that no message comes early.

    :raises ProtocolError: ``E_INVALID``.
    """
    number = parse_digits(param)
    if number is None:
        raise ProtocolError("E_INVALID", b"DPUB could not parse timeout " + param)
    delay = delay_nanoseconds(number)
    if 0 <= delay <= longest * 1_000_000:
        return -(-delay // 1_000_000)
    text = f"DPUB timeout {number % (1 << 64)} out of range 0-{longest}"
    raise ProtocolError("E_INVALID", text)


def bad_size(word: bytes, what: str, size: int, most: int) -> ProtocolError:
    """What to answer to the size of a body that is not within 1 and ``most``.

    ``what`` is what the command calls the body: ``message`` (PUB, DPUB) or ``body``.
    """
    if what == "message":
        code, name = "E_BAD_MESSAGE", "message body"
    else:
        code, name = "E_BAD_BODY", "body"
    # IDENTIFY and AUTH look for too much first, the others for too little; it is the same.
    bad = f"{what} too big {size} > {most}" if size > 0 else f"invalid {name} size {size}"
    return ProtocolError(code, word + b" " + bad.encode("ascii"))
