"""Reads a topic in a process of its own, and says by lines what it is doing.

    {"topic": ..., "channel": ..., "nsqds": [...], "lookupds": [...], "config": {...}}

Each message is a line ``got <body>`` before it is finished; so many seconds as its last word says
may be spent on it. What is told otherwise is a line as well. SIGTERM drains, and then there is a
line ``drained``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from types import TracebackType
from typing import IO, Any, Self

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react

from nsqtx.client import Message, Reader, ReaderConfig

__all__ = ["ReaderProcess"]


class ReaderProcess:
    """Starts one; a context manager, which kills it in the end."""

    def __init__(
        self,
        topic: str,
        nsqds: list[str] | None = None,
        lookupds: list[str] | None = None,
        **config: Any,
    ) -> None:
        settings = {
            "topic": topic,
            "nsqds": nsqds or [],
            "lookupds": lookupds or [],
            "config": config,
        }
        #: The bodies, and all other lines.
        self.got: list[str] = []
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__, json.dumps(settings)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self._reading = threading.Thread(target=self._read, args=(self.process.stdout,))
        self._reading.start()

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                kind, _, rest = line.rstrip("\n").partition(" ")
                (self.got if kind == "got" else self.lines).append(rest if kind == "got" else line)

    def has(self, count: int) -> bool:
        """Whether it has handled so many messages."""
        return len(self.got) >= count

    def kill(self) -> None:
        """SIGKILL."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reading.join()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(20)
        self._reading.join()
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()


def say(line: str) -> None:
    """In one write, which a kill does not cut."""
    os.write(1, f"{line}\n".encode())


async def run(reactor: Any, settings: dict[str, Any]) -> None:
    async def handle(message: Message) -> None:
        text = message.body.decode()
        if text.rpartition(" ")[1]:
            await deferLater(reactor, float(text.rpartition(" ")[2]))
        say(f"got {text}")

    reader = Reader(
        settings["topic"],
        "c",
        handle,
        reactor=reactor,
        nsqd_tcp_addresses=settings["nsqds"],
        lookupd_http_addresses=settings["lookupds"],
        config=ReaderConfig(**settings["config"]),
        on_event=lambda event: say(f"event {event}"),
    )
    reader.startService()

    async def stop() -> None:
        report = await reader.stopService()
        say(f"drained {report.finished} {report.requeued}")

    reactor.addSystemEventTrigger("before", "shutdown", lambda: Deferred.fromCoroutine(stop()))
    await Deferred()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(run(reactor, json.loads(sys.argv[1]))))
