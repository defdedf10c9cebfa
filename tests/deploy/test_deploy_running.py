"""What runs by the units and by logrotate: with systemd's own socket activation, a tool, a log."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import pytest

from nsqtx.options import read_flags, read_options
from nsqtx.tools.nsq_to_file.options import NsqToFileOptions, start_error
from tests.support.blockinghttp import get, post
from tests.support.daemon import Daemon, RunningProcess, run_in_process
from tests.support.units import UNITS, arguments, unit
from tests.support.waiting import eventually
from tests.support.wireclient import WireClient

LOGROTATE = UNITS.parent / "logrotate/nsqd"
TWISTD = "from twisted.scripts.twistd import run; run()"

#: A process under strace, or the work of several processes, on a machine that does much else.
pytestmark = pytest.mark.timeout(120)


def free_ports(count: int) -> list[int]:
    """Ports of ::1 that nobody has, below those that the kernel gives to who asks for any."""
    free: list[int] = []
    for port in Random().sample(range(10_000, 30_000), 100):
        with (
            contextlib.suppress(OSError),
            socket.create_server(("::1", port), family=socket.AF_INET6),
        ):
            free.append(port)
        if len(free) == count:
            break
    return free


@pytest.mark.packaging
def test_systemd_starts_nsqd_when_somebody_connects(tmp_path: Path) -> None:
    """The first client of a socket starts nsqd, by systemd's hand, and is served."""
    tcp, http = free_ports(2)
    sockets = unit("nsqd.service")["Service"]["Sockets"].split()
    names = [name.removesuffix(".socket") for name in sockets]
    data = tmp_path / "data"
    data.mkdir()
    flags = [flag for flag in arguments("nsqd") if "address" in flag]
    main = "import sys; from nsqtx.nsqd.tap import main; sys.exit(main())"
    log = tmp_path / "log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [
                "systemd-socket-activate",
                f"--listen=[::1]:{tcp}",
                f"--listen=[::1]:{http}",
                f"--fdname={':'.join(names)}",
                *(sys.executable, "-c", main, *flags, f"--data-path={data}"),
            ],
            cwd=UNITS.parents[1],
            stderr=errors,
        )
    try:
        eventually(lambda: log.read_text().count("Listening on") == 2, log.read_text)
        assert not list(data.iterdir()), "it runs before anybody wants it"
        with WireClient(("::1", tcp), timeout=45) as client:
            client.publish("t", b"x")
        status, body = get(("::1", http), "/stats?format=json&topic=t")
        assert status == 200
        assert b'"message_count":1' in body
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


def nsq_to_file_flags(topic: str, options: str) -> list[str]:
    """The command line of the template for a topic, as systemd makes it."""
    line = " ".join(shlex.quote(each) for each in arguments("nsq_to_file@"))
    line = line.replace("'$NSQ_TO_FILE_OPTIONS'", options).replace("%i", topic)
    assert not re.search("[%$]", line)
    return shlex.split(line)


def test_the_unit_of_nsq_to_file_has_a_command_line() -> None:
    """With the options of the file beside it, the tool would start."""
    (line,) = re.findall("(?m)^NSQ_TO_FILE_OPTIONS=(.*)$", (UNITS / "nsq_to_file.env").read_text())
    flags = nsq_to_file_flags("api_requests", line)
    options = read_options(NsqToFileOptions, read_flags(NsqToFileOptions, flags), {})
    assert start_error(options) is None
    assert options.topic == ["api_requests"]
    service = unit("nsq_to_file@.service")["Service"]
    assert service["EnvironmentFile"] == "/etc/nsq/nsq_to_file.env"
    assert [f"/var/lib/{each}" for each in service["StateDirectory"].split()] == [
        "/var/lib/nsq_to_file/%i/unfinished",
        "/var/lib/nsq_to_file/%i/finished",
    ]


def test_nsq_to_file_runs_as_the_unit_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ready, turns, finishes its file when it is reloaded, and stops when it is told to."""
    systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with systemd, Daemon(tmp_path / "data") as nsqd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(45)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "400000")
        source = f"--nsqd-tcp-address=127.0.0.1:{nsqd.tcp_port} --channel=archive"
        flags = [
            flag.replace("/var/lib", str(tmp_path)) for flag in nsq_to_file_flags("orders", source)
        ]
        finished = tmp_path / "nsq_to_file/orders/finished"
        for directory in (finished, finished.with_name("unfinished")):
            directory.mkdir(parents=True)
        log = tmp_path / "log"
        with log.open("wb") as errors:
            tool = run_in_process("nsqtx.tools.nsq_to_file.tap", flags, errors.fileno())
        try:
            assert systemd.recv(100) == b"READY=1"
            assert systemd.recv(100) == b"WATCHDOG=1"
            assert post(nsqd.http, "/mpub?topic=orders", b"one\ntwo")[0] == 200

            def reloaded() -> bool:
                # SIGHUP, which is a reload, closes what has been written by then.
                tool.send_signal(signal.SIGHUP)
                files = [path.read_text() for path in finished.iterdir()]
                return sorted("".join(files).splitlines()) == ["one", "two"]

            eventually(reloaded, log.read_text)
            tool.send_signal(signal.SIGTERM)
            assert tool.wait(20) == 0
        finally:
            tool.send_signal(signal.SIGKILL)
            tool.wait(20)
        said = [systemd.recv(100)]
        while said[-1] != b"STOPPING=1":
            said.append(systemd.recv(100))


def allowed_calls(program: str) -> set[str]:
    """The system calls that a unit lets through, by systemd's own lists."""
    groups: dict[str, set[str]] = {}
    text = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    name = ""
    for line in text.splitlines():
        if line.startswith("@"):
            name = line.strip()
            groups[name] = set()
        elif line.startswith("    ") and not line.strip().startswith("#"):
            groups[name].add(line.strip())

    def calls(group: str) -> set[str]:
        found: set[str] = set()
        for each in groups[group]:
            found |= calls(each) if each.startswith("@") else {each}
        return found

    lines = (UNITS / f"{program}.service").read_text()
    allowed: set[str] = set()
    for value in re.findall("(?m)^SystemCallFilter=(.*)$", lines):
        named = set().union(*map(calls, value.removeprefix("~").split()))
        allowed = allowed - named if value.startswith("~") else allowed | named
    return allowed


