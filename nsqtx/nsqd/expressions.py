"""Regular expressions of an auth server, in the syntax and with the matching of Go's library.

The server writes them for RE2, and they may come from its users. So they must mean what they mean
in Go, and none may take longer than its length and that of a name make necessary; neither is true
of Python's `re`. The library is ``google-re2``, which only nsqd with auth servers needs.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakValueDictionary

import attrs
import re2

__all__ = ["Expression", "ExpressionError", "expression"]

#: What one expression may take, in bytes. ``[a-z]{1,64}`` takes a tenth of it.
MAX_MEMORY = 256 * 1024


class ExpressionError(ValueError):
    """It is no regular expression, or it is too large."""


def _options() -> re2.Options:
    options = re2.Options()
    options.max_mem = MAX_MEMORY
    options.never_capture = True
    # RE2 would write what it refuses to standard error.
    options.log_errors = False
    return options


_OPTIONS = _options()
#: Clients of one service all have the same expressions, so each is kept once while anybody has it.
_known: WeakValueDictionary[str, Expression] = WeakValueDictionary()


@attrs.frozen(eq=False)
class Expression:
    """A compiled expression; see `expression`."""

    _compiled: Any
    #: How large it is compiled, in instructions.
    size: int

    def found_in(self, name: bytes) -> bool:
        """Whether it matches anywhere in the name."""
        return self._compiled.search(name) is not None


def expression(text: str) -> Expression:
    """The expression of this text.

    :raises ExpressionError: there is none.
    """
    found = _known.get(text)
    if found is None:
        try:
            compiled = re2.compile(text.encode(), _OPTIONS)
        except (re2.error, UnicodeEncodeError) as error:
            raise ExpressionError(f"bad expression {text[:100]!r}: {_why(error)}") from None
        found = _known[text] = Expression(compiled, compiled.programsize)
    return found


def _why(error: Exception) -> str:
    why = error.args[0] if error.args else ""
    return why.decode("utf-8", "replace") if isinstance(why, bytes) else str(why)
