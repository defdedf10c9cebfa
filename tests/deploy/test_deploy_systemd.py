"""The units for systemd, and a daemon that is started as they would."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from nsqtx.options import read_file
from tests.support.blockinghttp import get
from tests.support.daemon import Daemon, Launch, RunningProcess, run_in_process
from tests.support.programs import DAEMONS, options_of
from tests.support.units import UNITS, arguments, unit
from tests.support.wireclient import WireClient

#: Of daemons; the one of a tool is a template.
SERVICES = sorted(path.stem for path in UNITS.glob("*.service") if "@" not in path.stem)


def test_there_is_a_unit_for_each_daemon() -> None:
    """By its name."""
    assert set(SERVICES) == set(DAEMONS)


@pytest.mark.parametrize("name", SERVICES)
def test_the_command_line_is_one(name: str) -> None:
    """The daemon would start with its flags and the file that lies beside the unit."""
    program = shlex.split(unit(f"{name}.service")["Service"]["ExecStart"])[0]
    assert Path(program).name == name
    cls, start_error = DAEMONS[name]
    file = read_file(cls, str(UNITS / f"{name}.toml"))
    options = options_of(name, arguments(name), file)
    assert options.config == f"/etc/nsq/{name}.toml"
    if name == "nsqadmin":
        # It looks addresses up, and those of an example there are none.
        options.lookupd_http_address = ["127.0.0.1:4161"]
    assert start_error(options) is None


@pytest.mark.parametrize("name", SERVICES)
def test_sockets_are_those_of_the_units(name: str) -> None:
    """The service takes over each socket by the name that its unit gives it, on NSQ's port."""
    found = re.findall(
        r"--(\w+)-address=systemd:domain=INET6:name=(\S+)", " ".join(arguments(name))
    )
    service = unit(f"{name}.service")
    wanted = [f"{socket_name}.socket" for _, socket_name in found]
    assert service["Service"]["Sockets"].split() == wanted
    assert service["Unit"]["Requires"].split() == wanted
    cls, _ = DAEMONS[name]
    for kind, socket_name in found:
        described = unit(f"{socket_name}.socket")["Socket"]
        assert described["FileDescriptorName"] == socket_name
        assert described["Service"] == f"{name}.service"
        default = getattr(cls(), f"{kind}_address")
        assert default.endswith(":" + described["ListenStream"])


@pytest.mark.parametrize("name", [*SERVICES, "nsq_to_file@"])
def test_systemd_waits_until_it_is_told(name: str) -> None:
    """Readiness and watchdog are those of `nsqtx.notify`."""
    service = unit(f"{name}.service")["Service"]
    assert service["NotifyAccess"] == "main"
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) >= 30
    assert service["User"] == "nsq"


@pytest.mark.packaging
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    """Its own check has no complaint, once there is a program to start."""
    for path in UNITS.glob("*.s*"):
        text = re.sub("/opt/nsqtx/bin/[a-z_]+", "/bin/true", path.read_text(encoding="utf-8"))
        # A template is verified as the unit of somebody.
        (tmp_path / path.name.replace("@", "@topic")).write_text(text, encoding="utf-8")
    units = [str(path) for path in sorted(tmp_path.iterdir())]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.packaging
@pytest.mark.parametrize("path", sorted(UNITS.glob("*.service")), ids=lambda path: str(path.stem))
def test_systemd_finds_the_services_well_locked_in(path: Path) -> None:
    """Its score of what a broken service could do is below 2 of 10 ("OK")."""
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20"]
    done = subprocess.run([*command, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"exposure level for .*: [01]\.\d OK", done.stdout)


#: Takes over the descriptors that follow, as 3 and onwards, and becomes the command behind them.
BECOME = """
import os, sys
count = int(sys.argv[1])
kept = [os.dup2(int(each), 100 + place) for place, each in enumerate(sys.argv[2:2 + count])]
for place, each in enumerate(kept):
    os.dup2(each, 3 + place)
    os.close(each)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2 + count], sys.argv[2 + count:])
"""


@contextlib.contextmanager
def held_sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[list[socket.socket], Launch]]:
    """The sockets of nsqd.service, as systemd holds them, and how it starts who takes them over."""
    service = unit("nsqd.service")["Service"]
    names = [name.removesuffix(".socket") for name in service["Sockets"].split()]
    monkeypatch.setenv("LISTEN_FDS", "2")
    monkeypatch.setenv("LISTEN_FDNAMES", ":".join(names))
    with contextlib.ExitStack() as stack:
        listeners = [
            stack.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6))
            for _ in names
        ]

        def launch(module: str, flags: Sequence[str], stderr: int) -> RunningProcess:
            given = [each.fileno() for each in listeners]
            before = [sys.executable, "-c", BECOME, "2", *map(str, given)]
            return run_in_process(module, flags, stderr, before, pass_fds=given)

        yield listeners, launch


def test_nsqd_runs_as_the_unit_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes over two sockets, says when it is ready, that it turns, and that it stops."""
    systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with systemd, held_sockets(monkeypatch) as (listeners, launch):
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(45)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "400000")
        flags = [flag for flag in arguments("nsqd") if "address" in flag]
        with Daemon(tmp_path / "data", *flags, launch=launch) as nsqd:
            assert systemd.recv(100) == b"READY=1"
            assert systemd.recv(100) == b"WATCHDOG=1"
            assert systemd.recv(100) == b"WATCHDOG=1"
            assert nsqd.http_port == listeners[1].getsockname()[1]
            assert get(("::1", nsqd.http_port), "/ping") == (200, b"OK")
            assert nsqd.stop() == 0
        said = [systemd.recv(100)]
        while said[-1] != b"STOPPING=1":
            said.append(systemd.recv(100))
        assert set(said) <= {b"WATCHDOG=1", b"STOPPING=1"}


def test_clients_wait_while_nsqd_restarts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who connects while there is no nsqd is not refused: the next one answers."""
    flags = [flag for flag in arguments("nsqd") if "address" in flag]
    with held_sockets(monkeypatch) as (listeners, launch):
        address = ("::1", listeners[0].getsockname()[1])
        with Daemon(tmp_path / "data", *flags, launch=launch) as nsqd:
            with WireClient(address) as client:
                client.publish("t", b"before")
            assert nsqd.stop() == 0
        with WireClient(address) as client:
            client.send(b"SUB t c\nPUB t\n\0\0\0\6behindRDY 10\n")
            with Daemon(tmp_path / "data", *flags, launch=launch):
                client.expect()
                client.expect()
                bodies = {message.body for message in client.read_messages(2)}
                assert bodies == {b"before", b"behind"}


def test_twistd_says_it_too(tmp_path: Path) -> None:
    """Ready when it listens, stopping at the signal."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(45)
        code = "from twisted.scripts.twistd import run; run()"
        addresses = ["--tcp-address=127.0.0.1:0", "--http-address=127.0.0.1:0"]
        process = subprocess.Popen(
            [sys.executable, "-c", code, "-n", "--pidfile=", "nsqlookupd", *addresses],
            env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")},
            cwd=UNITS.parents[1],
            stderr=subprocess.DEVNULL,
        )
        with process:
            assert systemd.recv(100) == b"READY=1"
            process.terminate()
            assert systemd.recv(100) == b"STOPPING=1"
