"""A small cluster of real processes with traffic, and an nsqadmin that looks at it.

``orders`` is busy, with a quick and a slow channel on two nsqd; ``events`` has no channel and holds
what it gets; ``failed`` has dead letters. What is in messages is JSON, text and bytes.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from tests.support.daemon import Daemon
from tests.support.wireclient import MESSAGE, ClosedByPeer, WireClient

__all__ = ["LiveCluster"]

ORDER = {
    "id": 4711,
    "customer": {"name": "Ada Lovelace", "country": "GB"},
    "lines": [{"sku": "A-1", "count": 2, "price": 19.50}, {"sku": "B-7", "count": 1}],
    "note": "<b>ring twice</b>",
}


class LiveCluster:
    """nsqlookupd, two nsqd and nsqadmin. A context manager; all are ended when it is left.

    :param flags: of nsqadmin, beside where nsqlookupd is.
    """

    def __init__(self, folder: Path, *flags: str) -> None:
        self._folder = folder
        self._flags = flags
        self._stack = ExitStack()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.lookupd = stack.enter_context(
                Daemon(None, "--broadcast-address=127.0.0.1", program="nsqlookupd")
            )
            self.nsqds = [stack.enter_context(self._nsqd(number)) for number in (1, 2)]
            self.admin = stack.enter_context(
                Daemon(
                    None,
                    f"--lookupd-http-address=127.0.0.1:{self.lookupd.http_port}",
                    *self._flags,
                    program="nsqadmin",
                )
            )
            stack.callback(self._end_threads)
            self._fill()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """Where nsqadmin is."""
        return f"http://127.0.0.1:{self.admin.http_port}"

    def _nsqd(self, number: int) -> Daemon:
        return Daemon(
            self._folder / f"nsqd{number}",
            f"--lookupd-tcp-address=127.0.0.1:{self.lookupd.tcp_port}",
            "--broadcast-address=127.0.0.1",
            "--e2e-processing-latency-percentile=0.99,0.95",
            "--enable-experiment=topology-aware-consumption",
            "--topology-region=eu",
            f"--topology-zone=eu-{number}",
        )

    def post(self, daemon: Daemon, path: str, body: bytes = b"", **args: str) -> bytes:
        """POST to a daemon; the answer."""
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in args.items())
        url = f"http://127.0.0.1:{daemon.http_port}{path}?{query}"
        request = urllib.request.Request(url, data=body, method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            data: bytes = answer.read()
        return data

    def get(self, daemon: Daemon, path: str) -> Any:
        """The JSON of a daemon."""
        with urllib.request.urlopen(f"http://127.0.0.1:{daemon.http_port}{path}") as answer:
            return json.load(answer)

    def topic(self, name: str) -> list[Any]:
        """What each nsqd has of a topic, as in ``/stats``."""
        found: list[Any] = []
        for nsqd in self.nsqds:
            stats = self.get(nsqd, f"/stats?format=json&topic={quote(name, safe='')}")
            found += stats["topics"] or []
        return found

    # -- what there is -----------------------------------------------------------------------------

    def _fill(self) -> None:
        first, second = self.nsqds
        for nsqd in self.nsqds:
            self.post(nsqd, "/topic/create", topic="orders")
            for channel in ("billing", "archive"):
                self.post(nsqd, "/channel/create", topic="orders", channel=channel)
            self.post(nsqd, "/pub", json.dumps(ORDER).encode(), topic="events")
        self.post(first, "/pub", "plain text, with ümlauts & <tags>".encode(), topic="events")
        self.post(first, "/pub", bytes(range(200)), topic="events")
        self.post(first, "/pub", b"later", topic="events", defer="600000")
        self.post(second, "/topic/create", topic="clicks#ephemeral")
        self.post(second, "/topic/create", topic="failed")
        self.post(second, "/channel/create", topic="failed", channel="work")
        self.post(second, "/channel/dead_letter", topic="failed", channel="work", max_attempts="1")
        self.post(second, "/pub", b'{"broken": true}', topic="failed")
        self.post(self.lookupd, "/topic/create", topic="forgotten")
        self.post(self.lookupd, "/channel/create", topic="forgotten", channel="nobody")
        for nsqd in self.nsqds:
            self._run(self._publish, nsqd)
            self._run(self._consume, nsqd, "orders", "billing", 50, 0.0, b"FIN %s\n")
        self._run(self._consume, first, "orders", "archive", 5, 0.4, b"FIN %s\n")
        self._run(self._consume, second, "failed", "work", 1, 0.0, b"REQ %s 0\n")

    def _run(self, work: Callable[..., None], *args: Any) -> None:
        def go() -> None:
            with contextlib.suppress(OSError, ClosedByPeer):
                work(*args)

        thread = threading.Thread(target=go, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _publish(self, nsqd: Daemon) -> None:
        body = "\n".join([json.dumps(ORDER)] * 10).encode()
        while not self._stop.wait(0.2):
            self.post(nsqd, "/mpub", body, topic="orders")

    def _consume(
        self, nsqd: Daemon, topic: str, channel: str, ready: int, pause: float, answer: bytes
    ) -> None:
        with WireClient(nsqd.tcp) as client:
            client.identify(
                client_id=f"{channel}-worker",
                hostname="worker.example",
                user_agent="live/1",
                topology_region="eu",
                topology_zone="eu-1",
            )
            client.send(f"SUB {topic} {channel}\n".encode())
            client.expect()
            client.send(b"RDY %d\n" % ready)
            while not self._stop.is_set():
                try:
                    frame = client.read_any(0.5)
                except TimeoutError:
                    continue
                if frame.type == MESSAGE:
                    if pause:
                        time.sleep(pause)
                    client.send(answer % frame.data[10:26])
                elif frame.data == b"_heartbeat_":
                    client.send(b"NOP\n")

    def _end_threads(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(5)
