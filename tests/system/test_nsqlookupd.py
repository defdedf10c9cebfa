"""nsqlookupd as a process: signals, twistd, waiting clients at a stop, and bad input."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.golden.forked import ForkServer
from tests.support.blockinghttp import get, post
from tests.support.daemon import Daemon, DaemonError, RunningProcess
from tests.support.v1client import V1Client

TWISTD = "from twisted.scripts.twistd import run; run()"


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """A process that has imported nsqlookupd and forks it when it is wanted."""
    with ForkServer(tmp_path_factory.mktemp("forks")) as server:
        yield server


@pytest.fixture(scope="module")
def lookupd(forks: ForkServer) -> Iterator[Daemon]:
    """One nsqlookupd for all that do not end it."""
    with Daemon(None, program="nsqlookupd", launch=forks.launch) as daemon:
        yield daemon


def texts(log: str) -> list[str]:
    """What lines say, without prefix and time."""
    return [re.sub(r"^\[nsqlookupd\] \S+ \S+ ", "", line) for line in log.splitlines()]


def run_twistd(module: str, arguments: Sequence[str], stderr: int) -> RunningProcess:
    """Start nsqlookupd as ``twistd -n nsqlookupd``."""
    assert module == "nsqtx.nsqlookupd.tap"
    return subprocess.Popen(
        [sys.executable, "-c", TWISTD, "-n", "--pidfile=", "nsqlookupd", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=stderr,
        stderr=stderr,
        cwd=Path(__file__).parents[2],
        start_new_session=True,
    )


def test_a_signal_ends_it_whoever_is_connected(forks: ForkServer) -> None:
    """Exit code 0; who waits for news is answered, an nsqd is closed without a word."""
    with Daemon(None, program="nsqlookupd", launch=forks.launch) as daemon:
        waiting = http.client.HTTPConnection(*daemon.http, timeout=10)
        with V1Client(daemon.tcp) as nsqd, closing(waiting):
            nsqd.identify()
            nsqd.register("t")
            waiting.request("GET", "/lookup?topic=t&wait=0")
            answer = waiting.getresponse()
            answer.read()
            index = answer.headers["X-Nsqtx-Index"]
            waiting.request("GET", f"/lookup?topic=t&wait=30&index={index}")
            assert get(daemon.http, "/ping") == (200, b"OK")
            assert daemon.stop(signal.SIGINT) == 0
            answer = waiting.getresponse()
            assert answer.status == 200
            assert len(json.loads(answer.read())["producers"]) == 1
            nsqd.expect_closed()
        said = texts(daemon.log)
    assert said[0].startswith("INFO: nsqlookupd v1.3.0 (built w/nsqtx-")
    assert said[1:3] == [
        f"INFO: TCP: listening on 127.0.0.1:{daemon.tcp_port}",
        f"INFO: HTTP: listening on 127.0.0.1:{daemon.http_port}",
    ]
    assert f"INFO: TCP: closing 127.0.0.1:{daemon.tcp_port}" in said
    assert f"INFO: HTTP: closing 127.0.0.1:{daemon.http_port}" in said
    assert "Traceback" not in daemon.log


def test_twistd_runs_the_same_nsqlookupd() -> None:
    """The plugin is found, and the log lines are nsqlookupd's alone."""
    with Daemon(None, program="nsqlookupd", launch=run_twistd) as daemon:
        with V1Client(daemon.tcp) as nsqd:
            assert nsqd.identify()["http_port"] == daemon.http_port
        assert get(daemon.http, "/topics") == (200, b'{"topics":[]}')
        # Twistd ends itself by the signal that it got, when all is stopped.
        assert daemon.stop() == -signal.SIGTERM
    assert all(line.startswith("[nsqlookupd] ") for line in daemon.log.splitlines()), daemon.log


