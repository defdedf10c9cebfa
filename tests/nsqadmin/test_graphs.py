"""Images of graphite on the pages of nsqadmin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from nsqtx.nsqadmin.graphs import Graph, Graphs
from nsqtx.nsqadmin.options import NsqadminOptions
from nsqtx.nsqadmin.rows import Latency
from tests.support.adminpages import Admin, Browser, elements

NewAdmin = Callable[..., Admin]


def graphs(base: str = "", **options: Any) -> Graphs:
    """Of these options."""
    made = Graphs.of(NsqadminOptions(**{"graphite_url": "http://g:8080/g/", **options}), base)
    assert made is not None
    return made


def targets(graph: Graph) -> list[str]:
    """What graphite is asked for."""
    return parse_qs(urlsplit(graph.url).query)["target"]


def test_a_topic() -> None:
    """A gauge and a counter, which becomes a rate; names are as statsd leaves them."""
    depth, messages = graphs().topic("a b#ephemeral", [], "12h")
    assert depth.url.startswith("http://g:8080/g/render?target=")
    assert targets(depth) == [
        'summarize(sumSeries(stats.gauges.nsq.*.topic.a_bephemeral.depth),"60sec","avg")'
    ]
    assert targets(messages) == [
        "summarize(scale(sumSeries(stats.counters.nsq.*.topic.a_bephemeral.message_count.count),"
        '0.0167),"60sec","avg")'
    ]
    assert "from=-12h" in depth.url
    assert "colorList=red" in depth.url


def test_a_channel() -> None:
    """Seven figures, and a line for each percentile."""
    found = graphs().channel("t", "c", [Latency(0.99, 0, 0, 0, 0), Latency(0.5, 0, 0, 0, 0)], "1h")
    assert len(found) == 8
    key = "topic.t.channel.c.e2e_processing_latency"
    assert targets(found[7]) == [
        f'summarize(scale(stats.gauges.averageSeries(nsq.*.{key}_{each}),0.000001),"60sec","avg")'
        for each in (99, 50)
    ]


def test_a_node() -> None:
    """Its memory, under its address."""
    found = graphs().node("10.0.0.1:4151", "1h")
    assert targets(found[0]) == [
        'summarize(stats.gauges.nsq.10_0_0_1_4151.mem.*_bytes,"60sec","avg")'
    ]
    assert (
        "stats.counters.movingAverage(nsq.10_0_0_1_4151.mem.gc_runs,45).count"
        in (targets(found[2])[0])
    )


def test_names_as_the_options_say() -> None:
    """Without a format nothing is renamed; a prefix with a dot gets no second one."""
    formats = {"statsd_counter_format": "", "statsd_gauge_format": ""}
    made = graphs(statsd_prefix="q.%s.", statsd_interval=10**10, **formats)
    depth, _ = made.topic("t", [], "1h")
    assert targets(depth) == ['summarize(sumSeries(q.*.topic.t.depth),"10sec","avg")']
    assert targets(made.counter("1h")[0]) == [
        'summarize(scale(sumSeries(q.*.topic.*.channel.*.message_count),0.1000),"10sec","avg")'
    ]


@pytest.mark.parametrize(
    ("options", "start"),
    [
        ({"proxy_graphite": True}, "/adm/render?"),
        ({"graphite_url": "https://u:secret@g"}, "https://g/render?"),
    ],
)
def test_where_graphite_is(options: dict[str, Any], start: str) -> None:
    """Behind us if we hand requests on, under the base path; browsers learn no password."""
    graph = graphs("/adm", **options).counter("1h")[0]
    assert graph.url.startswith(start)
    assert "secret" not in graph.url


def test_without_graphite() -> None:
    """There is none."""
    assert Graphs.of(NsqadminOptions(), "") is None


@pytest.mark.parametrize(
    ("target", "count"),
    [
        ("/topics/orders", 2),
        ("/topics/orders/billing", 7),
        ("/nodes/10.0.0.1:4151", 4),
        ("/counter", 1),
    ],
)
def test_pages_show_them(new_admin: NewAdmin, target: str, count: int) -> None:
    """For the time that is chosen, or not at all."""
    admin = new_admin()
    browser = Browser(admin)
    assert not elements(browser.get(target)).named("img")
    admin.pages.graphs = graphs()
    images = elements(browser.get(target)).named("img")
    assert len(images) == count
    assert all("from=-2h" in each["src"] and each["alt"] for each in images)
    images = elements(browser.get(target + "?t=168h")).named("img")
    assert all("from=-168h" in each["src"] for each in images)
    page = elements(browser.get(target + "?t=off"))
    assert not page.named("img")
    assert page.links()["24h"] == "?t=24h#graphs"
    assert "from=-2h" in browser.get(target + "?t=1000y").text
