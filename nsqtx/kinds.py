"""Kinds of option values: how each is read from a command line and a file, and shown.

Facts from nsqd-engine section 14 (syntax of flags, rules of the configuration file) and nsqd-http
section 10 (what ``/config`` shows).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import attrs

from nsqtx.durations import MILLISECOND, format_duration, parse_duration

__all__ = [
    "BOOL",
    "DURATION",
    "FLOATS",
    "INT",
    "LEVELS",
    "LOG_LEVEL",
    "STRING",
    "STRINGS",
    "TLS_REQUIRED",
    "TLS_VERSION",
    "Kind",
    "Unparsable",
    "choice",
]


class Unparsable(Exception):
    """A percentile on the command line is no number, which NSQ answers in a way of its own."""


@attrs.frozen
class Kind:
    """A kind of value.

    ``parse`` reads a command line (ValueError with Go's reason), ``coerce`` a value of a TOML file
    (likewise), ``show`` gives what ``/config`` says, ``default_text`` what the usage says.
    ``switch``: a flag without ``=`` means true. ``many``: each use of the flag adds to a list,
    which in the end is put in descending order if ``descending``. ``checked``: a bad value in a
    file is reported in the original's short form.
    """

    parse: Callable[[str], Any]
    coerce: Callable[[Any], Any]
    noun: str
    show: Callable[[Any], Any] = lambda value: value
    default_text: Callable[[Any], str] = str
    switch: bool = False
    many: bool = False
    descending: bool = False
    checked: bool = False


_TRUE = frozenset(["1", "t", "T", "true", "TRUE", "True"])
_FALSE = frozenset(["0", "f", "F", "false", "FALSE", "False"])
_INT = re.compile(r"[+-]?(0[xX]_?[0-9a-fA-F_]+|0[oO]_?[0-7_]+|0[bB]_?[01_]+|[0-9][0-9_]*)")


def parse_int(text: str) -> int:
    """A 64-bit integer in Go's syntax."""
    if not _INT.fullmatch(text) or "__" in text or text.endswith("_"):
        raise ValueError("parse error")
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.lstrip("+"))
    if len(digits) > 100 and digits[0] != "0":
        # Python converts no more than some thousand decimal digits.
        raise ValueError("value out of range")
    try:
        # Go also takes 0755 for an octal number, which Python's base 0 refuses.
        octal = len(digits) > 1 and digits[0] == "0" and digits[1] in "01234567_"
        number = sign * (int(digits, 8) if octal else int(digits, 0))
    except ValueError:
        raise ValueError("parse error") from None
    return _in_range(number)


def _in_range(number: int) -> int:
    if not -(2**63) <= number < 2**63:
        raise ValueError("value out of range")
    return number


def _coerce_int(value: Any) -> int:
    if isinstance(value, str):
        if not re.fullmatch(r"[+-]?[0-9]+", value):
            raise ValueError(f'strconv.ParseInt: parsing "{value}": invalid syntax')
        return _in_range(int(value) if len(value) < 40 else 2**63)
    if isinstance(value, int) and not isinstance(value, bool):
        return _in_range(value)
    raise ValueError(f"invalid int64 value type {_go_type(value)}")


def parse_bool(text: str) -> bool:
    """One of the spellings Go takes."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError("parse error")


def _coerce_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        try:
            return parse_bool(value)
        except ValueError:
            raise ValueError(f'strconv.ParseBool: parsing "{value}": invalid syntax') from None
    if value in (0, 1) and isinstance(value, int):
        return value == 1
    raise ValueError(f"invalid bool value type {_go_type(value)}")


def _parse_duration(text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError:
        raise ValueError("parse error") from None


def _coerce_duration(value: Any) -> int:
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return _in_range(value * MILLISECOND)
    raise ValueError(f"invalid time.Duration value type {_go_type(value)}")


def _coerce_string(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise ValueError(f"invalid string value type {_go_type(value)}")


def _coerce_strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [part for part in value.split(",") if part]
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return list(value)
    raise ValueError(f"invalid []string value type {_go_type(value)}")


def _parse_floats(text: str) -> list[float]:
    values = []
    for part in text.split(","):
        try:
            values.append(float(part.strip()))
        except ValueError:
            raise Unparsable(part.strip()) from None
    return values


def _coerce_floats(value: Any) -> list[float]:
    if isinstance(value, str):
        return [float(part) for part in value.split(",") if part.strip()]
    if isinstance(value, list) and all(
        isinstance(part, int | float) and not isinstance(part, bool) for part in value
    ):
        return [float(part) for part in value]
    raise ValueError(f"invalid []float64 value type {_go_type(value)}")


#: Names and the numbers that ``/config`` shows.
LEVELS = {"debug": 1, "info": 2, "warn": 3, "error": 4, "fatal": 5}


def _parse_level(text: str) -> str:
    if text.lower() not in LEVELS:
        raise ValueError(f"invalid log level '{text}' (debug, info, warn, error, fatal)")
    return text.lower()


_REQUIRED = {"false": 0, "tcp-https": 1, "true": 2}


def _parse_required(text: str) -> str:
    if text.lower() == "tcp-https":
        return "tcp-https"
    try:
        return "true" if parse_bool(text) else "false"
    except ValueError:
        raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax') from None


def _coerce_required(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _parse_required(_coerce_string(value))


def _show_floats(values: list[float]) -> list[float]:
    """As Go writes them in JSON: a whole number has no fraction."""
    return [int(value) if value.is_integer() else value for value in values]


_TLS_VERSIONS = {"tls1.0": 769, "tls1.1": 770, "tls1.2": 771, "tls1.3": 772}


def _parse_tls_version(text: str) -> str:
    if not text:
        return "tls1.0"
    if text.lower() not in _TLS_VERSIONS:
        raise ValueError(f'unknown tlsVersionOption "{text}"')
    return text.lower()


def _go_type(value: Any) -> str:
    names = {bool: "bool", int: "int64", float: "float64", str: "string", list: "[]interface {}"}
    return names.get(type(value), "map[string]interface {}")


def _quoted(value: Any) -> str:
    return f'"{value}"'


STRING = Kind(lambda text: text, _coerce_string, "string", default_text=_quoted)
INT = Kind(parse_int, _coerce_int, "int")
BOOL = Kind(
    parse_bool, _coerce_bool, "", default_text=lambda v: "true" if v else "false", switch=True
)
DURATION = Kind(_parse_duration, _coerce_duration, "duration", default_text=format_duration)
STRINGS = Kind(lambda text: [text], _coerce_strings, "value", list, many=True)
FLOATS = Kind(_parse_floats, _coerce_floats, "value", _show_floats, many=True, descending=True)
LOG_LEVEL = Kind(
    _parse_level,
    lambda value: _parse_level(_coerce_string(value)),
    "value",
    LEVELS.__getitem__,
    default_text=str.upper,
    checked=True,
)
TLS_REQUIRED = Kind(
    _parse_required,
    _coerce_required,
    "",
    _REQUIRED.__getitem__,
    switch=True,
    checked=True,
)
TLS_VERSION = Kind(
    _parse_tls_version,
    lambda value: _parse_tls_version(_coerce_string(value)),
    "value",
    _TLS_VERSIONS.__getitem__,
    checked=True,
)


def choice(*words: str) -> Kind:
    """The kind whose values are these words."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be {', '.join(words[:-1])} or {words[-1]}")
        return text

    return Kind(parse, lambda value: parse(_coerce_string(value)), "string", default_text=_quoted)
