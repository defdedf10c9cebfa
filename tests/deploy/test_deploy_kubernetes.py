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
        address = f"--broadcast-address=$(POD_NAME).{service}.$(POD_NAMESPACE).svc"
        assert address in container(name)["args"]
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
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert workload(name)["spec"]["template"]["spec"]["automountServiceAccountToken"] is False


@pytest.mark.parametrize("name", NAMES)
def test_it_asks_for_what_it_needs(name: str) -> None:
    """The scheduler knows cpu and memory; memory has a limit, with room above what is asked for."""
    resources = container(name)["resources"]
    units = {"Mi": 2**20, "Gi": 2**30}
    asked, most = (
        int(text[:-2]) * units[text[-2:]]
        for text in (resources["requests"]["memory"], resources["limits"]["memory"])
    )
    assert resources["requests"]["cpu"]
    assert 2 * asked <= most


@pytest.mark.parametrize("name", ["nsqd", "nsqlookupd"])
def test_machines_are_emptied_one_pod_at_a_time(name: str) -> None:
    """A PodDisruptionBudget sees to that; and the pods would rather not share a machine."""
    (budget,) = [each for each in objects(name) if each["kind"] == "PodDisruptionBudget"]
    selector = workload(name)["spec"]["selector"]
    assert budget["spec"] == {"maxUnavailable": 1, "selector": selector}
    affinity = workload(name)["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"]
    (rule,) = affinity["preferredDuringSchedulingIgnoredDuringExecution"]
    assert rule["podAffinityTerm"]["labelSelector"] == selector


def test_nsqd_keeps_its_messages() -> None:
    """On a volume of each pod's own, where the user may write; it has time to stop."""
    (claim,) = workload("nsqd")["spec"]["volumeClaimTemplates"]
    (mount,) = container("nsqd")["volumeMounts"]
    assert mount["name"] == claim["metadata"]["name"]
    assert f"--data-path={mount['mountPath']}" in container("nsqd")["args"]
    pod = workload("nsqd")["spec"]["template"]["spec"]
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsUser"]
    assert pod["terminationGracePeriodSeconds"] >= 30


@pytest.mark.packaging
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("version", ["1.28", "latest"])
def test_kubernetes_understands_the_objects(name: str, version: str) -> None:
    """By its own schemas, without a key that they do not have."""
    import kubernetes_validate

    asked = kubernetes_validate.latest_version() if version == "latest" else version
    for each in objects(name):
        assert kubernetes_validate.validate(each, asked, strict=True)


@pytest.mark.packaging
def test_the_schemas_are_strict() -> None:
    """A key that is misspelt is found, in a pod as well, and a value of the wrong type."""
    import kubernetes_validate

    asked = kubernetes_validate.latest_version()
    changes: list[dict[str, Any]] = [{"readinesProbe": {}}, {"ports": "4150"}, {"args": [1]}]
    for change in changes:
        broken = workload("nsqd")
        broken["spec"]["template"]["spec"]["containers"][0].update(change)
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(broken, asked, strict=True)
