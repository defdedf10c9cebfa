"""JSON as Go's standard library reads and writes it (nsqd-tcp sections 2 and 7.1).

Clients of NSQ were written against a server in Go, so what that accepts, accepts differently from
Python, or refuses is part of the protocol. Python's decoder does most of the work; this module
brings its input into a form in which both agree, and takes over where Python's would run out of
stack.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from json.decoder import scanstring  # type: ignore[attr-defined]  # missing in the stubs
from typing import Any, NoReturn

import attrs

__all__ = ["MAX_DEPTH", "Fields", "decode", "decode_fields", "encode"]

#: Arrays and objects inside each other; one more is an error.
MAX_DEPTH = 10_000

#: Makes the value of an object from its members, in the order of the text.
Objects = Callable[[list[tuple[str, Any]]], Any]

# What `surrogateescape` made of bytes that are no UTF-8.
_BAD_BYTE = re.compile("[\udc80-\udcff]")
# Escapes: a pair of surrogates, a surrogate alone, any other. The last keeps an escaped backslash
# before a "u" from being taken for the start of an escape.
_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|\\.",
    re.DOTALL,
)
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


def decode(data: bytes, objects: Objects | None = None) -> Any:
    """The value that ``data`` is the JSON of.

    An object becomes a dict, in which the last of equal keys wins, or what ``objects`` (for
    example `Fields`) makes of its members. A number written without fraction and exponent is an
    int, unless it is far beyond 64 bits; all others are floats. Bytes that are no UTF-8 and
    surrogates alone become U+FFFD, but only inside strings.

    :raises ValueError: it is not JSON, or nested more than `MAX_DEPTH` deep.
    """
    text = data.decode("utf-8", "surrogateescape")
    if not text.isascii():
        text = _BAD_BYTE.sub("\ufffd", text)
    if _SURROGATE_ESCAPE.search(text):
        text = _ESCAPE.sub(_without_lone, text)
    decoder = json.JSONDecoder(
        object_pairs_hook=objects, parse_int=_integer, parse_constant=_refuse
    )
    try:
        return decoder.decode(text)
    except RecursionError:
        return _decode_deep(text, dict if objects is None else objects)


def _without_lone(match: re.Match[str]) -> str:
    return "\\ufffd" if match[1] else match[0]


def _integer(digits: str) -> int | float:
    # Twenty characters hold any 64-bit number. More fit no field, and int() takes quadratic time.
    return int(digits) if len(digits) <= 20 else float(digits)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_TOKEN = re.compile(
    r"""[ \t\n\r]*(?:
        (?P<mark>[\[\]{},:"])
      | (?P<word>true|false|null)
      | (?P<number>(?P<integer>-?(?:0|[1-9][0-9]*))(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)
    )""",
    re.VERBOSE,
)
_WORDS = {"true": True, "false": False, "null": None}


@attrs.define
class _Reader:
    """Tokens, for `_decode_deep`."""

    text: str
    at: int = 0

    def token(self) -> re.Match[str]:
        match = _TOKEN.match(self.text, self.at)
        if match is None:
            raise ValueError(f"not JSON at character {self.at}")
        self.at = match.end()
        return match

    def string(self) -> str:
        """The rest of a string, after its first quote."""
        text, self.at = scanstring(self.text, self.at, True)
        return str(text)

    def key(self, mark: str | None) -> str:
        """A key and its colon, where ``mark`` was read last."""
        if mark != '"':
            raise ValueError(f"no key at character {self.at}")
        key = self.string()
        if self.token()["mark"] != ":":
            raise ValueError(f"no colon at character {self.at}")
        return key


def _decode_deep(text: str, objects: Objects) -> Any:
    """What ``decode`` does, without recursion: slower, but nesting costs no stack."""
    reader = _Reader(text)
    # The containers that are open: the items of an array, or the members of an object and the key
    # whose value comes next.
    stack: list[tuple[list[Any], str | None]] = []
    value: Any
    token = reader.token()
    while True:
        mark = token["mark"]
        if mark == "[" or mark == "{":
            if len(stack) == MAX_DEPTH:
                raise ValueError(f"nested more than {MAX_DEPTH} deep")
            token = reader.token()
            if mark == "[" and token["mark"] != "]":
                stack.append(([], None))
                continue
            if mark == "{" and token["mark"] != "}":
                stack.append(([], reader.key(token["mark"])))
                token = reader.token()
                continue
            value = [] if mark == "[" else objects([])
        elif mark == '"':
            value = reader.string()
        elif mark is not None:
            raise ValueError(f"no value at character {reader.at}")
        elif token["word"]:
            value = _WORDS[token["word"]]
        elif token["number"] == token["integer"]:
            value = _integer(token["number"])
        else:
            value = float(token["number"])
        while stack:
            items, key = stack[-1]
            items.append(value if key is None else (key, value))
            mark = reader.token()["mark"]
            if mark == ",":
                token = reader.token()
                if key is not None:
                    stack[-1] = (items, reader.key(token["mark"]))
                    token = reader.token()
                break
            if mark != ("]" if key is None else "}"):
                raise ValueError(f"no comma at character {reader.at}")
            stack.pop()
            value = items if key is None else objects(items)
        else:
            if text[reader.at :].strip(" \t\n\r"):
                raise ValueError(f"more than one value, at character {reader.at}")
            return value


_INTEGERS = {bits: range(-(1 << bits - 1), 1 << bits - 1) for bits in (32, 64)}


def _fold(key: str) -> str:
    """The key as Go compares it: without regard to case, where U+017F is an s and U+212A a k."""
    return key.lower().replace("\u017f", "s")


@attrs.define
class Fields:
    """An object as Go reads it into a struct.

    Keys match without regard to case, and the last one wins, whatever its case. ``null`` changes
    nothing. Each value must have the type of its field, also one that a later one replaces.
    """

    members: list[tuple[str, Any]]

    def values(self, name: str) -> Iterator[Any]:
        """What the field was given, one after the other, without nulls. ``name``: lower case."""
        for key, value in self.members:
            if value is not None and (key == name or _fold(key) == name):
                yield value

    def text(self, name: str, default: str = "") -> str:
        """A string. :raises ValueError: it is something else."""
        for value in self.values(name):
            if type(value) is not str:
                raise ValueError(f"{name} is no string")
            default = value
        return default

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean. :raises ValueError: it is something else."""
        for value in self.values(name):
            if type(value) is not bool:
                raise ValueError(f"{name} is no boolean")
            default = value
        return default

    def integer(self, name: str, default: int = 0, bits: int = 64) -> int:
        """A signed integer of 32 or 64 bits, written without fraction and exponent.

        :raises ValueError: it is something else, or does not fit.
        """
        for value in self.values(name):
            if type(value) is not int or value not in _INTEGERS[bits]:
                raise ValueError(f"{name} is no integer of {bits} bits")
            default = value
        return default


_SURROGATE = re.compile("[\ud800-\udfff]")
_UNSAFE = re.compile("[<>&\u2028\u2029]")
_SHORT_ESCAPE = re.compile(r"\\(.)")
_LONG_ESCAPES = {"b": "\\u0008", "f": "\\u000c"}


def decode_fields(data: bytes) -> Fields:
    """The members of an object; ``null`` is one without any, as Go has it.

    :raises ValueError: as `decode`, or it is something else.
    """
    fields = decode(data, Fields)
    if fields is None:
        return Fields([])
    if not isinstance(fields, Fields):
        raise ValueError("neither an object nor null")
    return fields


def encode(value: Any) -> bytes:
    r"""Compact JSON, in UTF-8, keys in the order given.

    ``<``, ``>``, ``&``, U+2028 and U+2029 are escaped, also \b and \f as numbers. Surrogates
    become U+FFFD.

    :raises ValueError: NaN or an infinity.
    :raises TypeError: something that has no JSON.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # All these can only stand inside strings, so the whole text may be searched.
    if _UNSAFE.search(text):
        text = _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    if "\\b" in text or "\\f" in text:
        text = _SHORT_ESCAPE.sub(lambda match: _LONG_ESCAPES.get(match[1], match[0]), text)
    if not text.isascii():
        text = _SURROGATE.sub("\ufffd", text)
    return text.encode("utf-8")
