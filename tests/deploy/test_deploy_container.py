"""The container file, and the check that it runs in its container."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.golden.forked import ForkServer
from tests.support.daemon import Daemon
from tests.support.programs import DAEMONS

ROOT = Path(__file__).parents[2]
INSTRUCTIONS = {
    "FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "VOLUME", "EXPOSE", "HEALTHCHECK",
    "STOPSIGNAL", "CMD",
}  # fmt: skip


def instructions() -> Iterator[tuple[str, str]]:
    """Each instruction of the container file and what stands behind it."""
    text = (ROOT / "deploy/container/Containerfile").read_text(encoding="utf-8")
    text = re.sub("^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    for line in text.splitlines():
        if line.strip():
            name, _, rest = line.partition(" ")
            yield name, rest.strip()


def of(name: str) -> list[str]:
    """What the instructions of a kind say, in the last stage."""
    found = list(instructions())
    last = max(place for place, (kind, _) in enumerate(found) if kind == "FROM")
    return [rest for kind, rest in found[last:] if kind == name]


def test_it_is_made_of_instructions() -> None:
    """None is misspelt, and what is copied from the checkout is there."""
    for name, rest in instructions():
        assert name in INSTRUCTIONS
        if name == "COPY" and not rest.startswith("--from"):
            *sources, _ = rest.split()
            assert all((ROOT / source).exists() for source in sources)


def test_a_shell_understands_what_is_run() -> None:
    """Each command of the build."""
    commands = [rest for name, rest in instructions() if name == "RUN"]
    assert commands
    for each in commands:
        subprocess.run(["sh", "-n", "-c", each], check=True)


def test_it_runs_as_nobody_in_particular() -> None:
    """By a number, which Kubernetes can tell from root; on a volume, with a health check."""
    assert of("USER") == ["10001"]
    assert of("VOLUME") == of("WORKDIR") == ["/data"]
    (check,) = of("HEALTHCHECK")
    assert json.loads(check.partition("CMD ")[2]) == ["python", "/opt/nsqtx/ping.py"]
    assert json.loads(of("CMD")[0]) == ["nsqd"]


def test_the_ports_are_those_of_the_daemons() -> None:
    """Each default address is exposed; 4170 is what old installations of nsqadmin use."""
    (ports,) = of("EXPOSE")
    defaults = {
        getattr(cls(), name).rpartition(":")[2]
        for cls, _ in DAEMONS.values()
        for name in ("tcp_address", "http_address", "https_address")
        if hasattr(cls(), name)
    }
    assert defaults <= set(ports.split())


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """A process that has imported nsqd and forks it for each test."""
    with ForkServer(tmp_path_factory.mktemp("forks")) as server:
        yield server


def ping(port: int) -> int:
    """The exit code of the check."""
    script = ROOT / "deploy/container/ping.py"
    environment = {"NSQTX_PING": f"http://127.0.0.1:{port}/ping"}
    command = [sys.executable, "-I", str(script)]
    return subprocess.run(command, env=environment, capture_output=True, timeout=20).returncode


def test_the_check_asks_the_daemon(forks: ForkServer, tmp_path: Path) -> None:
    """It is content as long as nsqd answers, and not when it is gone."""
    with Daemon(tmp_path, launch=forks.launch) as nsqd:
        assert ping(nsqd.http_port) == 0
        nsqd.stop()
        assert ping(nsqd.http_port) == 1
