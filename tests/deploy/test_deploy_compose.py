"""The cluster for docker compose: command lines, names and ports fit together."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.programs import DAEMONS, options_of

FILE = Path(__file__).parents[2] / "deploy/container/compose.yaml"
SERVICES: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))["services"]


@pytest.mark.parametrize("name", SERVICES)
def test_the_command_line_is_one(name: str) -> None:
    """Every host that it names is a service, with a port that its program listens on."""
    program, *flags = SERVICES[name]["command"]
    options_of(program, flags)
    for host, port in re.findall(r"=([a-z0-9-]+):(\d+)", " ".join(flags)):
        cls, _ = DAEMONS[SERVICES[host]["command"][0]]
        addresses = [getattr(cls(), f"{kind}_address") for kind in ("tcp", "http")]
        assert any(address.endswith(f":{port}") for address in addresses)
        assert host in SERVICES[name]["depends_on"]
    for told in re.findall(r"--broadcast-address=(\S+)", " ".join(flags)):
        assert told == name


@pytest.mark.parametrize("name", SERVICES)
def test_the_health_check_asks_the_right_port(name: str) -> None:
    """That of HTTP, which is nsqd's unless it is said."""
    program = SERVICES[name]["command"][0]
    cls, _ = DAEMONS[program]
    asked = SERVICES[name].get("environment", {}).get("NSQTX_PING", "http://127.0.0.1:4151/ping")
    assert cls().http_address.rpartition(":")[2] == asked.split(":")[2].removesuffix("/ping")


def test_only_this_machine_can_reach_it() -> None:
    """Nsqadmin lets everybody change things here; each port is used once."""
    ports = [port for each in SERVICES.values() for port in each["ports"]]
    assert all(port.startswith("127.0.0.1:") for port in ports)
    outside = [port.split(":")[1] for port in ports]
    assert len(outside) == len(set(outside))


def test_each_nsqd_keeps_its_messages() -> None:
    """On a volume of its own."""
    volumes = [each["volumes"] for each in SERVICES.values() if each["command"][0] == "nsqd"]
    assert len(volumes) == len({str(each) for each in volumes}) == 2
