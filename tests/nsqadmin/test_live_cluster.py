"""The cluster as rows: nsqlookupd and nsqd of ours, in memory, and the pages over them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.task import Clock

from nsqtx.nsqadmin.admin import Admin
from nsqtx.nsqadmin.hashing import hash_secret
from nsqtx.nsqadmin.http import AdminApi
from nsqtx.nsqadmin.options import NsqadminOptions
from nsqtx.nsqadmin.rows import Snapshot
from nsqtx.web.site import ApiSite
from tests.support.adminpages import Browser, elements
from tests.support.clusternet import Cluster
from tests.support.gated import ask, basic
from tests.support.httpnet import Scripted


@attrs.define
class Live:
    """An nsqadmin over a cluster in memory."""

    cluster: Cluster
    options: dict[str, Any] = attrs.field(factory=dict)
    admin: Admin = attrs.field(init=False)
    site: ApiSite = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        view = self.cluster.view
        options = NsqadminOptions(
            lookupd_http_address=view.lookupds, nsqd_http_address=view.nsqds, **self.options
        )
        self.admin = Admin(options, self.clock, self.cluster.net.agent)
        self.site = AdminApi(self.admin).site()
        self.admin.start()
        self.settle()

    @property
    def clock(self) -> Clock:
        """The clock of all."""
        return self.cluster.net.clock

    def settle(self) -> None:
        """Let everything that is under way come to its end."""
        for _ in range(20):
            self.clock.advance(0)
            self.cluster.net.flush()

    def poll(self) -> Snapshot:
        """The next snapshot."""
        self.clock.advance(5)
        self.settle()
        return self.snapshot

    @property
    def snapshot(self) -> Snapshot:
        """The latest."""
        snapshot = self.admin.pages.poller.snapshot
        assert snapshot is not None
        return snapshot

    def result(self, asking: Any) -> Any:
        """What the source of the pages answers."""
        return self.cluster.net.result(asking)


def test_topics_channels_and_nodes() -> None:
    """All of them, with figures of each node and of all; also a topic that no nsqd has."""
    live = Live(Cluster("t/c t/d", "t/c u"))
    live.cluster.lookupds[0].node.registry.create_topic("old")
    for nsqd in live.cluster.nsqds:
        nsqd.post("/pub?topic=t", b"x")
    snapshot = live.poll()
    assert sorted(snapshot.topics) == ["old", "t", "u"]
    t = snapshot.topics["t"]
    assert (list(t.nodes), t.all.messages) == (["n1:4151", "n2:4151"], 2)
    assert {name: list(each.nodes) for name, each in t.channels.items()} == {
        "c": ["n1:4151", "n2:4151"],
        "d": ["n1:4151"],
    }
    assert t.channels["c"].all.depth == 2
    assert t.backlog == 3
    node = snapshot.nodes["n1:4151"]
    assert (node.hostname, node.topics, node.error) == ("h-n1", {"t": False}, "")
    assert len(node.lookups) == 1
    assert snapshot.warnings == []
    live.admin.stop()


def test_rates_are_made_of_two_polls() -> None:
    """Messages that came in between, a second."""
    live = Live(Cluster("t/c"))
    for _ in range(10):
        live.cluster.nsqds[0].post("/pub?topic=t", b"x")
    snapshot = live.poll()
    assert snapshot.topics["t"].all.rate == 2.0
    assert snapshot.topics["t"].channels["c"].all.rate == 2.0
    assert snapshot.nodes["n1:4151"].rate == 2.0
    points = live.admin.pages.poller.history.points(("channel", "t", "c"), "depth")
    assert points[-1] == 5.0
    live.admin.stop()


def test_a_node_that_is_down() -> None:
    """It stays in the list, with the reason, and the others are shown."""
    live = Live(Cluster("t/c", "t/c"))
    live.cluster.down("n2:4151")
    snapshot = live.poll()
    assert "connection refused" in snapshot.nodes["n2:4151"].error
    assert list(snapshot.topics["t"].nodes) == ["n1:4151"]
    assert len(snapshot.warnings) == 1
    live.admin.stop()


def test_nsqlookupd_that_are_down() -> None:
    """One: a warning. All: the pages say so, and show what they knew."""
    live = Live(Cluster("t/c", lookupds=2))
    live.cluster.down("l2:4161")
    assert "l2:4161" in live.poll().warnings[0]
    live.cluster.down("l1:4161")
    assert "t" in live.poll().topics
    assert "failed to query any nsqlookupd" in live.admin.pages.poller.error
    live.admin.stop()


def test_without_nsqlookupd() -> None:
    """The nsqd of the list say themselves where they are; the first are asked for that alone."""
    cluster = Cluster("t/c", lookupds=0)
    place = f"n1:{cluster.nsqds[0].node.http_port}"
    cluster.net.sites[place] = cluster.nsqds[0].site
    live = Live(cluster)
    snapshot = live.poll()
    assert snapshot.nodes[place].topics == {"t": False}
    assert list(snapshot.topics["t"].channels["c"].nodes) == [place]
    assert live.admin.pages.source.lookups == []
    live.admin.stop()


def test_pages_cost_the_nodes_nothing() -> None:
    """Nothing is asked for topics, a topic, nodes and the counter, however often."""
    live = Live(Cluster("t/c", "t/c"))
    browser = Browser(live)
    live.cluster.net.asked.clear()
    for _ in range(5):
        for target in ("/", "/topics/t", "/nodes", "/counter"):
            assert browser.get(target).status == 200
    live.settle()
    assert live.cluster.net.asked == []
    live.admin.stop()


def test_messages_of_both_kinds_of_nsqd() -> None:
    """Ours show them; of the original's it is said that they cannot."""
    live = Live(Cluster("t/c"))
    live.cluster.nsqds[0].post("/pub?topic=t", b'{"a": 1}')
    live.cluster.nsqds[0].post("/pub?topic=t", b"\xff")
    live.cluster.net.sites["n2:4151"] = Scripted({})
    source = live.admin.pages.source
    places = ["n1:4151", "n2:4151", "n3:4151", "nowhere at all"]
    found = live.result(source.peek("t", "c", places, "ready", 10, 100))
    assert [(each.body, each.is_base64) for each in found[0].messages] == [
        ('{"a": 1}', False),
        ("/w==", True),
    ]
    assert "one of the original's" in found[1].error
    assert "connection refused" in found[2].error
    assert "nowhere" in found[3].error
    (unknown,) = live.result(source.peek("t", "nothing", ["n1:4151"], "ready", 10, 100))
    assert unknown.error == "This nsqd does not have it."
    live.admin.stop()


