"""Tools that find nsqd by nsqlookupd, under twistd, and with what else only real processes show."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nsqtx.tools.nsq_to_file.members import END
from tests.golden.forked import ForkServer
from tests.support.blockinghttp import get, post
from tests.support.toolruns import ToolRun
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
TWISTD = "from twisted.scripts.twistd import run; run()"
PORTS = ("nsqd-tcp", "nsqd-http", "lookupd-tcp", "lookupd-http", "admin-http")


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """A process that has imported the tools and forks for each run."""
    with ForkServer(tmp_path_factory.mktemp("forks")) as server:
        yield server


class Cluster:
    """nsqd and nsqlookupd in one process."""

    def __init__(self, nsq: ToolRun) -> None:
        eventually(lambda: "ready: " in nsq.err, lambda: nsq.err)
        found = re.findall(r"(?:nsqd|nsqlookupd) 127\.0\.0\.1:(\d+)", nsq.err)
        self.nsqd_port, lookupd = map(int, found[-2:])
        self.lookupd = ("127.0.0.1", lookupd)
        nodes: list[dict[str, int]] = []

        def known() -> bool:
            nodes[:] = json.loads(get(self.lookupd, "/nodes")[1])["producers"]
            return bool(nodes)

        eventually(known, lambda: nsq.err)
        self.nsqd = ("127.0.0.1", nodes[0]["http_port"])
        self.flag = f"--lookupd-http-address=127.0.0.1:{lookupd}"

    def publish(self, topic: str, body: bytes) -> None:
        """Publish a message, and wait until nsqlookupd knows the topic."""
        assert post(self.nsqd, f"/pub?topic={topic}", body)[0] == 200
        eventually(lambda: f'"{topic}"'.encode() in get(self.lookupd, "/topics")[1], lambda: topic)


@pytest.fixture(scope="module")
def cluster(forks: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One nsqd, one nsqlookupd."""
    flags = [f"--{name}-address=127.0.0.1:0" for name in PORTS]
    data = tmp_path_factory.mktemp("data")
    with ToolRun(forks, "nsq", [*flags, f"--data-path={data}"]) as nsq:
        yield Cluster(nsq)


def test_topics_by_pattern(forks: ForkServer, cluster: Cluster, tmp_path: Path) -> None:
    """Those that are there, and those that come; others are left alone."""
    cluster.publish("events.a", b"one")
    cluster.publish("other", b"no")
    arguments = [
        *(cluster.flag, r"--topic-pattern=^events\.", "--topic-refresh=100ms"),
        *(f"--output-dir={tmp_path}", "--filename-format=<TOPIC>", "--log-level=debug"),
        *("--log-prefix=[mine] ", "--sync-interval=100ms"),
    ]
    with ToolRun(forks, "nsq_to_file", arguments) as tool:
        eventually(lambda: (tmp_path / "events.a").exists(), lambda: tool.err)
        cluster.publish("events.b", b"two")
        eventually(lambda: (tmp_path / "events.b").exists(), lambda: tool.err)
        eventually(
            lambda: (
                sorted(each.read_bytes() for each in tmp_path.iterdir()) == [b"one\n", b"two\n"]
            ),
            lambda: tool.err,
        )
        assert tool.stop() == 0
        assert all(each.startswith("[mine] ") for each in tool.err.splitlines())
        assert re.search(r"\] \S+ \S+ DEBUG: ", tool.err)


def test_others_find_nsqd_as_well(forks: ForkServer, cluster: Cluster) -> None:
    """nsq_stat, nsq_to_nsq, nsq_tail."""
    cluster.publish("source", b'{"keep":1,"drop":2}')
    post(cluster.nsqd, "/channel/create?topic=source&channel=c")
    arguments = [cluster.flag, "--topic=source", "--channel=c", "--interval=50ms", "--count=1"]
    with ToolRun(forks, "nsq_stat", arguments) as stat:
        assert stat.wait() == 0
        assert stat.out.decode().splitlines()[-1].split()[3] == "1"
    arguments = [
        *(cluster.flag, "--topic=source", "--channel=c", "--destination-topic=kept"),
        *("--whitelist-json-field=keep", "--status-every=1"),
        f"--destination-nsqd-tcp-address=127.0.0.1:{cluster.nsqd_port}",
    ]
    with ToolRun(forks, "nsq_to_nsq", arguments) as tool:
        eventually(lambda: b'"kept"' in get(cluster.lookupd, "/topics")[1], lambda: tool.err)
        assert tool.stop() == 0
    with ToolRun(forks, "nsq_tail", [cluster.flag, "--topic=kept", "-n=1", "--channel=c"]) as tail:
        assert tail.wait() == 0
        assert tail.out == b'{"keep":1}\n'


