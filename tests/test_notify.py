"""What systemd is told, over a real datagram socket, by a clock that the test owns."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from nsqtx.notify import Notify
from tests.support.logged import Logged

PID = 4711


class Systemd:
    """The other end: a socket, and the environment of a service that it started."""

    def __init__(self, address: str | bytes, name: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)
        self.environment = {"NOTIFY_SOCKET": name}

    def heard(self) -> list[bytes]:
        """What came since it was asked last."""
        states = []
        while True:
            try:
                states.append(self.socket.recv(4096))
            except BlockingIOError:
                return states


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    """One that listens on a path."""
    path = str(tmp_path / "notify")
    systemd = Systemd(path, path)
    yield systemd
    systemd.socket.close()


def test_ready_and_stopping_are_said(systemd: Systemd) -> None:
    """Each in a datagram of its own, and nothing in between without a watchdog."""
    clock = Clock()
    notify = Notify(clock, systemd.environment, PID)
    assert systemd.heard() == []
    notify.ready()
    assert systemd.heard() == [b"READY=1"]
    clock.advance(3600)
    notify.stopping()
    assert systemd.heard() == [b"STOPPING=1"]


def test_an_abstract_socket_is_one_too() -> None:
    """Its name begins with @ in the environment, with a zero byte in the kernel."""
    systemd = Systemd(f"\0nsqtx-{id(object())}", "")
    systemd.environment["NOTIFY_SOCKET"] = "@" + systemd.socket.getsockname()[1:].decode()
    Notify(Clock(), systemd.environment, PID).ready()
    assert systemd.heard() == [b"READY=1"]
    systemd.socket.close()


@pytest.mark.parametrize("for_whom", [{}, {"WATCHDOG_PID": str(PID)}])
def test_the_watchdog_hears_of_a_reactor_that_turns(
    systemd: Systemd, for_whom: dict[str, str]
) -> None:
    """Twice in its interval, from the start to the stop; not while the clock stands still."""
    clock = Clock()
    environment = {**systemd.environment, **for_whom, "WATCHDOG_USEC": "10000000"}
    notify = Notify(clock, environment, PID)
    clock.advance(20)
    assert systemd.heard() == [], "it is not there yet"
    notify.ready()
    assert systemd.heard() == [b"READY=1", b"WATCHDOG=1"]
    assert systemd.heard() == []
    for _ in range(3):
        clock.advance(5)
        assert systemd.heard() == [b"WATCHDOG=1"]
    notify.stopping()
    assert systemd.heard() == [b"STOPPING=1"]
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    "watchdog",
    [
        {"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "0"},
    ],
)
def test_a_watchdog_of_others_is_left_alone(systemd: Systemd, watchdog: dict[str, str]) -> None:
    """One that is meant for another process, or says nothing that can be understood."""
    clock = Clock()
    Notify(clock, {**systemd.environment, **watchdog}, PID).ready()
    assert systemd.heard() == [b"READY=1"]
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize("name", ["", "@", "vsock:2:1234", "relative"])
def test_nothing_is_said_where_nobody_asked(name: str) -> None:
    """Outside of systemd, or by an address that is no Unix socket: no timer, no complaint."""
    clock = Clock()
    with Logged() as logged:
        notify = Notify(clock, {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000000"}, PID)
        notify.ready()
        notify.stopping()
    assert clock.getDelayedCalls() == []
    assert logged.lines == []


def test_a_socket_that_is_gone_is_complained_of_once(tmp_path: Path) -> None:
    """The daemon goes on."""
    clock = Clock()
    gone = {"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "1000000"}
    with Logged() as logged:
        notify = Notify(clock, gone, PID)
        notify.ready()
        clock.advance(0.5)
        notify.stopping()
    assert len(logged.lines) == 1
    assert "No such file" in logged.lines[0]
