"""The daemons by their names: their options, and what keeps them from starting with some."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nsqtx.nsqadmin import options as nsqadmin
from nsqtx.nsqd import options as nsqd
from nsqtx.nsqlookupd import options as nsqlookupd
from nsqtx.options import read_flags, read_options

__all__ = ["DAEMONS", "options_of"]

DAEMONS: dict[str, tuple[type[Any], Callable[[Any], str | None]]] = {
    "nsqd": (nsqd.NsqdOptions, nsqd.start_error),
    "nsqlookupd": (nsqlookupd.NsqlookupdOptions, nsqlookupd.start_error),
    "nsqadmin": (nsqadmin.NsqadminOptions, nsqadmin.start_error),
}


def options_of(program: str, arguments: Sequence[str], file: dict[str, Any] | None = None) -> Any:
    """The options that a command line and the content of a file give.

    :raises UsageError: the command line is wrong.
    :raises ConfigError: the file is.
    """
    cls, _ = DAEMONS[program]
    return read_options(cls, read_flags(cls, arguments), file or {})
