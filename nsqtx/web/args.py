"""The query of a request, by NSQ's rules (nsqd-http section 4).

Only the query counts, a body is never parsed as a form. The first of several values wins, names
are case-sensitive, ``+`` is a space, and one malformed pair makes the whole query malformed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

__all__ = ["MalformedQuery", "is_true", "parse_query"]

#: Up to this many bytes a query, when parsed, is kept.
SHORT = 256
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class MalformedQuery(ValueError):
    """The query has a ``%`` that escapes nothing, or a ``;``."""


def parse_query(query: bytes) -> dict[str, str]:
    """The parameters of a query, without its ``?``. Bytes that are no UTF-8 become surrogates.

    :raises MalformedQuery: any part of it is malformed, also one that nobody asks for.
    """
    return dict(_parse_short(query) if len(query) <= SHORT else _parse(query))


@lru_cache(256)
def _parse_short(query: bytes) -> dict[str, str]:
    """Publishers send the same query again and again."""
    return _parse(query)


def _parse(query: bytes) -> dict[str, str]:
    if b";" in query or _BAD_ESCAPE.search(query):
        raise MalformedQuery(query)
    args: dict[str, str] = {}
    for pair in query.split(b"&"):
        if pair:
            name, _, value = pair.partition(b"=")
            args.setdefault(_decoded(name), _decoded(value))
    return args


def _decoded(text: bytes) -> str:
    return unquote_to_bytes(text.replace(b"+", b" ")).decode("utf-8", "surrogateescape")


def is_true(args: dict[str, str], name: str) -> bool:
    """A flag that is on unless it says ``false`` or ``0``, as ``include_clients`` of ``/stats``."""
    return args.get(name) not in ("false", "0")