def test_both_ports_or_none(forks: ForkServer, lookupd: Daemon) -> None:
    """An HTTP address that is taken: exit code 1, and the reason."""
    with pytest.raises(DaemonError, match=r"exited with 1(?s:.)*address already in use") as caught:
        Daemon(
            None,
            f"--http-address=127.0.0.1:{lookupd.http_port}",
            program="nsqlookupd",
            launch=forks.launch,
        )
    assert "FATAL: failed to instantiate nsqlookupd - listen (" in str(caught.value)
    assert "listening on" not in str(caught.value).partition("\n")[2]


CODES = (b"E_INVALID", b"E_BAD_TOPIC", b"E_BAD_CHANNEL", b"E_BAD_BODY", b"E_BAD_PROTOCOL")
WORDS = st.sampled_from(
    [b"PING", b"IDENTIFY", b"REGISTER", b"UNREGISTER", b"REGISTER t c", b"UNREGISTER t", b"", b"x"]
)
NAMES = st.sampled_from([b"", b"t", b"a:b", b"x" * 65, b"e#ephemeral", b"\xff", b"*"])
LINES = st.builds(
    lambda word, params: b" ".join([word, *params]) + b"\n", WORDS, st.lists(NAMES, max_size=3)
)
PEER = json.dumps(
    {"broadcast_address": "b", "tcp_port": 1, "http_port": 2, "version": "1.3.0"}
).encode()
BODIES = st.one_of(
    st.just(b"IDENTIFY\n" + struct.pack(">i", len(PEER)) + PEER),
    st.builds(
        lambda size, body: b"IDENTIFY\n" + struct.pack(">i", size) + body,
        st.sampled_from([-1, -(2**31), 2**31 - 1, 0, 5, 65537]),
        st.binary(max_size=20),
    ),
)
STREAMS = st.lists(st.one_of(LINES, BODIES, st.binary(max_size=50)), max_size=10).map(b"".join)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=STREAMS)
def test_random_commands_get_an_error_or_a_clean_close(lookupd: Daemon, data: bytes) -> None:
    """Whatever comes: answers, at most one error of the specification, and the end."""
    with V1Client(lookupd.tcp) as client:
        client.send(data)
        client.socket.shutdown(socket.SHUT_WR)
        answers = client.read_to_end()
    errors = [answer for answer in answers if answer.startswith(b"E_")]
    assert all(error.startswith(CODES) for error in errors), errors
    assert len(errors) <= 1
    assert errors == answers[-1:] or not errors


TARGETS = st.builds(
    lambda path, query: path + query,
    st.sampled_from(["/lookup", "/channels", "/topic/delete", "/topic/tombstone", "/debug", "/x"]),
    st.one_of(
        st.sampled_from(["", "?topic=*", "?topic=*&node=b:2", "?topic=%zz", "?topic=t&wait=x"]),
        st.binary(min_size=1, max_size=20).map(lambda name: "?topic=%" + name.hex("%")),
    ),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(method=st.sampled_from(["GET", "POST", "HEAD", "PUT"]), target=TARGETS)
def test_random_requests_get_an_answer(lookupd: Daemon, method: str, target: str) -> None:
    """One of the specification's, never that of a bug."""
    with closing(http.client.HTTPConnection(*lookupd.http, timeout=10)) as connection:
        connection.request(method, target)
        assert connection.getresponse().status in (200, 400, 404, 405)


def test_after_all_that_it_works(lookupd: Daemon) -> None:
    """Nothing is left of what was refused, and there was no bug."""
    assert post(lookupd.http, "/topic/delete?topic=*")[0] == 200
    with V1Client(lookupd.tcp) as nsqd:
        nsqd.identify()
        nsqd.register("t", "c")
        assert get(lookupd.http, "/topics") == (200, b'{"topics":["t"]}')
        producers = json.loads(get(lookupd.http, "/nodes")[1])["producers"]
        assert [each["remote_address"] for each in producers] == [nsqd.local_address]
    assert "Traceback" not in lookupd.log
