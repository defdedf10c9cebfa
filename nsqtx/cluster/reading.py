"""Objects of attrs classes out of JSON, by what the classes declare.

An attribute has the type of its default: a text, an integer, a number or a flag. What is made of
other objects says so: `parts` is a list of them, `part` one or None. Keys that a class does not
know are passed over, since a newer daemon has more of them; ``null`` and what is missing is the
default, for lists an empty one (client section 10.4). A value of another type is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any, TypeVar

import attrs

__all__ = ["part", "parts", "read", "unread"]

T = TypeVar("T")
_Convert = Callable[[Any], Any]


def part(of: type[T]) -> T | None:
    """An attribute that is an object of a class, or None."""
    value: T | None = attrs.field(default=None, metadata={"part": of})
    return value


def parts(of: type[T]) -> list[T]:
    """An attribute that is a list of objects of a class, or of texts, integers, flags."""
    value: list[T] = attrs.field(factory=list, metadata={"parts": of})
    return value


def unread(default: T) -> T:
    """An attribute that is not in the JSON."""
    value: T = attrs.field(default=default, init=False)
    return value


def read(cls: type[T], value: Any) -> T:
    """An object of a class.

    :raises ValueError: the value is no object, or has something in it of a wrong type.
    """
    if not isinstance(value, dict):
        raise ValueError(f"no object where {cls.__name__} is expected")
    given = {}
    of: Any = cls
    for name, convert in _plan(of):
        found = value.get(name)
        if found is not None:
            try:
                given[name] = convert(found)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
    return cls(**given)


@cache
def _plan(cls: Any) -> tuple[tuple[str, _Convert], ...]:
    return tuple((field.name, _convert(field)) for field in attrs.fields(cls) if field.init)


def _convert(field: Any) -> _Convert:
    if "part" in field.metadata:
        return _converter(field.metadata["part"])
    if "parts" in field.metadata:
        return partial(_list, _converter(field.metadata["parts"]))
    return _converter(type(field.default))


def _converter(kind: type[Any]) -> _Convert:
    return _SIMPLE.get(kind) or partial(read, kind)


def _list(convert: _Convert, value: Any) -> list[Any]:
    if type(value) is not list:
        raise ValueError("no list")
    return [convert(each) for each in value]


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError("no string")
    return value


def _integer(value: Any) -> int:
    if type(value) is int:
        return value
    if type(value) is float and value.is_integer():
        return int(value)
    raise ValueError("no integer")


def _number(value: Any) -> float:
    if type(value) is int or type(value) is float:
        return float(value)
    raise ValueError("no number")


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError("no boolean")
    return value


_SIMPLE: dict[type[Any], _Convert] = {str: _text, int: _integer, float: _number, bool: _flag}
