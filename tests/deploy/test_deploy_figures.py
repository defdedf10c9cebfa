"""Dashboard and alert rules: every figure that they name is exposed, with the labels they use."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.expositions import client_registry, lookupd_exposition, nsqd_exposition

ROOT = Path(__file__).parents[2]
FIGURE = re.compile(r"\b((?:nsqd|nsqlookupd|nsqtx_client|process|python)_[a-z0-9_]+)(\{[^}]*\})?")
#: What Prometheus adds by itself.
ADDED = {"instance", "job"}


def exposed() -> dict[str, set[str]]:
    """The labels of each figure of daemons and of the client, by its name."""
    found: dict[str, set[str]] = {}
    daemons = [each.registry for each in (nsqd_exposition(), lookupd_exposition())]
    for registry in (*daemons, client_registry()):
        text = generate_latest(registry).decode()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found.setdefault(sample.name, set(ADDED)).update(sample.labels)
            if not family.samples:
                # A counter of clients that nobody has yet.
                found.setdefault(family.name, set(ADDED))
    return found


def rules() -> list[dict[str, Any]]:
    """All alert rules."""
    document = yaml.safe_load((ROOT / "deploy/prometheus/nsq.rules.yaml").read_text("utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def dashboard() -> Any:
    """The dashboard as Grafana imports it."""
    return json.loads((ROOT / "deploy/grafana/nsq.json").read_text("utf-8"))


def expressions() -> Iterator[str]:
    """What Prometheus is asked."""
    for rule in rules():
        yield rule["expr"]
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            yield target["expr"]
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["definition"]


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_figures_are_there(expression: str) -> None:
    """By their full names, with the labels that are asked for."""
    known = exposed()
    named = FIGURE.findall(expression)
    assert named
    grouped = re.search(r"by \(([^)]*)\)", expression)
    groups = {label.strip() for label in grouped[1].split(",")} if grouped else set()
    for figure, matchers in named:
        assert figure in known, figure
        labels = set(re.findall(r"(\w+)=", matchers)) | groups
        assert labels <= known[figure]


def test_alerts_say_what_is_wrong_and_how_bad_it_is() -> None:
    """Each has a name of its own, a severity and a summary."""
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    for rule in rules():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"]["summary"]


def test_the_alerts_of_the_document_are_among_the_rules() -> None:
    """What doc/operations.md finds worth an alert has one, in the same words."""
    document = (ROOT / "doc/operations.md").read_text("utf-8")
    _, _, rest = document.partition("\n| alert | why |\n")
    rows = rest.partition("\n\n")[0].splitlines()[1:]
    worth = {re.findall("`(.*?)`", row)[0] for row in rows}
    assert worth
    assert worth <= {rule["expr"] for rule in rules()}


def test_panels_have_a_place_of_their_own() -> None:
    """No two overlap, and none reaches over the edge."""
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells
    identifiers = [panel["id"] for panel in dashboard()["panels"]]
    assert len(identifiers) == len(set(identifiers))
