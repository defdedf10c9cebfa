"""Log lines as JSON, for ``--log-format=json``: one object a line, for programs to read.

::

    {"ts":"2026-01-02T03:04:05.678901Z","level":"info","namespace":"nsqd.tcp",
     "message":"TCP: new client(10.0.0.1:4000)","address":"10.0.0.1:4000"}

After ``message`` come the fields of the event, as the code that logged it gave them, and
``traceback`` if there is one. Time is UTC. All is ASCII, so that nothing in a line can end it or
move a cursor.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

__all__ = ["json_line"]

#: What every line may have; a field of that name gets an underscore behind it.
_OURS = frozenset(["ts", "level", "namespace", "message", "traceback"])
#: What Twisted adds to events for the sake of its older logging.
_LEGACY = frozenset(
    ["message", "time", "system", "format", "isError", "failure", "why", "logLevel", "printed"]
)


def json_line(level: str, namespace: str, message: str, event: Mapping[str, Any]) -> str:
    """The line of an event, with its end. ``message`` is what the event says as text."""
    stamp = datetime.fromtimestamp(event.get("log_time", 0.0), UTC)
    line: dict[str, Any] = {
        "ts": f"{stamp:%Y-%m-%dT%H:%M:%S.%f}Z",
        "level": level,
        "namespace": _clean(namespace),
        "message": _clean(message),
    }
    for name, value in event.items():
        if isinstance(name, str) and not name.startswith("log_") and name not in _LEGACY:
            line[_clean(f"{name}_" if name in _OURS else name)] = _plain(value)
    failure = event.get("log_failure")
    if failure is not None:
        line["traceback"] = _clean(failure.getTraceback().rstrip())
    # The one control character that JSON leaves as it is.
    return json.dumps(line, separators=(",", ":")).replace("\x7f", "\\u007f") + "\n"


def _plain(value: object) -> str | int | float | bool | None:
    """A value that JSON has, or what it says of itself."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "backslashreplace")
    try:
        return _clean(str(value))
    except Exception:  # noqa: BLE001  # whatever it is, it must not cost the line
        return f"<unprintable {type(value).__name__}>"


def _clean(text: str) -> str:
    """The text without lone surrogates, which parsers refuse."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
