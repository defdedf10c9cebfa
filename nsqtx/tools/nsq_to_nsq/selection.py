"""Which messages go on, and what of them (apps section 4.3)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nsqtx.wire import gojson

__all__ = ["NotJson", "Selection"]

#: Numbers from here on are written with an exponent.
_HUGE = 1e21


class NotJson(ValueError):
    """A message is no JSON object."""


class Selection:
    """A required field, the value it must have, the fields to keep; each may be empty.

    Without any of them a message is not looked at.
    """

    def __init__(self, field: str = "", value: str = "", keep: Iterable[str] = ()) -> None:
        self._field = field
        self._value = value
        self._keep = frozenset(keep)
        self._number = _number(value)

    def apply(self, body: bytes) -> bytes | None:
        """What to publish; None: nothing.

        :raises NotJson: it is no JSON object.
        """
        if not self._field and not self._keep:
            return body
        try:
            found = gojson.decode(body)
            if not isinstance(found, dict):
                raise NotJson("not a JSON object")
            if not self._wanted(found):
                return None
            if not self._keep:
                return body
            return gojson.encode(_plain({k: v for k, v in found.items() if k in self._keep}))
        except (ValueError, RecursionError) as error:
            raise NotJson(str(error)) from None

    def _wanted(self, found: dict[str, Any]) -> bool:
        if not self._field:
            return True
        if self._field not in found:
            return False
        if not self._value:
            return True
        value = found[self._field]
        if isinstance(value, str):
            return value == self._value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._number is not None and float(value) == self._number
        return False


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _plain(value: Any) -> Any:
    """In the form of Go: keys sorted, whole numbers without a fraction."""
    if isinstance(value, dict):
        return {key: _plain(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < _HUGE:
        return int(value)
    return value
