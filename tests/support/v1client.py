"""A blocking client of protocol V1 for tests: what an nsqd says to a nsqlookupd."""

from __future__ import annotations

import json
import socket
from types import TracebackType
from typing import Any, Self

__all__ = ["V1Client"]


class V1Client:
    """One connection. Reads end after ``timeout`` seconds."""

    def __init__(self, address: tuple[str, int], timeout: float = 10.0) -> None:
        self.socket = socket.create_connection(address, timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self.send(b"  V1")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.socket.close()

    @property
    def local_address(self) -> str:
        """This end as ``host:port``."""
        host, port = self.socket.getsockname()[:2]
        return f"{host}:{port}"

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(data)

    def read(self) -> bytes:
        """The next answer.

        :raises EOFError: the connection ended.
        """
        while True:
            if len(self._buffer) >= 4:
                end = 4 + int.from_bytes(self._buffer[:4], "big")
                if len(self._buffer) >= end:
                    answer, self._buffer = self._buffer[4:end], self._buffer[end:]
                    return answer
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionResetError:
                data = b""
            if not data:
                raise EOFError(f"after {self._buffer!r}")
            self._buffer += data

    def read_to_end(self) -> list[bytes]:
        """All answers until the connection ends; nothing else may be left."""
        answers = []
        try:
            while True:
                answers.append(self.read())
        except EOFError:
            assert self._buffer == b""
            return answers

    def expect_closed(self) -> None:
        """The connection ends, without another answer."""
        assert self.read_to_end() == []

    def ask(self, line: str) -> bytes:
        """Send a line; its answer."""
        self.send(line.encode() + b"\n")
        return self.read()

    def identify(self, **changes: Any) -> dict[str, Any]:
        """IDENTIFY as some nsqd; the answer."""
        peer = {
            "broadcast_address": "127.0.0.1",
            "hostname": "host",
            "tcp_port": 4150,
            "http_port": 4151,
            "version": "1.3.0",
            **changes,
        }
        body = json.dumps(peer).encode()
        self.send(b"IDENTIFY\n" + len(body).to_bytes(4, "big") + body)
        answer = json.loads(self.read())
        assert isinstance(answer, dict)
        return answer

    def register(self, *names: str) -> None:
        """REGISTER a topic, or a channel of it."""
        assert self.ask(" ".join(["REGISTER", *names])) == b"OK"
