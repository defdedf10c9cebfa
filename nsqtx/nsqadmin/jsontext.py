"""Bodies of messages as people read them: JSON with its structure shown, bytes as a dump."""

from __future__ import annotations

import base64
import binascii
import json
import re

__all__ = ["DUMP_BYTES", "hex_dump", "pretty_json"]

#: Deeper JSON is shown as it came.
MAX_DEPTH = 100
#: So many lines and no more: a body of brackets alone would make a page of nothing.
MAX_LINES = 5000
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+')
#: So many bytes are dumped.
DUMP_BYTES = 512


def pretty_json(text: str) -> str | None:
    """An object or array with a line for each member; None: it is none.

    Numbers, escapes and repeated keys stay as they were written, because somebody looks here for
    what was sent, and not for what Python makes of it.
    """
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return None
    lines: list[str] = []
    line = ""
    depth = 0
    pieces = _PIECE.findall(text)
    for index, piece in enumerate(pieces):
        if piece in "{[":
            line += piece
            if pieces[index + 1] not in "}]":
                depth += 1
                lines.append(line)
                line = "  " * depth
        elif piece in "}]":
            if pieces[index - 1] not in "{[":
                depth -= 1
                lines.append(line)
                line = "  " * depth
            line += piece
        elif piece == ",":
            lines.append(line + ",")
            line = "  " * depth
        elif piece == ":":
            line += ": "
        else:
            line += piece
        if depth > MAX_DEPTH or len(lines) > MAX_LINES:
            return None
    return "\n".join([*lines, line])


def hex_dump(text: str) -> str:
    """Base64 as offsets, hex digits and letters; what is none as it is."""
    try:
        data = base64.b64decode(text, validate=True)[:DUMP_BYTES]
    except (ValueError, binascii.Error):
        return text
    lines = []
    for start in range(0, len(data), 16):
        part = data[start : start + 16]
        letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{start:04x}  {part.hex(' '):<47}  {letters}")
    return "\n".join(lines)
