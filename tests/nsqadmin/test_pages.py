"""What the pages of nsqadmin show, as HTML that is taken apart."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

import pytest

from nsqtx.nsqadmin.rows import ClientRow, Figures, Latency, Snapshot, TopicRow
from tests.support.adminpages import NOW, Admin, Browser, elements, many, small

NewAdmin = Callable[..., Admin]
ALL = (
    "/",
    "/topics",
    "/topics/orders",
    "/topics/orders/billing",
    "/nodes",
    "/nodes/10.0.0.1:4151",
    "/counter",
    "/lookup",
    "/peek?topic=orders&channel=billing",
    "/action?do=delete&topic=orders",
    "/topics/nothing",
)


def client(**more: object) -> ClientRow:
    """A consumer of ``billing`` on the first node."""
    fields = {
        "node": "10.0.0.1:4151",
        "topic": "orders",
        "channel": "billing",
        "client_id": "worker",
        "hostname": "worker.example",
        "remote_address": "10.9.9.9:5000",
        "user_agent": "nsqtx/0.1",
        "connect_ts": int(NOW) - 3700,
        "ready": 25,
        **more,
    }
    return ClientRow(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("target", ALL)
def test_a_page_can_be_read_by_everybody(new_admin: NewAdmin, target: str) -> None:
    """One h1, landmarks, a way past the header; tables have captions, fields have labels."""
    page = elements(Browser(new_admin()).get(target))
    assert page.first("html")["lang"] == "en"
    assert len(page.named("h1")) == 1
    assert [len(page.named(each)) for each in ("header", "main", "footer")] == [1, 1, 1]
    skip = page.first("a")
    assert (skip["href"], page.first("main")["id"]) == ("#main", "main")
    for table in page.named("table"):
        captions = [each for each in page.named("caption") if each.inside(table)]
        assert captions or table.get("aria-labelledby")
    for field in [*page.named("input"), *page.named("select")]:
        labelled = any(parent.name == "label" for parent in field.parents)
        assert labelled or field["type"] == "hidden"
    for svg in page.named("svg"):
        assert svg.get("aria-hidden") == "true" or svg["aria-label"]
    ids = [each["id"] for each in page.all if "id" in each.attributes]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("target", ALL)
def test_a_page_needs_nothing_that_its_policy_forbids(new_admin: NewAdmin, target: str) -> None:
    """No script and no style in it, no handlers, nothing from elsewhere."""
    page = elements(Browser(new_admin()).get(target))
    assert not page.named("style")
    for each in page.all:
        assert not [name for name in each.attributes if name == "style" or name.startswith("on")]
        assert each.get("src", "/").startswith("/")
    (script,) = page.named("script")
    assert script.text == ""


def test_topics(new_admin: NewAdmin) -> None:
    """Depth, backlog, in flight, clients: of all nodes together, and on the first page."""
    page = elements(Browser(new_admin()).get("/"))
    rows = page.rows()
    assert rows[0][:7] == [
        "Topic", "Depth", "Backlog", "In flight", "Deferred", "Msg/s", "Messages",
    ]  # fmt: skip
    assert rows[1][:10] == ["events paused", "7", "0", "0", "0", "–", "0", "0", "0", "1"]
    assert rows[2][:10] == ["orders", "2", "1,240", "12", "0", "–", "2,000", "2", "8", "2"]
    assert page.links()["orders"] == "/topics/orders"


def test_rates(new_admin: NewAdmin) -> None:
    """They come with the second poll; an nsqd that began anew counts from zero."""
    admin = new_admin()
    later = small()
    later.at += 5
    later.topics["orders"].nodes["10.0.0.1:4151"].messages = 1050
    later.topics["orders"].nodes["10.0.0.2:4151"].messages = 100
    admin.cluster.snapshot = lambda: later
    admin.clock.advance(5)
    row = elements(Browser(admin).get("/")).rows()[2]
    assert row[5] == "30"
    assert elements(Browser(admin).get("/topics/orders")).rows()[1][3] == "10"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?sort=-backlog", ["orders", "events"]),
        ("?sort=name", ["events", "orders"]),
        ("?sort=-name", ["orders", "events"]),
        ("?sort=-depth", ["events", "orders"]),
        ("?q=ORD", ["orders"]),
        ("?q=%25", []),
        ("?sort=nonsense&per=-3&page=x", ["events", "orders"]),
        ("?page=99999", ["events", "orders"]),
    ],
)
def test_sorting_and_filtering(new_admin: NewAdmin, query: str, names: list[str]) -> None:
    """As the URL says; what makes no sense in it is passed over."""
    page = elements(Browser(new_admin()).get("/" + query))
    rows = [each for each in page.named("tr") if each.get("id")]
    assert [row["id"][2:] for row in rows] == names


def test_columns_say_how_they_are_sorted(new_admin: NewAdmin) -> None:
    """In aria-sort, and their links turn the order round."""
    page = elements(Browser(new_admin()).get("/?sort=-backlog&q=o"))
    sorts = {each.text.strip(): each.get("aria-sort") for each in page.named("th")}
    assert sorts["Backlog"] == "descending"
    assert sorts["Topic"] == "none"
    assert page.links()["Backlog"] == "?q=o&sort=backlog"
    assert page.links()["Topic"] == "?q=o"


def test_a_large_cluster_is_cut_into_pages(new_admin: NewAdmin) -> None:
    """A hundred topics each, with links to the others; and the top ten of all."""
    browser = Browser(new_admin(lambda: many(250, 1, 1)))
    page = elements(browser.get("/?page=2&sort=-depth"))
    rows = [each["id"] for each in page.named("tr") if each.get("id")]
    assert (rows[0], len(rows)) == ("t-topic149", 100)
    assert page.links()["Next"] == "?sort=-depth&page=3"
    assert page.links()["Previous"] == "?sort=-depth"
    top = elements(browser.get("/" + page.links()["backlog"]))
    assert len([each for each in top.named("tr") if each.get("id")]) == 10


def test_thousands_of_topics_are_fast(new_admin: NewAdmin) -> None:
    """2,000 topics with 2 channels on 3 nodes: the first page takes well under 500 ms."""
    browser = Browser(new_admin(lambda: many(2000, 2, 3)))
    began = process_time()
    assert browser.get("/").status == 200
    assert process_time() - began < 0.4


def test_a_topic(new_admin: NewAdmin) -> None:
    """Its queue on each node and in all, its channels, what can be done."""
    page = elements(Browser(new_admin()).get("/topics/orders"))
    rows = page.rows()
    assert rows[1][:6] == ["host1:4151 10.0.0.1:4151", "1", "1 + 0", "–", "1,000", "2"]
    assert rows[2][0] == "host2:4151 10.0.0.2:4151 tombstoned"
    assert rows[3][:6] == ["Total", "2", "2 + 0", "–", "2,000", "2"]
    assert rows[5][:6] == ["billing", "1,200", "1,000 + 200", "6", "0", "0"]
    links = page.links()
    assert links["Pause"] == "/action?do=pause&topic=orders"
    assert links["Tombstone 10.0.0.1:4151"].endswith("topic=orders&node=10.0.0.1%3A4151")
    figures = {each.text for each in page.named("figcaption")}
    assert figures == {"Waiting at most 1.24k", "Messages a second nothing known yet"}


def test_a_paused_topic_can_be_unpaused(new_admin: NewAdmin) -> None:
    """And says that it has no channels."""
    page = elements(Browser(new_admin()).get("/topics/events"))
    assert "Unpause" in page.links()
    assert "There are no channels yet." in page.first("main").text


def test_a_topic_that_nobody_has(new_admin: NewAdmin) -> None:
    """It is listed, because nsqlookupd knows it, and can be deleted."""

    def snapshot() -> Snapshot:
        made = small()
        made.topics["old"] = TopicRow("old")
        return made

    browser = Browser(new_admin(snapshot))
    assert elements(browser.get("/")).rows()[2][0] == "old inactive"
    page = elements(browser.get("/topics/old"))
    assert "No nsqd has this topic." in page.first("main").text
    links = page.links()
    assert ("Delete" in links, "Pause" in links) == (True, False)


def test_latencies_and_delivery(new_admin: NewAdmin) -> None:
    """Percentiles are weighted by messages; deliveries are shown by how far they went."""

    def snapshot() -> Snapshot:
        made = small()
        billing = made.topics["orders"].channels["billing"]
        first, second = billing.nodes.values()
        first.latencies = [Latency(0.999, 2e6, 2e6, 2e6, 30)]
        second.latencies = [Latency(0.999, 6e6, 6e6, 6e6, 10)]
        first.zone_local, first.region_local, first.elsewhere = 1, 1, 2
        return made

    page = elements(Browser(new_admin(snapshot)).get("/topics/orders/billing"))
    rows = page.rows()
    assert rows[0][-1] == "99th"
    assert [row[-1] for row in rows[1:4]] == ["2ms", "6ms", "3ms"]
    bars = [each["aria-label"] for each in page.named("svg") if each.get("class") == "shares"]
    assert bars[0] == "zone 25.00%, region 25.00%, elsewhere 50.00%"


def test_a_channel_and_its_clients(new_admin: NewAdmin) -> None:
    """Who they are, what was negotiated, how near they are."""
    admin = new_admin()
    admin.cluster.clients = [
        client(tls=True, tls_text="TLS 1.3", snappy=True, sample_rate=20, near="zone", zone="z"),
        client(client_id="worker.example", authed=True, auth_identity="ann"),
    ]
    page = elements(Browser(admin).get("/topics/orders/billing"))
    rows = page.rows()[5:]
    assert rows[0] == [
        "worker.example:5000", "nsqtx/0.1", "Sampled 20% TLS Snappy z",
        "host1:4151 10.0.0.1:4151", "0", "25", "0", "0", "0", "1h 1m",
    ]  # fmt: skip
    assert rows[1][2] == "ann"
    (row,) = [each for each in page.named("tr") if each.get("class") == "near-zone"]
    assert row
    assert admin.cluster.asked[-1] == "channel orders billing"


def test_clients_that_cannot_be_had(new_admin: NewAdmin) -> None:
    """The rest of the page is there."""
    admin = new_admin()
    admin.cluster.refusal = "no <answer>"
    page = elements(Browser(admin).get("/topics/orders/billing"))
    assert "no <answer>" in page.first("main").text
    assert page.rows()[1][1] == "600"


def test_nodes(new_admin: NewAdmin) -> None:
    """Where they are, who knows them, what they have."""
    page = elements(Browser(new_admin()).get("/nodes"))
    assert page.rows()[1] == [
        "host1", "10.0.0.1:4151", "4150", "1.3.0", "–", "1 of 2lookup1:4161/10.0.0.1:5000",
        "628", "–", "4", "2 topics orders events",
    ]  # fmt: skip
    tags = [each for each in page.named("a") if each.get("class") == "tag warn"]
    assert [(each.text, each["title"]) for each in tags] == [("orders", "tombstoned on this node")]


def test_a_node(new_admin: NewAdmin) -> None:
    """Topics, their channels there, and their clients."""
    admin = new_admin()
    admin.cluster.clients = [client()]
    page = elements(Browser(admin).get("/nodes/10.0.0.1:4151"))
    firsts = [row[0] for row in page.rows()[1:]]
    worker = "worker.example:5000 nsqtx/0.1"
    assert firsts == ["events paused", "no channels", "orders", "billing", worker, "mail"]


def test_the_counter(new_admin: NewAdmin) -> None:
    """What all channels got; the script counts on from there."""
    (number,) = [
        each
        for each in elements(Browser(new_admin()).get("/counter")).named("p")
        if each.get("class") == "counter"
    ]
    assert (number.text, number["data-count"]) == ("3,600", "3600")


def test_lookup(new_admin: NewAdmin) -> None:
    """What nobody has can be deleted, and topics can be made."""
    admin = new_admin()
    page = elements(Browser(admin).get("/lookup"))
    assert [row[:2] for row in page.rows()[1:]] == [["old", "a"], ["", "b"], ["bare", "–"]]
    assert page.links()["Delete channel b of old"] == "/action?do=delete&topic=old&channel=b"
    assert page.links()["Delete topic bare"] == "/action?do=delete&topic=bare"
    assert {each.get("name") for each in page.named("input")} == {"do", "topic", "channel"}
    admin.cluster.lookups = []
    assert "asks nsqd directly" in elements(Browser(admin).get("/lookup")).first("main").text


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("/topics/nothing", "No nsqd has the topic nothing."),
        ("/topics/nothing/channel", "No nsqd has the topic nothing."),
        ("/topics/orders/nothing", "No nsqd has a channel nothing of the topic orders."),
        ("/nodes/nowhere", "There is no node nowhere."),
        ("/peek?topic=nothing", "There is no such topic or channel."),
    ],
)
def test_what_is_not_there(new_admin: NewAdmin, target: str, reason: str) -> None:
    """404, said on a page."""
    answer = Browser(new_admin()).get(target)
    assert answer.status == 404
    assert reason in elements(answer).first("main").text


def test_a_cluster_that_never_answered(new_admin: NewAdmin) -> None:
    """502 with the reason, until it does."""
    admin = new_admin()
    admin.cluster.down = "nobody <there>"
    admin.poller.snapshot = None
    admin.clock.advance(5)
    answer = Browser(admin).get("/")
    assert answer.status == 502
    assert "nobody <there>" in elements(answer).first("main").text


def test_a_cluster_that_stopped_answering(new_admin: NewAdmin) -> None:
    """What was known is shown, and that it is old."""
    admin = new_admin()
    admin.cluster.down = "nobody there"
    admin.clock.advance(5)
    answer = Browser(admin).get("/")
    assert answer.status == 200
    text = elements(answer).first("main").text
    assert "The cluster does not answer." in text
    assert "What you see is from 2023-11-14 22:13:20 UTC" in text
    admin.cluster.down = ""
    admin.clock.advance(5)
    assert "does not answer" not in Browser(admin).get("/").text


def test_warnings_are_shown(new_admin: NewAdmin) -> None:
    """Some answered, some did not."""

    def snapshot() -> Snapshot:
        made = small()
        made.warnings = ["host3 is <down>"]
        return made

    assert "host3 is <down>" in elements(Browser(new_admin(snapshot)).get("/")).first("main").text


def test_an_empty_cluster(new_admin: NewAdmin) -> None:
    """There is nothing, and that is said."""
    browser = Browser(new_admin(lambda: Snapshot(NOW)))
    assert "No topics found." in browser.get("/").text
    assert "No nodes found." in browser.get("/nodes").text
    assert browser.get("/counter").status == 200


def test_names_with_a_hash(new_admin: NewAdmin) -> None:
    """Links to ephemeral topics lead there."""

    def snapshot() -> Snapshot:
        made = small()
        made.topics["t#ephemeral"] = TopicRow("t#ephemeral", nodes={"10.0.0.1:4151": Figures()})
        return made

    browser = Browser(new_admin(snapshot))
    link = elements(browser.get("/")).links()["t#ephemeral"]
    assert link == "/topics/t%23ephemeral"
    assert elements(browser.get(link)).first("h1").text == "t#ephemeral"


def test_a_part_of_a_page(new_admin: NewAdmin) -> None:
    """The script gets what is in main, the same as in the page, and its title."""
    browser = Browser(new_admin())
    whole = elements(browser.get("/topics/orders")).first("main")
    answer = browser.get("/topics/orders", {"X-Nsqadmin-Part": "main"})
    part = elements(answer)
    assert part.all[0].name == "main"
    assert part.all[0]["data-title"] == "orders"
    assert part.all[0].text == whole.text


def test_static_files(new_admin: NewAdmin) -> None:
    """They may be kept as long as their address is the same."""
    browser = Browser(new_admin())
    page = elements(browser.get("/"))
    sheet = next(each["href"] for each in page.named("link") if each["rel"] == "stylesheet")
    answer = browser.get(sheet)
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in answer.headers["cache-control"]
    assert browser.get("/static/admin.css").headers["cache-control"] == "no-cache"
    missing = browser.get("/static/nothing.css")
    assert (missing.status, missing.text) == (404, "NOT_FOUND")


def test_light_and_dark(new_admin: NewAdmin) -> None:
    """A link changes it, without a script, and leads back; but nowhere else."""
    browser = Browser(new_admin())
    page = elements(browser.get("/nodes?q=h"))
    assert page.first("html")["data-theme"] == "auto"
    link = next(each["href"] for each in page.named("a") if each.get("class") == "theme")
    answer = browser.get(link)
    assert (answer.status, answer.headers["location"]) == (303, "/nodes?q=h")
    assert elements(browser.get("/")).first("html")["data-theme"] == "dark"
    for target in ("//evil.example", "https://evil.example", "/\\evil.example", "javascript:x"):
        answer = browser.get(f"/theme?set=light&next={target}")
        assert answer.headers["location"] == "/"
