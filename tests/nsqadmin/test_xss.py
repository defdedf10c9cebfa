"""Names, clients and messages that are made to run in the browser of who looks at them: they are
shown as what they are."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nsqtx.nsqadmin.rows import ChannelRow, ClientRow, Figures, NodeRow, Snapshot, TopicRow
from nsqtx.nsqadmin.source import Inactive, Peeked, PeekedNode
from tests.support.adminpages import NOW, Admin, Browser, elements

NewAdmin = Callable[..., Admin]

PROBES = [
    '<script>alert("x")</script>',
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "</title></main><script>alert(1)</script>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "]]><!--",
]


def evil(probe: str) -> Snapshot:
    """A cluster in which everything is called so, whatever the rules for names are."""
    address = f"{probe}:4151"
    node = NodeRow(
        address, probe, probe, 4150, 4151, probe, probe, probe, [probe], {probe: True}, True, probe
    )
    topic = TopicRow(probe, nodes={address: Figures(depth=1, dead_letter_topic=probe)})
    channel = ChannelRow(probe, probe, nodes={address: Figures(dead_letter_topic=probe)})
    topic.channels[probe] = channel
    return Snapshot(NOW, {probe: topic}, {address: node}, [probe])


def evil_client(probe: str) -> ClientRow:
    """A consumer that introduces itself so."""
    return ClientRow(
        f"{probe}:4151", probe, probe, probe, probe, probe, probe, 0, tls=True, tls_text=probe,
        authed=True, auth_identity=probe, auth_identity_url=probe, region=probe, zone=probe,
    )  # fmt: skip


@pytest.mark.parametrize("probe", PROBES)
def test_nothing_of_it_is_more_than_text(new_admin: NewAdmin, probe: str) -> None:
    """On every page: the elements and attributes are those of harmless names, and the text has
    the probe in it, letter by letter."""
    shapes = []
    for word in (probe, "x"):
        admin = new_admin(lambda word=word: evil(word))
        admin.cluster.lookups = [word]
        admin.cluster.warnings = [word]
        admin.cluster.clients = [evil_client(word)]
        admin.cluster.unknown = Inactive({word: [word]}, [word])
        admin.cluster.peeked = [
            PeekedNode(word, [Peeked(word, 0, 0, 1, 900, word, client=word, deadline=1)], word)
        ]
        browser = Browser(admin)
        urls = admin.pages.urls
        shape = []
        for target in (
            urls.home,
            "/?q=" + urls.topic(word)[8:],
            urls.page("nodes"),
            urls.page("counter"),
            urls.page("lookup"),
            urls.peek(word, word),
            urls.peek(word, word, node=word),
        ):
            answer = browser.get(target)
            assert answer.status == 200, target
            page = elements(answer)
            assert "alert" not in "".join(each.text for each in page.named("script"))
            for link in page.named("a"):
                assert link["href"].startswith(("/", "#", "?")), link["href"]
            shape.append([(each.name, sorted(each.attributes)) for each in page.all])
            if "counter" not in target:
                assert word in page.first("main").text + "".join(
                    each.get("value") for each in page.named("input")
                )
        shapes.append(shape)
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("probe", [each for each in PROBES if "/" not in each])
def test_pages_of_their_own(new_admin: NewAdmin, probe: str) -> None:
    """The same for the pages whose address has the name in it."""
    admin = new_admin(lambda: evil(probe))
    admin.cluster.clients = [evil_client(probe)]
    browser, urls = Browser(admin), admin.pages.urls
    for target in (urls.topic(probe), urls.channel(probe, probe), urls.node(f"{probe}:4151")):
        answer = browser.get(target)
        assert answer.status == 200
        page = elements(answer)
        assert len(page.named("script")) == 1
        assert not page.named("img")
        assert probe in page.first("h1").text
        for link in page.named("a"):
            assert link["href"].startswith(("/", "#", "?"))
        part = elements(browser.get(target, {"X-Nsqadmin-Part": "main"}))
        assert probe in part.all[0]["data-title"]


@pytest.mark.parametrize("probe", PROBES)
def test_what_is_not_there_is_named(new_admin: NewAdmin, probe: str) -> None:
    """The address of a page is somebody else's, too."""
    admin = new_admin()
    target = admin.pages.urls.topic(probe)
    answer = Browser(admin).get(target)
    if answer.headers["content-type"].startswith("text/html"):
        page = elements(answer)
        assert len(page.named("script")) == 1
        assert not page.named("img")
    assert "<img" not in answer.text
    for query in ("do", "topic", "channel", "node", "note", "state", "next"):
        for path in ("action", "peek", "login", "theme", ""):
            found = Browser(admin).get(f"/{path}?{query}={target[8:]}")
            assert "<img" not in found.text
            assert "<script>" not in found.text


def test_an_identity_can_have_a_link(new_admin: NewAdmin) -> None:
    """That of http or https, and the page behind it does not learn where it was followed."""
    admin = new_admin()
    row = evil_client("x")
    row.auth_identity_url = "https://people.example/x"
    admin.cluster.clients = [row]
    page = elements(Browser(admin).get("/topics/orders/billing"))
    (link,) = [each for each in page.named("a") if each["href"].startswith("https:")]
    assert link["rel"] == "noreferrer noopener"