class Endpoint:
    """An HTTP server that notes what it was asked, and how much of it at the same time."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, bytes, Mapping[str, str]]] = []
        self.most = self._now = 0
        self._lock = threading.Lock()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            """Answers 200, after a while."""

            def do_GET(self) -> None:
                """Note it."""
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(size)
                with endpoint.asked():
                    time.sleep(0.05)
                endpoint.requests.append((self.command, self.path, body, dict(self.headers)))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_POST = do_GET

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @contextmanager
    def asked(self) -> Iterator[None]:
        """While a request is under way."""
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        yield
        with self._lock:
            self._now -= 1

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """One of them."""
    made = Endpoint()
    yield made
    made.close()


def test_posts(forks: ForkServer, cluster: Cluster, endpoint: Endpoint) -> None:
    """To all addresses, so many at the same time, with headers of our own."""
    for number in range(8):
        cluster.publish("posted", b"%d" % number)
    arguments = [
        *(cluster.flag, "--topic=posted", "--mode=all", "-n=2"),
        *(f"--post={endpoint.url}/a", f"--post={endpoint.url}/b?x=1"),
        *("--content-type=text/plain", "--header=X-Key: a:b"),
    ]
    with ToolRun(forks, "nsq_to_http", arguments) as tool:
        eventually(lambda: len(endpoint.requests) == 16, lambda: tool.err)
        assert tool.stop() == 0
    paths = sorted((path, body) for _, path, body, _ in endpoint.requests)
    assert paths == sorted((p, b"%d" % n) for p in ("/a", "/b?x=1") for n in range(8))
    assert endpoint.most == 2
    headers = endpoint.requests[0][3]
    assert (headers["X-Key"], headers["Content-Type"]) == ("a:b", "text/plain")
    assert headers["User-Agent"] == "nsq_to_http v1.3.0"


def test_gets(forks: ForkServer, cluster: Cluster, endpoint: Endpoint) -> None:
    """The message is in the URL; an unknown mode is said to be one."""
    cluster.publish("got", b"a b")
    arguments = [
        *(cluster.flag, "--topic=got", "--mode=broadcast", f"--get={endpoint.url}/x%20y?m=%s"),
        "--status-every=0",
    ]
    with ToolRun(forks, "nsq_to_http", arguments) as tool:
        eventually(lambda: endpoint.requests, lambda: tool.err)
        assert tool.stop() == 0
        assert "--mode=broadcast is unknown: sending to all addresses" in tool.err
    ((method, path, body, _),) = endpoint.requests
    assert (method, path, body) == ("GET", "/x%20y?m=a+b", b"")


def test_a_closed_output_ends_a_tail(forks: ForkServer, cluster: Cluster) -> None:
    """As behind `| head`; what was not shown is not finished."""
    cluster.publish("piped", b"x")
    reading, writing = os.pipe()
    os.close(reading)
    flags = ["--topic=piped", "--channel=c", f"--nsqd-tcp-address=127.0.0.1:{cluster.nsqd_port}"]
    errors = os.memfd_create("err")
    process = forks.launch("nsqtx.tools.nsq_tail.command", flags, errors, errors, writing)
    os.close(writing)
    try:
        assert process.wait(20) == 1
    finally:
        process.disconnect()
    said = os.pread(errors, 10_000, 0).decode()
    os.close(errors)
    assert "ERROR: failed to write to os.Stdout - [Errno 32] Broken pipe" in said
    stats = get(cluster.nsqd, "/stats?format=json&topic=piped")[1]
    assert json.loads(stats)["topics"][0]["channels"][0]["clients"] == []
    assert b'"finish_count":1' not in stats


def test_a_signal_ends_the_reading_of_a_terminal(forks: ForkServer, cluster: Cluster) -> None:
    """An input that says nothing does not keep to_nsq from ending; what it said is published."""
    reading, writing = os.pipe()
    flags = ["--topic=typed", f"--nsqd-tcp-address=127.0.0.1:{cluster.nsqd_port}"]
    errors = os.memfd_create("err")
    process = forks.launch("nsqtx.tools.to_nsq.command", flags, errors, reading, errors)
    os.close(reading)
    os.write(writing, b"one\ntw")
    try:
        eventually(
            lambda: b'"message_count":1' in get(cluster.nsqd, "/stats?format=json&topic=typed")[1],
            lambda: os.pread(errors, 10_000, 0),
        )
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.disconnect()
    os.close(writing)
    os.close(errors)


def test_nsq_to_file_under_twistd(cluster: Cluster, tmp_path: Path) -> None:
    """The same files; SIGHUP closes them, SIGTERM ends it."""
    cluster.publish("twisted", b"one")
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", TWISTD, "-n", f"--pidfile={tmp_path / 'pid'}", "nsq_to_file"),
            *(cluster.flag, "--topic=twisted", f"--output-dir={tmp_path / 'out'}", "--gzip"),
            "--filename-format=<TOPIC><REV>",
        ],
        cwd=ROOT,
        stderr=subprocess.PIPE,
    )
    try:
        first, second = (tmp_path / "out" / f"twisted-00000{n}.gz" for n in (0, 1))
        eventually(first.exists, lambda: process.poll())
        process.send_signal(signal.SIGHUP)
        eventually(lambda: first.read_bytes().endswith(END), lambda: process.poll())
        cluster.publish("twisted", b"two")
        eventually(second.exists, lambda: process.poll())
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    # Newer versions of twistd end by the signal after all.
    assert process.returncode in (0, -signal.SIGTERM), said
    assert b"INFO: [twisted/nsq_to_file] opening " in said
