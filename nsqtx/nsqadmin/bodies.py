"""The JSON that actions are asked for with (nsqadmin section 5.7)."""

from __future__ import annotations

import json
from typing import Any

from nsqtx.web.api import ApiError
from nsqtx.web.site import ApiRequest
from nsqtx.wire.gojson import Fields

__all__ = ["read_fields"]

#: Arrays and objects inside each other that are read.
MAX_DEPTH = 100


def read_fields(request: ApiRequest, *names: str) -> list[str]:
    """These texts of the object in the body, empty where they are missing.

    Only the first value of the body is looked at; its Content-Type is not.

    :raises ApiError: 400 with what is wrong with it, 413 if it is too large.
    """
    if request.body_too_big:
        raise ApiError(413, "BODY_TOO_BIG")
    try:
        fields = _first_value(request.body.decode("utf-8", "replace"))
        return [fields.text(name) for name in names]
    except ValueError as error:
        raise ApiError(400, str(error)) from None


def _first_value(text: str) -> Fields:
    text = text.lstrip(" \t\r\n")
    if not text:
        raise ValueError("EOF")
    if text.count("{") + text.count("[") > MAX_DEPTH:
        raise ValueError("nested too deep")
    try:
        value, _ = json.JSONDecoder(object_pairs_hook=Fields, parse_constant=_refuse).raw_decode(
            text
        )
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()) or "Unterminated string" in error.msg:
            raise ValueError("unexpected EOF") from None
        character = text[error.pos]
        raise ValueError(
            f"invalid character {character!r} looking for beginning of value"
        ) from None
    if value is None:
        return Fields([])
    if not isinstance(value, Fields):
        raise ValueError("json: cannot unmarshal what is no object")
    return value


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
