"""HTTP the way the recordings need it: exact request targets, every header seen.

No HTTP library: those clean up targets such as ``//ping`` and ``/config/a%2Fb`` and hide what a
server sent. One request a connection.
"""

from __future__ import annotations

import gzip
import socket
import ssl
import time
import zlib
from typing import NamedTuple

from tests.golden.placeholders import Mismatch

__all__ = ["RECORDED_HEADERS", "Request", "Response", "exchange"]

# Headers that a recording holds whenever they were sent.
RECORDED_HEADERS = (
    "Content-Type",
    "X-Nsq-Content-Type",
    "Allow",
    "Location",
    "Connection",
    "Content-Encoding",
    "Vary",
)

READ_SECONDS = 15.0


class Request(NamedTuple):
    """A request to send. ``body`` None sends no body at all."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes | None = None
    chunked: bool = False
    version: str = "HTTP/1.1"


class Response(NamedTuple):
    """An answer. Names of headers are in lower case; the body is as it came, but unchunked."""

    version: str
    status: int
    headers: dict[str, str]
    body: bytes

    def plain_body(self) -> bytes:
        """The body with its Content-Encoding undone."""
        encoding = self.headers.get("content-encoding", "")
        if encoding == "gzip":
            return gzip.decompress(self.body)
        if encoding == "deflate":
            return zlib.decompress(self.body, -15)
        return self.body


def _request_bytes(request: Request, host: str) -> bytes:
    lines = [f"{request.method} {request.target} {request.version}", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    body = request.body
    if request.chunked:
        lines.append("Transfer-Encoding: chunked")
    elif body is not None or request.method in ("POST", "PUT"):
        lines.append(f"Content-Length: {len(body or b'')}")
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    if not request.chunked:
        return head + (body or b"")
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return head + chunk + b"0\r\n\r\n"


class _Reader:
    """Reads an answer off a socket with one deadline for all of it."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = b""
        self._deadline = time.monotonic() + READ_SECONDS

    def _more(self) -> bool:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise Mismatch(f"no whole HTTP answer in time, so far {self._buffer!r}")
        self._socket.settimeout(left)
        try:
            data = self._socket.recv(1 << 18)
        except TimeoutError:
            return self._more()
        except (ConnectionResetError, ssl.SSLError) as error:
            if not self._buffer:
                raise Mismatch(f"no HTTP answer: {error}") from None
            data = b""
        self._buffer += data
        return bool(data)

    def until(self, mark: bytes) -> bytes:
        """Bytes up to the mark, which is dropped."""
        while mark not in self._buffer:
            if not self._more():
                raise Mismatch(f"the HTTP answer breaks off after {self._buffer!r}")
        found, _, self._buffer = self._buffer.partition(mark)
        return found

    def exactly(self, size: int) -> bytes:
        """So many bytes."""
        while len(self._buffer) < size:
            if not self._more():
                raise Mismatch(f"the HTTP body breaks off after {self._buffer!r}")
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def rest(self) -> bytes:
        """Bytes up to the end of the connection."""
        while self._more():
            pass
        found, self._buffer = self._buffer, b""
        return found


def _read_body(reader: _Reader, method: str, status: int, headers: dict[str, str]) -> bytes:
    if method == "HEAD" or status in (204, 304) or 100 <= status < 200:
        return b""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        pieces = []
        while size := int(reader.until(b"\r\n").split(b";")[0], 16):
            pieces.append(reader.exactly(size))
            reader.exactly(2)
        reader.until(b"\r\n")
        return b"".join(pieces)
    if "content-length" in headers:
        return reader.exactly(int(headers["content-length"]))
    return reader.rest()


def exchange(
    address: tuple[str, int], request: Request, context: ssl.SSLContext | None = None
) -> Response:
    """Send one request and read its answer, over TLS when there is a context.

    :raises Mismatch: there is no whole answer.
    """
    host = f"{address[0]}:{address[1]}"
    with socket.create_connection(address, READ_SECONDS) as plain:
        sock = plain if context is None else context.wrap_socket(plain, server_hostname="localhost")
        try:
            try:
                sock.sendall(_request_bytes(request, host))
            except (BrokenPipeError, ConnectionResetError):
                pass  # Refused before it was all sent: the answer is what counts.
            reader = _Reader(sock)
            while True:
                head = reader.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
                version, code = head[0].split(" ", 2)[:2]
                headers = {}
                for line in head[1:]:
                    name, _, value = line.partition(":")
                    headers[name.strip().lower()] = value.strip()
                status = int(code)
                if status != 100:
                    break
            body = _read_body(reader, request.method, status, headers)
        finally:
            sock.close()
    return Response(version, status, headers, body)
