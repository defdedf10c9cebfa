"""A daemon that says what a test scripted, right or wrong: the replayer is tried against it."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence

__all__ = ["Conversation", "ScriptedDaemon", "close_after", "pause_then", "receive", "say"]

# Talks to one accepted connection; the connection is closed when it returns.
Conversation = Callable[[socket.socket], None]


def receive(sock: socket.socket, size: int) -> bytes:
    """Exactly so many bytes; fewer only when the peer ends."""
    data = b""
    while len(data) < size and (piece := sock.recv(size - len(data))):
        data += piece
    return data


def say(*turns: tuple[bytes, bytes]) -> Conversation:
    """For each turn wait for the first bytes and answer with the second; then stay open."""

    def converse(sock: socket.socket) -> None:
        for awaited, answer in turns:
            if receive(sock, len(awaited)) != awaited:
                return
            if answer:
                sock.sendall(answer)
        sock.recv(1)

    return converse


def close_after(*turns: tuple[bytes, bytes]) -> Conversation:
    """Like `say`, but close when all is said."""

    def converse(sock: socket.socket) -> None:
        for awaited, answer in turns:
            receive(sock, len(awaited))
            if answer:
                sock.sendall(answer)

    return converse


class ScriptedDaemon:
    """A launch function and the process it gives, run by threads of the test itself.

    :param tcp: how it talks to its NSQ connections, all alike.
    :param http: how it talks to HTTP connections.
    :param exit_code: what it ends with when asked to stop.
    """

    pid = 0

    def __init__(
        self, tcp: Conversation | None = None, http: Conversation | None = None, exit_code: int = 0
    ) -> None:
        self._conversations = {"TCP": tcp or say(), "HTTP": http or say()}
        self._exit_code = exit_code
        self._ended = threading.Event()
        self._sockets: list[socket.socket] = []
        self.arguments: Sequence[str] = ()

    def launch(self, module: str, arguments: Sequence[str], stderr: int) -> ScriptedDaemon:
        """Listen, and say so on ``stderr`` in the form of NSQ's log."""
        self.arguments = arguments
        log = os.dup(stderr)
        for kind, conversation in self._conversations.items():
            listener = socket.create_server(("127.0.0.1", 0))
            self.serve(listener, conversation)
            port = listener.getsockname()[1]
            os.write(log, f"[nsqd] INFO: {kind}: listening on 127.0.0.1:{port}\n".encode())
        os.close(log)
        return self

    def serve(self, listener: socket.socket, conversation: Conversation) -> None:
        """Talk to everyone who connects there."""
        self._sockets.append(listener)
        threading.Thread(target=self._accept, args=(listener, conversation), daemon=True).start()

    def _accept(self, listener: socket.socket, conversation: Conversation) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            self._sockets.append(sock)
            threading.Thread(target=self._converse, args=(sock, conversation), daemon=True).start()

    @staticmethod
    def _converse(sock: socket.socket, conversation: Conversation) -> None:
        with sock:
            try:
                conversation(sock)
            except OSError:
                return

    def poll(self) -> int | None:
        """The exit code once it was told to stop."""
        return self._exit_code if self._ended.is_set() else None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end."""
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired("scripted daemon", timeout or 0.0)
        return self._exit_code

    def send_signal(self, sig: int) -> None:
        """Any signal ends it."""
        for sock in self._sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()
        self._ended.set()


def pause_then(seconds: float, data: bytes) -> Conversation:
    """Say something late, whatever is asked."""

    def converse(sock: socket.socket) -> None:
        time.sleep(seconds)
        sock.sendall(data)
        while sock.recv(1 << 16):
            pass

    return converse
