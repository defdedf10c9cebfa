"""The example for Kubernetes: command lines, names and ports fit together."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from nsqtx.nsqd.http import NsqdApi
from nsqtx.nsqlookupd.http import LookupApi
from tests.support.programs import DAEMONS, options_of

MANIFESTS = Path(__file__).parents[2] / "deploy/kubernetes"
#: What an nsqd, a nsqlookupd answers.
APPS = {"nsqd": NsqdApi.app, "nsqlookupd": LookupApi.app}
NAMES = sorted(path.stem for path in MANIFESTS.glob("*.yaml"))


def objects(name: str) -> list[dict[str, Any]]:
    """What a file declares."""
    return list(yaml.safe_load_all((MANIFESTS / f"{name}.yaml").read_text("utf-8")))


def workload(name: str) -> dict[str, Any]:
    """Its Deployment or StatefulSet."""
    (found,) = [each for each in objects(name) if each["kind"] in ("Deployment", "StatefulSet")]
    return found


def container(name: str) -> dict[str, Any]:
    """The one container of that."""
    (found,) = workload(name)["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_there_is_one_for_each_daemon() -> None:
    """By its name."""
    assert set(NAMES) == set(DAEMONS)


@pytest.mark.parametrize("name", NAMES)
def test_the_command_line_is_one(name: str) -> None:
    """With the values that Kubernetes puts into it; each of them is declared."""
    found = container(name)
    assert found["command"] == [name]
    given = {each["name"] for each in found.get("env", [])}
    text = "\n".join(found["args"])
    assert set(re.findall(r"\$\((\w+)\)", text)) == given
    options_of(name, re.sub(r"\$\(\w+\)", "1", text).splitlines())


@pytest.mark.parametrize("name", NAMES)
def test_ports_are_the_defaults(name: str) -> None:
    """Of containers, and of the services that lead to them."""
    cls, _ = DAEMONS[name]
    ports = {each["name"]: each["containerPort"] for each in container(name)["ports"]}
    for kind, port in ports.items():
        assert getattr(cls(), f"{kind}_address").endswith(f":{port}")
    labels = workload(name)["spec"]["template"]["metadata"]["labels"]
    assert workload(name)["spec"]["selector"]["matchLabels"] == labels
    for each in objects(name):
        if each["kind"] == "Service":
            assert each["spec"]["selector"] == labels
            assert {port["name"]: port["port"] for port in each["spec"]["ports"]} == ports


def test_names_of_pods_are_names() -> None:
    """A StatefulSet names a service without an address of its own, and addresses lead there."""
    texts = " ".join(" ".join(container(name)["args"]) for name in NAMES)
    for name in ("nsqd", "nsqlookupd"):
        service = workload(name)["spec"]["serviceName"]
        services = [each for each in objects(name) if each["kind"] == "Service"]
        (found,) = [each for each in services if each["metadata"]["name"] == service]
        assert found["spec"]["clusterIP"] == "None"
        assert found["spec"]["publishNotReadyAddresses"] is True
        assert f"--broadcast-address=$(POD_NAME).{service}" in container(name)["args"]
    replicas = workload("nsqlookupd")["spec"]["replicas"]
    known = {f"nsqlookupd-{number}.nsqlookupd" for number in range(replicas)}
    assert set(re.findall(r"nsqlookupd-\d+\.\w+", texts)) == known


@pytest.mark.parametrize("name", sorted(APPS))
def test_probes_ask_what_is_answered(name: str) -> None:
    """Each path is an endpoint; liveness of nsqd is not its health."""
    rules = {rule.rule for rule in APPS[name].url_map.iter_rules() if "GET" in (rule.methods or ())}
    found = container(name)
    probes = {key: each["httpGet"]["path"] for key, each in found.items() if key.endswith("Probe")}
    assert set(probes.values()) <= rules
    assert probes["readinessProbe"] == "/ping"
    if name == "nsqd":
        assert probes["livenessProbe"] != "/ping"


@pytest.mark.parametrize("name", NAMES)
def test_nobody_is_root(name: str) -> None:
    """The user of the container file, without privileges, on a file system that stays as it is."""
    pod = workload(name)["spec"]["template"]["spec"]["securityContext"]
    assert (pod["runAsNonRoot"], pod["runAsUser"]) == (True, 10001)
    own = container(name)["securityContext"]
    assert own["allowPrivilegeEscalation"] is False
    assert own["readOnlyRootFilesystem"] is True
