"""Several hosts on one machine: in network namespaces, or, with less to break, on loopback.

`NamespaceNetwork` needs root and iproute2: a namespace for each host, and one for the switch that
connects them, whose cables can be cut. `LoopbackNetwork` has the same interface; its hosts differ
by the port, and there is no cable to cut.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Sequence
from typing import Protocol

from tests.support.daemon import Launch, RunningProcess, run_in_process

__all__ = ["Host", "LoopbackNetwork", "NamespaceNetwork", "Network"]


class Host(Protocol):
    """A machine of a test: an address, and a way to start programs on it."""

    name: str
    address: str

    def port(self, number: int) -> int:
        """The port to use here for what usually listens on ``number``."""

    def launch(self, module: str, arguments: Sequence[str], stderr: int) -> RunningProcess:
        """Start the main() of a module; see `tests.support.daemon.Launch`."""


class Network(Protocol):
    """All hosts of a test."""

    def host(self, name: str) -> Host:
        """A new host."""

    def close(self) -> None:
        """Take everything down. Programs must have been ended."""


class LoopbackHost:
    """All of them are this machine; each has ports of its own."""

    address = "127.0.0.1"

    def __init__(self, name: str, launch: Launch) -> None:
        self.name = name
        self._launch = launch
        self._ports: dict[int, int] = {}

    def port(self, number: int) -> int:
        if number not in self._ports:
            with socket.create_server((self.address, 0)) as server:
                self._ports[number] = server.getsockname()[1]
        return self._ports[number]

    def launch(self, module: str, arguments: Sequence[str], stderr: int) -> RunningProcess:
        return self._launch(module, arguments, stderr)


class LoopbackNetwork:
    """Hosts that are only ports."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch

    def host(self, name: str) -> LoopbackHost:
        return LoopbackHost(name, self._launch)

    def close(self) -> None:
        """There is nothing to take down."""


def _ip(*words: str) -> None:
    finished = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, f"ip {' '.join(words)}: {finished.stderr}"


class NamespaceHost:
    """A network namespace with one interface."""

    def __init__(self, name: str, namespace: str, address: str) -> None:
        self.name = name
        self.namespace = namespace
        self.address = address

    def port(self, number: int) -> int:
        return number

    def launch(self, module: str, arguments: Sequence[str], stderr: int) -> RunningProcess:
        return run_in_process(
            module, arguments, stderr, before=("ip", "netns", "exec", self.namespace)
        )


class NamespaceNetwork:
    """Hosts at 10.77.0.x, the first at .10, and this process with them as 10.77.0.1.

    Without ``uplink`` this process is not among them.
    """

    def __init__(self, subnet: str = "10.77.0", uplink: bool = True) -> None:
        self._subnet = subnet
        self._prefix = f"nsqtx{os.getpid()}"
        self._switch = f"{self._prefix}-switch"
        self._names: list[str] = []
        self._uplink = f"nx{os.getpid()}"
        _ip("netns", "add", self._switch)
        try:
            _ip("-n", self._switch, "link", "add", "br0", "type", "bridge")
            _ip("-n", self._switch, "link", "set", "br0", "up")
            if uplink:
                self._cable(self._uplink, "uplink", None, f"{subnet}.1")
        except BaseException:
            self.close()
            raise

    def _cable(self, end: str, plug: str, namespace: str | None, address: str) -> None:
        """Connect an interface ``end`` to the switch, where it is called ``plug``."""
        _ip("link", "add", end, "type", "veth", "peer", "name", plug, "netns", self._switch)
        inside: tuple[str, ...] = ()
        if namespace is not None:
            _ip("link", "set", end, "netns", namespace)
            inside = ("-n", namespace)
            _ip(*inside, "link", "set", "lo", "up")
        _ip(*inside, "addr", "add", f"{address}/24", "dev", end)
        _ip(*inside, "link", "set", end, "up")
        _ip("-n", self._switch, "link", "set", plug, "master", "br0", "up")

    def host(self, name: str) -> NamespaceHost:
        namespace = f"{self._prefix}-{name}"
        address = f"{self._subnet}.{10 + len(self._names)}"
        _ip("netns", "add", namespace)
        self._names.append(namespace)
        # An interface is called the same on its way through the root namespace: be unique there.
        self._cable(f"{self._uplink}h{len(self._names)}", name, namespace, address)
        return NamespaceHost(name, namespace, address)

    def cut(self, host: Host) -> None:
        """Pull the cable: packets are lost without a word."""
        _ip("-n", self._switch, "link", "set", host.name, "down")

    def heal(self, host: Host) -> None:
        """Put it back."""
        _ip("-n", self._switch, "link", "set", host.name, "up")

    def close(self) -> None:
        for namespace in [*self._names, self._switch]:
            with contextlib.suppress(AssertionError):
                _ip("netns", "del", namespace)
        self._names = []
