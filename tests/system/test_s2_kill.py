"""S2: what was answered OK survives SIGKILL, on every channel, and deferred ones are not early."""

from __future__ import annotations

import http.client
import random
import struct
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.blockinghttp import post
from tests.support.daemon import Daemon
from tests.support.wireclient import ClosedByPeer, WireClient, sized

TOTAL = 100_000
CHANNELS = ("metrics", "archive")


class Publishers:
    """Threads that publish numbered messages in every way there is, until nsqd is gone."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        #: Body of each message answered OK, and the earliest time of its delivery.
        self.acknowledged: dict[bytes, float] = {}
        self.errors: list[BaseException] = []
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._guard, args=(each,), daemon=True)
            for each in (self._pub, self._mpub, self._http, self._http_mpub, self._dpub)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def _guard(self, publish: object) -> None:
        assert callable(publish)
        try:
            publish()
        except (ClosedByPeer, OSError, http.client.HTTPException):
            pass  # killed: what this one was waiting for is unknown, and not counted
        except BaseException as error:
            self.errors.append(error)

    def _ok(self, bodies: list[bytes], not_before: float = 0.0) -> None:
        with self._lock:
            self.acknowledged.update(dict.fromkeys(bodies, not_before))

    def _pub(self) -> None:
        with WireClient(self.daemon.tcp) as client:
            for start in range(0, TOTAL * 30 // 100, 50):
                bodies = [b"pub %d" % i for i in range(start, start + 50)]
                client.send(b"".join(b"PUB t\n" + sized(body) for body in bodies))
                for body in bodies:
                    client.expect()
                    self._ok([body])

    def _mpub(self) -> None:
        with WireClient(self.daemon.tcp) as client:
            for start in range(0, TOTAL * 60 // 100, 100):
                bodies = [b"mpub %d" % i for i in range(start, start + 100)]
                client.publish_many("t", bodies)
                self._ok(bodies)

    def _post(self, connection: http.client.HTTPConnection, path: str, body: bytes) -> None:
        connection.request("POST", path, body)
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b"OK")

    def _http(self) -> None:
        with closing(http.client.HTTPConnection(*self.daemon.http, timeout=30)) as connection:
            for i in range(TOTAL * 1 // 100):
                body = b"http %d" % i
                self._post(connection, "/pub?topic=t", body)
                self._ok([body])

    def _http_mpub(self) -> None:
        with closing(http.client.HTTPConnection(*self.daemon.http, timeout=30)) as connection:
            for start in range(0, TOTAL * 8 // 100, 100):
                bodies = [b"http mpub %d" % i for i in range(start, start + 100)]
                if start % 200:
                    self._post(connection, "/mpub?topic=t", b"\n".join(bodies))
                else:
                    binary = struct.pack(">I", len(bodies)) + b"".join(map(sized, bodies))
                    self._post(connection, "/mpub?topic=t&binary=true", binary)
                self._ok(bodies)

    def _dpub(self) -> None:
        with WireClient(self.daemon.tcp) as client:
            for i in range(TOTAL * 1 // 100):
                body = b"dpub %d" % i
                delay = 1000 + 7 * i
                sent = time.time()
                client.publish_deferred("t", delay, body)
                self._ok([body], sent + delay / 1000)


def consume_all(daemon: Daemon, channel: str, wanted: dict[bytes, float]) -> list[str]:
    """Consume a channel until all that is wanted came; what was wrong."""
    missing = set(wanted)
    wrong = []
    deadline = time.monotonic() + 40
    with WireClient(daemon.tcp, timeout=40) as client:
        client.subscribe("t", channel, ready=2500)
        while missing and time.monotonic() < deadline:
            message = client.read_message()
            if time.time() < wanted.get(message.body, 0.0):
                wrong.append(f"{channel}: {message.body!r} came early")
            missing.discard(message.body)
            client.finish(message.id)
    if missing:
        wrong.append(f"{channel}: {len(missing)} lost, such as {min(missing)!r}")
    return wrong


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_s2_acknowledged_messages_survive_sigkill(tmp_path: Path, seed: int) -> None:
    """Killed at a random moment under mixed load, nsqd delivers all it had answered OK."""
    chance = random.Random(seed)
    kill_at = chance.randrange(2_000, TOTAL * 9 // 10)
    with Daemon(tmp_path) as daemon:
        assert post(daemon.http, "/topic/create?topic=t")[0] == 200
        for channel in CHANNELS:
            assert post(daemon.http, f"/channel/create?topic=t&channel={channel}")[0] == 200
        publishers = Publishers(daemon)
        publishers.start()
        until = time.monotonic() + 60
        while len(publishers.acknowledged) < kill_at and time.monotonic() < until:
            time.sleep(0.001 * chance.random())
        daemon.kill()
        publishers.join()
    assert publishers.errors == []
    assert len(publishers.acknowledged) >= 2_000
    with Daemon(tmp_path) as daemon:
        wrong: list[str] = []
        threads = [
            threading.Thread(
                target=lambda c=channel: wrong.extend(
                    consume_all(daemon, c, publishers.acknowledged)
                )
            )
            for channel in CHANNELS
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        assert wrong == []
