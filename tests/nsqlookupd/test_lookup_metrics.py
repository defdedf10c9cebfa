"""nsqlookupd at /metrics."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from tests.nsqlookupd.test_lookup_http import Api


def figures(api: Api) -> dict[str, float]:
    """What is told of the registry: by name, with the value of a label behind it."""
    asked = api.ask("/metrics")
    while not asked.transport.value():
        api.clock.advance(0)
    (answer,) = asked.answers()
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        " ".join([sample.name.removeprefix("nsqlookupd_"), *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if family.name.startswith("nsqlookupd_") and "lag" not in family.name
    }


def test_the_figures_are_those_of_the_registry() -> None:
    """As it is when they are asked for."""
    api = Api()
    api.producer("a", "t/c", "t/d")
    api.clock.advance(301)
    api.producer("b", "t/c", "u")
    api.ask(f"/lookup?topic=t&wait=30&index={api.index('t')}")
    found = figures(api)
    assert found["producers active"] == 1
    assert found["producers inactive"] == 1
    assert (found["topics"], found["channels"], found["registrations"]) == (2, 2, 6)
    assert found["changes_total"] == 5
    assert found["waiting"] == 1
    assert found["connections"] == 0
    assert found["uptime_seconds"] == 301


def test_deleted_names_are_counted_no_more() -> None:
    """Nor are their registrations."""
    api = Api()
    api.producer("a", "t/c", "u/c")
    api.post("/topic/delete?topic=t")
    found = figures(api)
    assert (found["topics"], found["channels"], found["registrations"]) == (1, 1, 2)
