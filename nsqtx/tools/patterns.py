"""Which topics a pattern is found in, in the syntax of RE2 where that library is installed."""

from __future__ import annotations

import re
from typing import Any

try:
    import re2
except ImportError:  # the extra `auth` has it
    re2 = None

__all__ = ["PatternError", "TopicPattern"]


class PatternError(ValueError):
    """It is no regular expression."""


class TopicPattern:
    """A regular expression, found anywhere in a name. An empty one is found in all.

    :raises PatternError: it is none.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._search = _compiled(text).search

    def matches(self, topic: str) -> bool:
        """Whether it is found in this name."""
        return self._search(topic) is not None


def _compiled(text: str) -> Any:
    if re2 is None:
        try:
            return re.compile(text)
        except re.error as error:
            raise PatternError(str(error)) from None
    options = re2.Options()
    # RE2 would write what it refuses to standard error.
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as error:
        why = error.args[0] if error.args else ""
        text = why.decode("utf-8", "replace") if isinstance(why, bytes) else str(why)
        raise PatternError(text) from None
