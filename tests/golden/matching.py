"""Comparing what was received with what was recorded: JSON values and frames."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from tests.golden.placeholders import TOKEN, Bindings, Mismatch

__all__ = ["GoldenFrame", "as_bytes", "match_frames", "match_json", "match_json_text"]

# Arrays that have no order in any recording (their own ``unordered_keys`` come on top).
ALWAYS_UNORDERED = frozenset({"clients", "producers"})

_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


class GoldenFrame(NamedTuple):
    """A frame from the wire. ``type`` is None in protocol V1, whose frames have none."""

    type: int | None
    data: bytes


def as_bytes(value: str | list[Any]) -> bytes:
    """Recorded bytes: one character a byte, or a list of parts, some repeated."""
    if isinstance(value, str):
        return value.encode("latin-1")
    return b"".join(
        part.encode("latin-1")
        if isinstance(part, str)
        else part["repeat"].encode("latin-1") * part["times"]
        for part in value
    )


def _in_any_order(
    expected: Sequence[Any],
    actual: Sequence[Any],
    bindings: Bindings,
    match: Callable[[Any, Any], None],
) -> None:
    """Pair every expected item with another actual one; placeholders make this a search."""
    if len(expected) != len(actual):
        raise Mismatch(f"expected {len(expected)} items, got {len(actual)}: {actual!r}")
    if not expected:
        return
    last: Mismatch | None = None
    for index, candidate in enumerate(actual):
        before = bindings.snapshot()
        try:
            match(expected[0], candidate)
            rest = [*actual[:index], *actual[index + 1 :]]
            _in_any_order(expected[1:], rest, bindings, match)
        except Mismatch as error:
            bindings.restore(before)
            last = error
        else:
            return
    raise Mismatch(f"nothing received matches {expected[0]!r}; the last difference: {last}")


def match_json(
    expected: Any, actual: Any, bindings: Bindings, unordered: Collection[str] = (), where: str = ""
) -> None:
    """Compare parsed JSON. Keys of objects have no order; arrays have, but for ``unordered``.

    :raises Mismatch: it differs; the text begins with the place.
    """
    if isinstance(expected, dict):
        _match_object(expected, actual, bindings, unordered, where)
    elif isinstance(expected, list):
        if not isinstance(actual, list):
            raise Mismatch(f"{where or 'JSON'}: expected an array, got {actual!r}")

        def item(one: Any, other: Any) -> None:
            match_json(one, other, bindings, unordered, where + "[]")

        key = where.rpartition(".")[2]
        if key in ALWAYS_UNORDERED or key in unordered:
            _in_any_order(expected, actual, bindings, item)
            return
        if len(expected) != len(actual):
            raise Mismatch(
                f"{where or 'JSON'}: expected {len(expected)} items, got {len(actual)}: {actual!r}"
            )
        for one, other in zip(expected, actual, strict=True):
            item(one, other)
    elif isinstance(expected, str):
        try:
            bindings.match_scalar(expected, actual)
        except Mismatch as error:
            raise Mismatch(f"{where or 'JSON'}: {error}") from None
    elif type(expected) is not type(actual) or expected != actual:
        raise Mismatch(f"{where or 'JSON'}: expected {expected!r}, got {actual!r}")


def _match_object(
    expected: dict[str, Any],
    actual: Any,
    bindings: Bindings,
    unordered: Collection[str],
    where: str,
) -> None:
    if not isinstance(actual, dict):
        raise Mismatch(f"{where or 'JSON'}: expected an object, got {actual!r}")
    wanted = {
        bindings.substitute(key) if TOKEN.search(key) else key: value
        for key, value in expected.items()
    }
    if wanted.keys() != actual.keys():
        missing = sorted(wanted.keys() - actual.keys())
        extra = sorted(actual.keys() - wanted.keys())
        raise Mismatch(f"{where or 'JSON'}: missing keys {missing}, keys too many {extra}")
    for key, value in wanted.items():
        match_json(value, actual[key], bindings, unordered, f"{where}.{key}" if where else key)


def match_json_text(
    expected: Any, data: bytes, bindings: Bindings, unordered: Collection[str] = ()
) -> None:
    """Compare JSON as it came over the wire, which must be in the compact form of NSQ.

    That form has no spaces, non-ASCII characters as UTF-8 and ``< > &`` escaped.

    :raises Mismatch: it differs, is no JSON or is not compact.
    """
    try:
        text = data.decode("utf-8")
        actual = json.loads(text)
    except ValueError as error:
        raise Mismatch(f"no JSON ({error}): {data!r}") from None
    if re.search(r"\s", _JSON_STRING.sub("", text)):
        raise Mismatch(f"JSON with spaces: {data!r}")
    if re.search("[<>&\u2028\u2029]|\\\\u(?!003[cCeE]|0026|202[89]|00[01])", text):
        raise Mismatch(f"JSON that is not escaped as NSQ does: {data!r}")
    match_json(expected, actual, bindings, unordered)


def _match_frame(expected: dict[str, Any], actual: GoldenFrame, bindings: Bindings) -> None:
    if expected.get("type") != actual.type:
        raise Mismatch(f"expected a frame {expected!r}\n     got {actual!r}")
    if actual.type == 2:
        _match_message(expected, actual.data, bindings)
    elif "json" in expected:
        match_json_text(expected["json"], actual.data, bindings)
    else:
        bindings.match_text(expected["text"], actual.data.decode("latin-1"))


def _match_message(expected: dict[str, Any], data: bytes, bindings: Bindings) -> None:
    if len(data) < 26:
        raise Mismatch(f"message frame too short: {data!r}")
    timestamp, attempts = struct.unpack_from(">qH", data)
    message_id = data[10:26].decode("latin-1")
    if "body_repeat" in expected:
        character, times = expected["body_repeat"]
        if data[26:] != character.encode("latin-1") * times:
            raise Mismatch(f"body is not {character!r} times {times}: {data[26:60]!r}...")
    else:
        bindings.match_text(expected["body"], data[26:].decode("latin-1"))
    bindings.match_text(expected["id"], message_id)
    if expected["attempts"] != attempts:
        raise Mismatch(f"expected attempts {expected['attempts']}, got {attempts}")
    bindings.match_timestamp(message_id, timestamp)


def match_frames(
    expected: Sequence[dict[str, Any]],
    actual: Sequence[GoldenFrame],
    bindings: Bindings,
    any_order: bool = False,
) -> None:
    """Compare frames: all of them, in order unless ``any_order``; optional ones may be missing.

    :raises Mismatch: they differ.
    """

    def match(one: dict[str, Any], other: GoldenFrame) -> None:
        _match_frame(one, other, bindings)

    if any_order:
        _in_any_order(expected, actual, bindings, match)
        return
    position = 0
    for index, one in enumerate(expected):
        if position == len(actual):
            if one.get("optional"):
                continue
            raise Mismatch(f"frame {index} is missing: {one!r}; received: {list(actual)!r}")
        before = bindings.snapshot()
        try:
            match(one, actual[position])
        except Mismatch as error:
            if not one.get("optional"):
                raise Mismatch(f"frame {index}: {error}") from None
            bindings.restore(before)
            continue
        position += 1
    if position < len(actual):
        raise Mismatch(f"frames too many: {list(actual[position:])!r}")
