"""What the placeholders of the recordings stand for, and what they were found to be.

A recording says ``<id:m1>`` where an id came, ``<peer:A>`` where an address of the test itself
stood. `Bindings` holds what is known within one session; `Bindings.substitute` puts it into what
is sent, `Bindings.match_text` compares what was received and learns from it. Text in angle
brackets that is not a placeholder (``<me>``) is literal.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["Bindings", "Mismatch"]

TOKEN = re.compile(r"<[^<> ]+>")

_DURATION = r"(?:0s|-?(?:\d+h)?(?:\d+m)?(?:\d+(?:\.\d+)?(?:h|m|s|ms|µs|us|ns)))"
_DATE = (
    r"(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"
    r"|\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d+)?)"
)

# Placeholders that may be something else each time, as regular expressions over text.
_FREE = {
    "<int>": r"-?\d+",
    "<float>": r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?",
    "<str>": r"[^\n]*?",
    "<addr>": r"127\.0\.0\.1:\d+",
    "<go>": r"[^\n)]+",
    "<date>": _DATE,
    "<duration>": _DURATION,
    "<tlserr>": r"[^\n]+",
}

_ID = re.compile(r"<id:m\d+>")


class Mismatch(Exception):
    """What was received is not what was recorded. The text says where and how."""


def _is_number(value: Any, whole: bool) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (not whole and isinstance(value, float))


class Bindings:
    """The values that placeholders have within one session.

    ``known`` maps a placeholder, brackets included, to its text; message ids join it on arrival.
    """

    def __init__(self, known: dict[str, str] | None = None) -> None:
        self.known: dict[str, str] = dict(known or {})
        self.ids: dict[str, str] = {}
        self.timestamps: dict[str, int] = {}

    def snapshot(self) -> tuple[dict[str, str], dict[str, int]]:
        """What was learnt so far, for `restore` after a wrong guess."""
        return dict(self.ids), dict(self.timestamps)

    def restore(self, snapshot: tuple[dict[str, str], dict[str, int]]) -> None:
        """Forget what was learnt since the snapshot."""
        self.ids, self.timestamps = dict(snapshot[0]), dict(snapshot[1])

    def substitute(self, text: str) -> str:
        """Text with its placeholders replaced. Unknown brackets stay as they are.

        :raises Mismatch: an id is used before any message had it.
        """

        def value(found: re.Match[str]) -> str:
            token = found[0]
            if _ID.fullmatch(token) and token not in self.ids:
                raise Mismatch(f"{token} is sent, but no message has had that id")
            return self.ids.get(token, self.known.get(token, token))

        return TOKEN.sub(value, text)

    def match_text(self, expected: str, actual: str) -> None:
        """Compare text with placeholders anywhere in it; ids seen for the first time are learnt.

        :raises Mismatch: it differs.
        """
        pattern: list[str] = []
        learning: list[str] = []
        position = 0
        for found in TOKEN.finditer(expected):
            token = found[0]
            pattern.append(re.escape(expected[position : found.start()]))
            position = found.end()
            if token in self.known or token in self.ids:
                pattern.append(re.escape(self.known.get(token) or self.ids[token]))
            elif token in learning:
                pattern.append(f"(?P=m{learning.index(token)})")
            elif _ID.fullmatch(token):
                pattern.append(f"(?P<m{len(learning)}>[0-9a-f]{{16}})")
                learning.append(token)
            else:
                pattern.append(_FREE.get(token, re.escape(token)))
        pattern.append(re.escape(expected[position:]))
        match = re.fullmatch("".join(pattern), actual, re.DOTALL)
        if match is None:
            raise Mismatch(f"expected {self._shown(expected)!r}\n     got {actual!r}")
        for number, token in enumerate(learning):
            value = match[f"m{number}"]
            if value in self.ids.values():
                raise Mismatch(f"{token} is {value}, which another message has")
            self.ids[token] = value

    def _shown(self, expected: str) -> str:
        """The expectation with what is already known filled in, for messages."""
        return TOKEN.sub(lambda t: self.ids.get(t[0], self.known.get(t[0], t[0])), expected)

    def match_timestamp(self, message_id: str, timestamp: int) -> None:
        """Each delivery of a message carries the same timestamp, close to the present.

        :raises Mismatch: it does not.
        """
        first = self.timestamps.setdefault(message_id, timestamp)
        if first != timestamp:
            raise Mismatch(f"message {message_id} had timestamp {first}, now {timestamp}")

    def match_scalar(self, expected: str, actual: Any) -> None:
        """Compare a JSON value with a recorded string: one placeholder may mean a number.

        :raises Mismatch: it differs.
        """
        if expected in ("<int>", "<float>"):
            if not _is_number(actual, whole=expected == "<int>"):
                raise Mismatch(f"expected a number ({expected}), got {actual!r}")
        elif expected.endswith("_port>") and expected in self.known:
            if actual != int(self.known[expected]) or isinstance(actual, bool):
                raise Mismatch(f"expected {self.known[expected]}, got {actual!r}")
        elif not isinstance(actual, str):
            raise Mismatch(f"expected the string {expected!r}, got {actual!r}")
        else:
            self.match_text(expected, actual)