def test_what_nobody_has() -> None:
    """With the channels that nsqlookupd knows; a topic of a node that is down is not such."""
    live = Live(Cluster("t/c", "u/c"))
    live.cluster.lookupds[0].node.registry.create_channel("old", "a")
    live.cluster.down("n2:4151")
    names = live.poll().inactive()
    assert names == ["old"]
    found = live.result(live.admin.pages.source.inactive(names))
    assert found.topics == {"old": ["a"]}
    browser = Browser(live)
    rows = elements(browser.get("/")).rows()
    assert [row[0] for row in rows[1:]] == ["old inactive", "t", "u no answer"]
    text = elements(browser.get("/topics/u")).first("main").text
    assert "No nsqd that has this topic answers." in text
    live.admin.stop()


def test_under_a_base_path() -> None:
    """Every link of every page leads there."""
    live = Live(Cluster("t/c"), {"base_path": "adm/"})
    browser = Browser(live)
    for target in ("/adm", "/adm/topics/t", "/adm/nodes", "/adm/action?do=delete&topic=t"):
        answer = browser.get(target)
        assert answer.status == 200
        page = elements(answer)
        targets = [each["href"] for each in page.all if "href" in each.attributes]
        targets += [each["src"] for each in page.named("script")]
        targets += [each["action"] for each in page.named("form") if "action" in each.attributes]
        assert [each for each in targets if not each.startswith(("/adm", "?", "#"))] == []
        assert page.first("body").get("data-events") in ("/adm/events", "")
    assert "Path=/adm;" in answer.headers["set-cookie"]
    assert browser.get("/").status == 404
    live.admin.stop()


def test_a_login_file_holds_for_pages_and_api(tmp_path: Path) -> None:
    """Who is in it may do what their role is for, with both."""
    path = tmp_path / "login.toml"
    secret = hash_secret("s", cost=2)
    path.write_text(f'[users.ann]\nsecret = "{secret}"\nrole = "operate"\n')
    live = Live(Cluster("t/c"), {"login_file": str(path)})
    browser = Browser(live)
    assert browser.get("/").headers["location"] == "/login?next=/"
    assert ask(live.site, "GET", "/api/topics").status == 401
    ann = basic("ann", "s")
    assert browser.get("/topics/t", ann).status == 200
    assert browser.get("/action?do=delete&topic=t", ann).status == 403
    assert ask(live.site, "DELETE", "/api/topics/t", headers=ann).status == 403
    assert ask(live.site, "GET", "/config/log_level", headers=ann).status == 403
    live.admin.stop()


def test_actions_reach_the_nodes() -> None:
    """By the form of a page; the page after it shows the new state."""
    live = Live(Cluster("t/c", "t/c"))
    browser = Browser(live)
    browser.submit_later(browser.get("/action?do=pause&topic=t&channel=c"))
    live.settle()
    answer = browser.answer()
    assert answer.status == 303
    assert all(nsqd.stats()["topics"][0]["channels"][0]["paused"] for nsqd in live.cluster.nsqds)
    assert live.snapshot.topics["t"].channels["c"].all.paused
    live.admin.stop()


def test_api_and_pages_show_the_same() -> None:
    """The figures of a topic."""
    live = Live(Cluster("t/c", "t/c"))
    for nsqd in live.cluster.nsqds:
        nsqd.post("/pub?topic=t", b"x")
    live.poll()
    browser = Browser(live)
    browser.later("/api/topics/t")
    live.settle()
    topic = json.loads(browser.answer().body)
    row = live.snapshot.topics["t"]
    assert topic["message_count"] == row.all.messages == 2
    assert topic["channels"][0]["depth"] == row.channels["c"].all.depth == 2
    live.admin.stop()


def test_roles_hold_for_all_actions() -> None:
    """Who is not in --admin-user may look, by the pages and by the API."""
    live = Live(Cluster("t/c"), {"admin_user": ["ann"]})
    browser = Browser(live)
    assert browser.get("/action?do=delete&topic=t").status == 403
    assert browser.get("/peek?topic=t").status == 403
    header = {"X-Forwarded-User": "ann"}
    assert browser.get("/action?do=delete&topic=t", header).status == 200
    live.admin.stop()
