"""One HTTP request to a daemon, the connection closed after it."""

from __future__ import annotations

import http.client
import socket
from contextlib import closing

__all__ = ["get", "post", "put"]

#: Host and port, or the path of a Unix socket.
Address = tuple[str, int] | str


def get(address: Address, path: str) -> tuple[int, bytes]:
    """GET: status and body."""
    return _request(address, "GET", path, b"")


def post(address: Address, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """POST: status and body."""
    return _request(address, "POST", path, body)


def put(address: Address, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """PUT: status and body."""
    return _request(address, "PUT", path, body)


def _request(address: Address, method: str, path: str, body: bytes) -> tuple[int, bytes]:
    host, port = ("localhost", 80) if isinstance(address, str) else address
    with closing(http.client.HTTPConnection(host, port, timeout=30)) as connection:
        if isinstance(address, str):
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(address)
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.read()
