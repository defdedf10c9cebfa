"""A small blocking NSQ client for tests: bytes out, frames in, nothing hidden.

It knows the framing (nsqd-tcp section 2) and spells the commands; it keeps no state of the
protocol, so a test can send what a real client never would.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

__all__ = [
    "ERROR",
    "MESSAGE",
    "RESPONSE",
    "ClosedByPeer",
    "Frame",
    "Message",
    "WireClient",
    "sized",
]

RESPONSE, ERROR, MESSAGE = 0, 1, 2
MAGIC = b"  V2"


class ClosedByPeer(Exception):
    """The daemon closed the connection where a frame was expected."""


class Frame(NamedTuple):
    """One frame: its type and what follows the type."""

    type: int
    data: bytes


class Message(NamedTuple):
    """A delivered message."""

    id: bytes
    attempts: int
    timestamp: int
    body: bytes


def sized(body: bytes) -> bytes:
    """The bytes behind their length in four bytes."""
    return struct.pack(">I", len(body)) + body


class WireClient:
    """One connection, to host and port or to the path of a Unix socket.

    Every read has a deadline: ``timeout`` seconds for a whole frame.
    """

    def __init__(
        self, address: tuple[str, int] | str, magic: bytes = MAGIC, timeout: float = 10.0
    ) -> None:
        self.timeout = timeout
        self.heartbeats = 0
        self._buffer = bytearray()
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(address)
        else:
            self.socket = socket.create_connection(address, timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.send(magic)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def local_address(self) -> str:
        """This end as ``host:port``, the way the daemon's statistics name it."""
        host, port = self.socket.getsockname()[:2]
        return f"{host}:{port}"

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    # -- bytes and frames ----------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send these bytes, all of them, through whatever layers there are."""
        self.send_raw(self._encode(data))

    def send_raw(self, data: bytes) -> None:
        """Send these bytes as they are."""
        self.socket.settimeout(self.timeout)
        self.socket.sendall(data)

    def _encode(self, data: bytes) -> bytes:
        return data

    def _decode(self, data: bytes) -> bytes:
        return data

    def _fill(self, size: int, deadline: float) -> None:
        while len(self._buffer) < size:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no frame in time, so far: {bytes(self._buffer)!r}")
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(1 << 18)
            except ConnectionResetError:
                data = b""
            if not data:
                raise ClosedByPeer(f"after {bytes(self._buffer)!r}")
            self._buffer += self._decode(data)

    def read_any(self, timeout: float | None = None) -> Frame:
        """The next frame, heartbeats included."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        self._fill(4, deadline)
        size = int.from_bytes(self._buffer[:4], "big")
        self._fill(4 + size, deadline)
        frame_type = int.from_bytes(self._buffer[4:8], "big")
        data = bytes(self._buffer[8 : 4 + size])
        del self._buffer[: 4 + size]
        return Frame(frame_type, data)

    def read(self, timeout: float | None = None) -> Frame:
        """The next frame that is not a heartbeat; heartbeats are answered."""
        while True:
            frame = self.read_any(timeout)
            if frame != (RESPONSE, b"_heartbeat_"):
                return frame
            self.heartbeats += 1
            self.send(b"NOP\n")

    def read_message(self, timeout: float | None = None) -> Message:
        """The next frame, which must be a message."""
        frame = self.read(timeout)
        if frame.type != MESSAGE:
            raise AssertionError(f"expected a message, got {frame!r}")
        timestamp, attempts = struct.unpack_from(">qH", frame.data)
        return Message(frame.data[10:26], attempts, timestamp, frame.data[26:])

    def read_messages(self, count: int, timeout: float | None = None) -> list[Message]:
        """The next ``count`` messages."""
        return [self.read_message(timeout) for _ in range(count)]

    def expect(self, data: bytes = b"OK", frame_type: int = RESPONSE) -> None:
        """Read one frame, which must be this one."""
        frame = self.read()
        if frame != (frame_type, data):
            raise AssertionError(f"expected {(frame_type, data)!r}, got {tuple(frame)!r}")

    def expect_error(self, code: bytes) -> bytes:
        """Read an error frame that starts with ``code``; all of its text."""
        frame = self.read()
        if frame.type != ERROR or not frame.data.startswith(code):
            raise AssertionError(f"expected error {code!r}, got {tuple(frame)!r}")
        return frame.data

    def expect_closed(self, timeout: float | None = None) -> None:
        """The daemon must close the connection now, with no further frame but heartbeats."""
        try:
            frame = self.read(timeout)
        except ClosedByPeer:
            if self._buffer:
                raise AssertionError(f"closed inside a frame: {bytes(self._buffer)!r}") from None
            return
        raise AssertionError(f"expected the end of the connection, got {frame!r}")

    def silent(self, seconds: float) -> bool:
        """True when nothing at all arrives for so long and the connection stays open."""
        if self._buffer:
            return False
        self.socket.settimeout(seconds)
        try:
            self._buffer += self.socket.recv(1 << 18)
        except TimeoutError:
            return True
        except ConnectionResetError:
            return False
        return False

    # -- commands ------------------------------------------------------------------------------

    def identify(self, **fields: Any) -> dict[str, Any]:
        """IDENTIFY with feature negotiation; the parsed answer."""
        body = json.dumps({"feature_negotiation": True, **fields}).encode()
        self.send(b"IDENTIFY\n" + sized(body))
        frame = self.read()
        if frame.type != RESPONSE:
            raise AssertionError(f"IDENTIFY failed: {frame!r}")
        answer = json.loads(frame.data)
        assert isinstance(answer, dict)
        return answer

    def subscribe(self, topic: str, channel: str, ready: int | None = None) -> None:
        """SUB, awaiting its OK, and RDY when ``ready`` is given."""
        self.send(f"SUB {topic} {channel}\n".encode())
        self.expect()
        if ready is not None:
            self.ready(ready)

    def ready(self, count: int) -> None:
        """RDY."""
        self.send(b"RDY %d\n" % count)

    def publish(self, topic: str, body: bytes) -> None:
        """PUB, awaiting its OK."""
        self.send(f"PUB {topic}\n".encode() + sized(body))
        self.expect()

    def publish_deferred(self, topic: str, milliseconds: int, body: bytes) -> None:
        """DPUB, awaiting its OK."""
        self.send(f"DPUB {topic} {milliseconds}\n".encode() + sized(body))
        self.expect()

    def publish_many(self, topic: str, bodies: Sequence[bytes]) -> None:
        """MPUB, awaiting its OK."""
        inner = struct.pack(">I", len(bodies)) + b"".join(map(sized, bodies))
        self.send(f"MPUB {topic}\n".encode() + sized(inner))
        self.expect()

    def finish(self, *ids: bytes) -> None:
        """FIN each of these."""
        self.send(b"".join(b"FIN %b\n" % message_id for message_id in ids))

    def finish_all(self, messages: Iterable[Message]) -> None:
        """FIN each of these messages."""
        self.finish(*(message.id for message in messages))

    def requeue(self, message_id: bytes, milliseconds: int = 0) -> None:
        """REQ."""
        self.send(b"REQ %b %d\n" % (message_id, milliseconds))

    def touch(self, message_id: bytes) -> None:
        """TOUCH."""
        self.send(b"TOUCH %b\n" % message_id)

    def close_wait(self) -> None:
        """CLS, awaiting its answer; messages that come before it are an error."""
        self.send(b"CLS\n")
        self.expect(b"CLOSE_WAIT")