def work_with(nsqd: Daemon) -> None:
    """A publish, a consumer, requests, syncs, a topic that goes."""
    with WireClient(nsqd.tcp) as client:
        client.identify(deflate=False)
        client.subscribe("t", "c")
        client.publish_many("t", [b"x", b"y"])
        client.ready(10)
        client.finish_all(client.read_messages(2))
    assert get(nsqd.http, "/stats")[0] == 200
    assert get(nsqd.http, "/metrics")[0] == 200
    assert post(nsqd.http, "/topic/delete?topic=t")[0] == 200


#: Flags of a daemon, what is done with it, and some system calls that it makes then.
RUNS: dict[str, tuple[list[str], Callable[[Daemon], object], set[str]]] = {
    "nsqd": (["--durability=fsync"], work_with, {"epoll_wait", "accept4", "fdatasync"}),
    "nsqlookupd": ([], lambda nsqlookupd: get(nsqlookupd.http, "/metrics"), {"accept4"}),
    "nsqadmin": (
        ["--lookupd-http-address=127.0.0.1:1"],
        lambda nsqadmin: get(nsqadmin.http, "/nodes"),
        {"accept4", "connect"},
    ),
}


@pytest.mark.packaging
@pytest.mark.parametrize("program", RUNS)
def test_no_system_call_that_the_unit_forbids_is_needed(program: str, tmp_path: Path) -> None:
    """From the start to the stop, with work between them, seen by strace."""
    strace = shutil.which("strace") or pytest.fail("apt-get install strace")
    trace = tmp_path / "trace"
    flags, work, expected = RUNS[program]

    def launch(module: str, flags: Sequence[str], stderr: int) -> RunningProcess:
        before = [strace, "-f", "-qq", "-o", str(trace), "--"]
        return run_in_process(module, flags, stderr, before)

    data = tmp_path / "data" if program == "nsqd" else None
    with Daemon(data, *flags, program=program, launch=launch) as daemon:
        work(daemon)
        os.kill(int(trace.read_text().split(maxsplit=1)[0]), signal.SIGTERM)
        assert daemon.wait(20) == 0
    used = set(re.findall(r"(?m)^\d+ +([a-z0-9_]+)\(", trace.read_text()))
    assert {"execve", *expected} <= used
    assert used - allowed_calls(program) == set()


@pytest.mark.packaging
def test_logrotate_takes_no_line(tmp_path: Path) -> None:
    """By its file, run by logrotate itself twice: nsqd writes on in a new one, and none is lost."""
    log, pid = tmp_path / "nsqd.log", tmp_path / "nsqd.pid"
    text = LOGROTATE.read_text().replace("/var/log/nsq/nsqd.log", str(log))
    text = text.replace("/run/nsq/nsqd.pid", str(pid)).replace("su nsq nsq", "su root root")
    configuration = tmp_path / "logrotate.conf"
    configuration.write_text(text)
    configuration.chmod(0o644)
    data = tmp_path / "data"
    data.mkdir()
    addresses = ["--tcp-address=127.0.0.1:0", "--http-address=127.0.0.1:0"]
    command = ["-n", f"--logfile={log}", f"--pidfile={pid}", "nsqd", f"--data-path={data}"]
    process = subprocess.Popen(
        [sys.executable, "-c", TWISTD, *command, *addresses], cwd=UNITS.parents[1]
    )
    try:
        eventually(lambda: log.exists() and "HTTP: listening on" in log.read_text())
        (port,) = re.findall(r"HTTP: listening on 127\.0\.0\.1:(\d+)", log.read_text())
        for number in range(3):
            for each in range(20):
                target = f"/topic/create?topic=t{number}_{each}"
                assert post(("127.0.0.1", int(port)), target)[0] == 200
            if number < 2:
                state = f"--state={tmp_path / 'state'}"
                subprocess.run(["logrotate", "--force", state, str(configuration)], check=True)
                eventually(lambda: log.exists() and "SIGHUP" in log.read_text())
    finally:
        # twistd ends by the signal that it got, after a clean stop.
        process.terminate()
        process.wait(20)
    assert "NSQ: bye" in log.read_text()
    assert (tmp_path / "nsqd.log.2.gz").exists()
    unpacked = subprocess.run(
        ["zcat", str(tmp_path / "nsqd.log.2.gz")], check=True, capture_output=True, text=True
    ).stdout
    files = [unpacked, (tmp_path / "nsqd.log.1").read_text(), log.read_text()]
    wanted = [f"TOPIC(t{number}_{each}): created" for number in range(3) for each in range(20)]
    for number, part in enumerate(files):
        found = re.findall(r"TOPIC\(t\d_\d+\): created", part)
        assert found == wanted[20 * number : 20 * (number + 1)]
