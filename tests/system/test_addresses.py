"""What nsqd can listen on: Unix sockets, IPv6, endpoint strings, sockets it inherits."""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.golden.forked import ForkServer
from tests.support.blockinghttp import get, post
from tests.support.daemon import Daemon, DaemonError, RunningProcess
from tests.support.wireclient import WireClient

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """A process that has imported nsqd and forks it for each test."""
    with ForkServer(tmp_path_factory.mktemp("forks")) as server:
        yield server


def pass_messages(tcp: tuple[str, int] | str, http: tuple[str, int] | str) -> dict[str, Any]:
    """Publish over both listeners and consume that; the ``/stats`` with the consumer in them."""
    with WireClient(tcp) as client:
        client.publish("t", b"by tcp")
        assert post(http, "/pub?topic=t", b"by http") == (200, b"OK")
        client.subscribe("t", "c", ready=2)
        messages = client.read_messages(2)
        assert {message.body for message in messages} == {b"by tcp", b"by http"}
        for message in messages:
            client.finish(message.id)
        status, body = get(http, "/stats?format=json&include_mem=false")
        assert status == 200
        stats: dict[str, Any] = json.loads(body)
        return stats


def remote_address(stats: dict[str, Any]) -> str:
    """How the statistics name the one consumer."""
    ((channel,),) = [topic["channels"] for topic in stats["topics"]]
    (client,) = channel["clients"]
    assert [each["remote_address"] for each in stats["producers"]] == [client["remote_address"]]
    return str(client["remote_address"])


def test_unix_sockets(forks: ForkServer, tmp_path: Path) -> None:
    """Any address that is no host and port is a path; the sockets are gone after a clean stop."""
    tcp, http = str(tmp_path / "t.sock"), str(tmp_path / "h.sock")
    flags = [f"--tcp-address={tcp}", f"--http-address={http}", "--broadcast-tcp-port=4150"]
    with Daemon(tmp_path / "data", *flags, launch=forks.launch) as nsqd:
        nsqd.wait_for_log(rf"INFO: TCP: listening on {re.escape(tcp)}$")
        nsqd.wait_for_log(rf"INFO: HTTP: listening on {re.escape(http)}$")
        assert remote_address(pass_messages(tcp, http)) == "@"
        nsqd.wait_for_log(r"INFO: TCP: new client\(@\)$")
        nsqd.wait_for_log(r"INFO: 200 GET /stats\S* \(@\) ")
        info = json.loads(get(http, "/info")[1])
        assert (info["tcp_port"], info["http_port"]) == (-1, -1)
        # What nsqlookupd is told is what the operator says, since there is nothing to find out.
        assert get(http, "/config/broadcast_tcp_port") == (200, b"4150")
        assert get(http, "/config/broadcast_http_port") == (200, b"0")
        assert stat.S_ISSOCK(os.stat(tcp).st_mode)
        assert nsqd.stop() == 0
        nsqd.wait_for_log(rf"INFO: TCP: closing {re.escape(tcp)}$")
    assert os.listdir(tmp_path) == ["data"]


def test_a_socket_that_a_killed_nsqd_left(forks: ForkServer, tmp_path: Path) -> None:
    """It is not taken over, as with the original; the operator is told which it is."""
    tcp = str(tmp_path / "t.sock")
    data = tmp_path / "data"
    with Daemon(data, f"--tcp-address={tcp}", launch=forks.launch) as nsqd:
        nsqd.kill()
    with pytest.raises(DaemonError) as caught:
        Daemon(data, f"--tcp-address={tcp}", launch=forks.launch)
    assert "(exited with 1)" in str(caught.value)
    assert str(caught.value).endswith(
        f"FATAL: failed to instantiate nsqd - listen ({tcp}) failed - "
        f"listen unix {tcp}: bind: address already in use"
    )
    os.unlink(tcp)
    with Daemon(data, f"--tcp-address={tcp}", launch=forks.launch) as nsqd:
        assert nsqd.stop() == 0


def test_ipv6(forks: ForkServer, tmp_path: Path) -> None:
    """An address in brackets, with the same form in statistics and log."""
    flags = ["--tcp-address=[::1]:0", "--http-address=[::1]:0"]
    with Daemon(tmp_path, *flags, launch=forks.launch) as nsqd:
        tcp, http = ("::1", nsqd.tcp_port), ("::1", nsqd.http_port)
        nsqd.wait_for_log(rf"INFO: TCP: listening on \[::1\]:{nsqd.tcp_port}$")
        remote = remote_address(pass_messages(tcp, http))
        assert re.fullmatch(r"\[::1\]:\d+", remote)
        nsqd.wait_for_log(rf"INFO: TCP: new client\({re.escape(remote)}\)$")
        assert json.loads(get(http, "/info")[1])["tcp_port"] == nsqd.tcp_port
        assert nsqd.stop() == 0


def test_endpoint_strings(forks: ForkServer, tmp_path: Path) -> None:
    """One of Twisted's for each listener, with options of Twisted's."""
    path = str(tmp_path / "h.sock")
    flags = ["--tcp-address=tcp:0:interface=127.0.0.1", f"--http-address=unix:{path}:mode=600"]
    with Daemon(tmp_path / "data", *flags, launch=forks.launch) as nsqd:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert remote_address(pass_messages(nsqd.tcp, path)).startswith("127.0.0.1:")
        assert nsqd.stop() == 0


def test_sockets_of_systemd(tmp_path: Path) -> None:
    """Both listeners, already open when nsqd starts; who connected before is served as well."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        serve_inherited(tmp_path, listeners)


def serve_inherited(tmp_path: Path, listeners: Sequence[socket.socket]) -> None:
    """Hand these sockets to an nsqd, for TCP and HTTP, and pass messages through them."""

    def launch(module: str, arguments: Sequence[str], stderr: int) -> RunningProcess:
        # The descriptors must be 3 and 4, and the id that of the process which they are for.
        code = (
            "import os, sys; os.dup2(int(sys.argv.pop(1)), 3); os.dup2(int(sys.argv.pop(1)), 4); "
            "os.environ.update(LISTEN_FDS='2', LISTEN_FDNAMES='tcp:http'); "
            "os.environ['LISTEN_PID'] = str(os.getpid()); "
            f"from {module} import main; sys.exit(main())"
        )
        descriptors = [listener.fileno() for listener in listeners]
        assert min(descriptors) > 4
        return subprocess.Popen(
            [sys.executable, "-c", code, *map(str, descriptors), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            cwd=ROOT,
            pass_fds=descriptors,
            start_new_session=True,
        )

    tcp, http = (listener.getsockname() for listener in listeners)
    with WireClient(tcp) as early:
        names = ("tcp", "http")
        flags = [f"--{name}-address=systemd:domain=INET:name={name}" for name in names]
        with Daemon(tmp_path, *flags, launch=launch) as nsqd:
            for listener in listeners:
                listener.close()
            assert (nsqd.tcp_port, nsqd.http_port) == (tcp[1], http[1])
            early.publish("other", b"m")
            stats = pass_messages(tcp, http)
            assert {each["topic_name"] for each in stats["topics"]} == {"other", "t"}
            assert nsqd.stop() == 0
