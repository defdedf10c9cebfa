"""What went wrong, in the words of the original's programs (nsqadmin section 4.1)."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

from twisted.internet.error import ConnectionRefusedError

from nsqtx.cluster.errors import ApiError
from nsqtx.wire.errors import quote

__all__ = ["reason_text"]


def reason_text(error: ApiError) -> str:
    """``got response 404 Not Found "..."``, or ``Get "http://..."`` and why there is none."""
    if error.answered:
        try:
            phrase = HTTPStatus(error.status).phrase
        except ValueError:
            phrase = ""
        return f"got response {error.status} {phrase} {quote(error.body)}"
    url = f"{error.url}?{error.query}" if error.query else error.url
    cause = error.__cause__
    if isinstance(cause, ConnectionRefusedError):
        place = urlsplit(error.url).netloc
        reason = f"dial tcp {place}: connect: connection refused"
    else:
        reason = str(error).removeprefix(f"{error.method} {error.url}: ")
    return f"{error.method.capitalize()} {quote(url)}: {reason}"
