"""Names of topics and channels (nsqd-engine section 2)."""

from __future__ import annotations

import re

__all__ = ["EPHEMERAL", "MAX_NAME_LENGTH", "is_ephemeral", "valid_name"]

#: The end of a name whose topic or channel goes with its last user and touches no disk.
EPHEMERAL = "#ephemeral"
#: In bytes, `EPHEMERAL` included.
MAX_NAME_LENGTH = 64

# Both are for a full match: a `$` would let a newline at the end pass.
_BYTES = re.compile(rb"[.a-zA-Z0-9_-]+(?:#ephemeral)?")
_TEXT = re.compile(r"[.a-zA-Z0-9_-]+(?:#ephemeral)?")


def valid_name(name: bytes | str) -> bool:
    """Whether a topic or a channel may be called so."""
    if not 1 <= len(name) <= MAX_NAME_LENGTH:
        return False
    if isinstance(name, bytes):
        return _BYTES.fullmatch(name) is not None
    return _TEXT.fullmatch(name) is not None


def is_ephemeral(name: str) -> bool:
    """Whether the topic or channel of this valid name is ephemeral."""
    return name.endswith(EPHEMERAL)
