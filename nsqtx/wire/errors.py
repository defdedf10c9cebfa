"""What nsqd answers when it refuses: the codes, which of them close, and how names are quoted."""

from __future__ import annotations

__all__ = ["CODES", "ProtocolError", "quote"]

#: Every code of an error frame, and whether the connection is closed after it
#: (nsqd-tcp section 5.7).
CODES: dict[str, bool] = {
    "E_BAD_PROTOCOL": True,
    "E_INVALID": True,
    "E_BAD_BODY": True,
    "E_BAD_TOPIC": True,
    "E_BAD_CHANNEL": True,
    "E_BAD_MESSAGE": True,
    "E_IDENTIFY_FAILED": True,
    "E_SUB_FAILED": True,
    "E_PUB_FAILED": True,
    "E_MPUB_FAILED": True,
    "E_DPUB_FAILED": True,
    "E_AUTH_DISABLED": True,
    "E_AUTH_FAILED": True,
    "E_AUTH_FIRST": True,
    "E_AUTH_ERROR": True,
    "E_UNAUTHORIZED": True,
    "E_FIN_FAILED": False,
    "E_REQ_FAILED": False,
    "E_TOUCH_FAILED": False,
}


class ProtocolError(Exception):
    """Something the peer did is answered with an error frame.

    ``description`` is kept as bytes, since it may repeat what the peer sent, whatever that was.
    ``fatal`` comes from `CODES` unless given: the connection is closed after the frame.
    """

    __slots__ = ("code", "description", "fatal")

    def __init__(
        self, code: str, description: str | bytes = b"", fatal: bool | None = None
    ) -> None:
        if isinstance(description, str):
            description = description.encode("utf-8", "surrogateescape")
        super().__init__(code, description)
        self.code = code
        self.description = description
        self.fatal = CODES[code] if fatal is None else fatal

    @property
    def data(self) -> bytes:
        """The data of the error frame. ``E_BAD_PROTOCOL`` alone has no description."""
        code = self.code.encode("ascii")
        if not self.description and self.code == "E_BAD_PROTOCOL":
            return code
        return code + b" " + self.description

    def __str__(self) -> str:
        return self.data.decode("utf-8", "backslashreplace")


_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}


def quote(text: bytes | str) -> str:
    """Text in double quotes, with Go's ``%q`` escapes (nsqd-tcp section 3)."""
    if isinstance(text, bytes):
        # Each byte that is not UTF-8 becomes one character of U+DC80 to U+DCFF.
        text = text.decode("utf-8", "surrogateescape")
    return f'"{"".join(map(_escape, text))}"'


def _escape(character: str) -> str:
    escape = _ESCAPES.get(character)
    if escape is not None:
        return escape
    if character.isprintable():
        return character
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:
        return f"\\x{number - 0xDC00:02x}"
    if number < 0x20 or number == 0x7F:
        return f"\\x{number:02x}"
    if number < 0x10000:
        return f"\\u{number:04x}"
    return f"\\U{number:08x}"
