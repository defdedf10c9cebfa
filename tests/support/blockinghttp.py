"""One HTTP request to a daemon, the connection closed after it."""

from __future__ import annotations

import http.client
from contextlib import closing

__all__ = ["get", "post"]


def get(address: tuple[str, int], path: str) -> tuple[int, bytes]:
    """GET: status and body."""
    return _request(address, "GET", path, b"")


def post(address: tuple[str, int], path: str, body: bytes = b"") -> tuple[int, bytes]:
    """POST: status and body."""
    return _request(address, "POST", path, body)


def _request(address: tuple[str, int], method: str, path: str, body: bytes) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection(*address, timeout=30)) as connection:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.read()
