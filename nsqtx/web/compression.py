"""Answers compressed, as far as the client takes that (nsqadmin section 3.3).

As in the original the first token of Accept-Encoding that is exactly ``gzip`` or ``deflate`` wins,
and ``deflate`` has no zlib header. What is compressed already stays as it is, and so does a stream
of events, which must not wait in a buffer.
"""

# Most of twisted.web has no annotations.
# mypy: allow-untyped-calls

from __future__ import annotations

import zlib
from typing import Any

from twisted.web.resource import IResource, Resource

from nsqtx.web.site import ApiRequest

__all__ = ["Compressing", "coding_of"]

#: How hard it is tried: beyond this, time grows and answers hardly shrink.
LEVEL = 4
_WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": -zlib.MAX_WBITS}
#: Types of content that are left alone, but for SVG.
_LEFT_ALONE = (b"image/", b"font/", b"application/font-", b"text/event-stream")


def coding_of(accepted: str) -> str:
    """The coding that an Accept-Encoding asks for; empty: none of ours."""
    tokens = (token.strip() for token in accepted.split(","))
    return next((token for token in tokens if token in _WINDOWS), "")


class _Encoder:
    """Compresses one answer. See `ApiRequest.encoder`."""

    def __init__(self, request: ApiRequest, coding: str) -> None:
        self._request = request
        self._coding = coding
        self._compressor: Any = None

    def encode(self, data: bytes) -> bytes:
        """The next part of the body, compressed."""
        if not self._request.startedWriting and self._applies():
            self._compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, _WINDOWS[self._coding])
            self._request.responseHeaders.removeHeader(b"Content-Length")
            self._request.set_header(b"Content-Encoding", self._coding.encode())
            self._request.set_header(b"Vary", b"Accept-Encoding")
        if self._compressor is None:
            return data
        compressed: bytes = self._compressor.compress(data)
        return compressed

    def finish(self) -> bytes:
        """What is still to be sent."""
        if self._compressor is None:
            return b""
        rest: bytes = self._compressor.flush()
        return rest

    def _applies(self) -> bool:
        headers = self._request.responseHeaders
        kind = (headers.getRawHeaders(b"Content-Type") or [b""])[0]
        if kind.startswith(_LEFT_ALONE) and not kind.startswith(b"image/svg"):
            return False
        empty = headers.getRawHeaders(b"Content-Length") == [b"0"]
        return not empty and not headers.hasHeader(b"Content-Encoding")


class Compressing(Resource):
    """In front of ``inner``, compresses what that answers."""

    isLeaf = True

    def __init__(self, inner: IResource) -> None:
        super().__init__()
        self._inner = inner

    def render(self, request: ApiRequest) -> Any:
        """Note how the answer is to be encoded, and have it made."""
        coding = coding_of(request.getHeader("accept-encoding") or "")
        if coding and request.method != b"HEAD":
            request.encoder = _Encoder(request, coding)
        return self._inner.render(request)
