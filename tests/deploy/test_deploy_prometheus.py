"""Alert rules and dashboard as a real Prometheus understands them, of running daemons and clients.

What each alert is silent about, and when it fires, is in ``nsq.rules.test.yaml`` beside this file.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml

from tests.support.blockinghttp import post
from tests.support.daemon import Daemon
from tests.support.prometheus import Prometheus, promtool
from tests.support.waiting import eventually
from tests.support.wireclient import WireClient

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/nsq.rules.yaml"
UNIT_TESTS = ROOT / "tests/deploy/nsq.rules.test.yaml"
#: Alerts about something that is not there: as long as all is well they have nothing to compare.
OF_THE_ABSENT = {"NsqdGone", "NsqdInstanceGone"}
#: A comparison with a number, or with what a number is the factor of.
COMPARISON = re.compile(r" (?:[<>]|==) [\d.]+")

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(120)]


def alert_rules() -> list[dict[str, Any]]:
    """All of them."""
    document = yaml.safe_load(RULES.read_text("utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def test_promtool_understands_the_rules() -> None:
    """All of them."""
    assert f"SUCCESS: {len(alert_rules())} rules found" in promtool("check", "rules", str(RULES))


def test_alerts_fire_when_they_should_and_no_sooner() -> None:
    """The unit tests hold, and there is one for each alert: one that fires, and a silence."""
    assert "SUCCESS" in promtool("test", "rules", str(UNIT_TESTS))
    seen: dict[str, set[bool]] = {}
    for group in yaml.safe_load(UNIT_TESTS.read_text("utf-8"))["tests"]:
        for test in group["alert_rule_test"]:
            seen.setdefault(test["alertname"], set()).add(bool(test["exp_alerts"]))
    assert seen == {rule["alert"]: {True, False} for rule in alert_rules()}


@attrs.define
class Scraped:
    """What runs, and who watches it."""

    prometheus: Prometheus
    nsqd: Daemon
    spare: Daemon


def work(address: tuple[str, int], stop: threading.Event) -> None:
    """A consumer that finishes, requeues, or forgets what it gets, as the body says."""
    with WireClient(address, timeout=60) as consumer:
        consumer.subscribe("orders", "billing", ready=100)
        while not stop.is_set():
            try:
                message = consumer.read_message(0.2)
            except TimeoutError:
                continue
            if message.body == b"requeue":
                consumer.requeue(message.id)
            elif message.body != b"forget":
                consumer.finish(message.id)


def publish(address: tuple[str, int], stop: threading.Event) -> None:
    """A little of everything, ten times a second."""
    with WireClient(address) as publisher:
        while not stop.wait(0.1):
            publisher.publish_many("orders", [b"finish", b"requeue", b"forget", b"finish"])
            publisher.publish_deferred("orders", 60_000, b"later")
            publisher.publish("unread", b"finish")


@contextlib.contextmanager
def measured_client(nsqd: Daemon, log: Path) -> Iterator[str]:
    """The address of the figures of a program with a Reader and Writers, which logs to a file."""
    address = f"127.0.0.1:{nsqd.tcp_port}"
    command = [sys.executable, "-m", "tests.support.measuredclient", address, "orders", "mail"]
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            assert port, log.read_text("utf-8")
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """A cluster with traffic that was scraped some times."""
    path = tmp_path_factory.mktemp("scraped")
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        lookupd = stack.enter_context(Daemon(None, program="nsqlookupd"))
        flags = [
            "--broadcast-address=127.0.0.1",
            f"--lookupd-tcp-address=127.0.0.1:{lookupd.tcp_port}",
            "--max-attempts=2",
            "--msg-timeout=1s",
            "--sync-timeout=200ms",
        ]
        nsqd, spare = (
            stack.enter_context(Daemon(path / name, f"--node-id={number}", *flags))
            for number, name in enumerate(["nsqd", "spare"])
        )
        assert post(nsqd.http, "/topic/create?topic=orders")[0] == 200
        for channel in ("billing", "mail", "archive"):
            assert post(nsqd.http, f"/channel/create?topic=orders&channel={channel}")[0] == 200
        client = stack.enter_context(measured_client(nsqd, path / "client.log"))
        threads = [threading.Thread(target=each, args=(nsqd.tcp, stop)) for each in (work, publish)]
        for thread in threads:
            thread.start()
            stack.callback(thread.join)
        stack.callback(stop.set)
        jobs = {
            "nsqd": [f"127.0.0.1:{each.http_port}" for each in (nsqd, spare)],
            "nsqlookupd": [f"127.0.0.1:{lookupd.http_port}"],
            "client": [client],
        }
        prometheus = stack.enter_context(Prometheus(path, jobs, RULES))

        def scraped_often() -> bool:
            counts = prometheus.query("count_over_time(up[1m]) and up == 1")
            often = [each for each in counts if int(each["value"][1]) >= 8]
            return len(often) == 4 and bool(
                prometheus.query("increase(nsqd_channel_dead_letters_total[1h]) > 1")
            )

        eventually(scraped_often, lambda: prometheus.query("count_over_time(up[1m])"), 60)
        yield Scraped(prometheus, nsqd, spare)


def test_prometheus_takes_the_rules(scraped: Scraped) -> None:
    """Each was evaluated, without an error."""
    eventually(lambda: all(rule["health"] == "ok" for rule in scraped.prometheus.rules()))
    assert sorted(rule["name"] for rule in scraped.prometheus.rules()) == sorted(
        rule["alert"] for rule in alert_rules()
    )


@pytest.mark.parametrize("alert", [rule["alert"] for rule in alert_rules()])
def test_there_is_something_to_compare(scraped: Scraped, alert: str) -> None:
    """What an alert looks at is there: its labels fit each other, with any number to compare by."""
    (expression,) = [rule["expr"] for rule in alert_rules() if rule["alert"] == alert]
    if alert in OF_THE_ABSENT:
        assert scraped.prometheus.query(expression) == []
        return
    vacuous, count = COMPARISON.subn(" >= bool 0", expression)
    assert count
    assert scraped.prometheus.query(vacuous), vacuous


def test_an_alert_fires(scraped: Scraped) -> None:
    """The one for dead letters, which the traffic has, in its words; nobody is told of worse."""
    eventually(lambda: any(each["state"] == "firing" for each in scraped.prometheus.alerts()))
    firing = [each for each in scraped.prometheus.alerts() if each["state"] == "firing"]
    (found,) = [each for each in firing if each["labels"].get("channel") == "billing"]
    instance = f"127.0.0.1:{scraped.nsqd.http_port}"
    assert found["labels"]["alertname"] == "NsqdDeadLetters"
    assert found["annotations"]["summary"] == (
        f"orders/billing on {instance} has messages that nobody can deal with"
    )
    assert {each["labels"]["severity"] for each in firing} == {"warning"}


def dashboard() -> Any:
    """The dashboard as Grafana imports it."""
    return json.loads((ROOT / "deploy/grafana/nsq.json").read_text("utf-8"))


def targets() -> list[tuple[str, str, str]]:
    """Panel, expression and legend of all that the dashboard asks for."""
    return [
        (panel["title"], target["expr"], target.get("legendFormat", ""))
        for panel in dashboard()["panels"]
        for target in panel.get("targets", [])
    ]


def with_values(prometheus: Prometheus, expression: str) -> str:
    """An expression as Grafana sends it: All is each value of a variable, joined as a pattern."""
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"])
            assert found is not None
            values = prometheus.label_values(*found.groups())
            assert values, variable["name"]
            # In a string of PromQL a backslash is two.
            pattern = "|".join(re.escape(value) for value in values).replace("\\", "\\\\")
            expression = expression.replace(f"${variable['name']}", f"({pattern})")
    expression = expression.replace("$__rate_interval", "20s")
    assert "$" not in expression
    return expression


@pytest.mark.parametrize(("title", "expression", "legend"), targets())
def test_panels_have_something_to_show(
    scraped: Scraped, title: str, expression: str, legend: str
) -> None:
    """Of a cluster with traffic, with the labels that the legend names, and numbers."""
    asked = with_values(scraped.prometheus, expression)
    found: list[dict[str, Any]] = []

    def numbers() -> bool:
        found[:] = scraped.prometheus.query(asked)
        return any(each["value"][1] != "NaN" for each in found)

    eventually(numbers, lambda: f"{title}: {asked}: {found}", 10)
    labels = set(re.findall(r"{{(\w+)}}", legend))
    for each in found:
        assert labels <= each["metric"].keys()


def test_an_nsqd_that_goes_is_missed(scraped: Scraped) -> None:
    """And not the other one."""
    (rule,) = [rule for rule in alert_rules() if rule["alert"] == "NsqdInstanceGone"]
    assert scraped.spare.stop() == 0
    eventually(lambda: scraped.prometheus.query(rule["expr"]))
    (gone,) = scraped.prometheus.query(rule["expr"])
    assert gone["metric"]["instance"] == f"127.0.0.1:{scraped.spare.http_port}"
    assert scraped.prometheus.query("absent(nsqd_uptime_seconds)") == []
