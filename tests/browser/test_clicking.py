"""A real browser clicks through every page and every action of nsqadmin, over a live cluster.

``pytest -m browser``; needs Debian's ``chromium`` and ``chromium-driver``, and the extra
``browser``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.support.livecluster import LiveCluster
from tests.support.wireclient import WireClient

if TYPE_CHECKING:
    from tests.support.chromium import Chromium

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveCluster]:
    """The cluster, with traffic."""
    with LiveCluster(tmp_path_factory.mktemp("cluster"), "--poll-interval=1s") as live:
        yield live


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser that runs scripts."""
    from tests.support.chromium import Chromium

    with Chromium(tmp_path_factory.mktemp("browser")) as chromium:
        yield chromium


def pages(cluster: LiveCluster) -> dict[str, str]:
    """Every page, and what its heading says."""
    address = f"127.0.0.1:{cluster.nsqds[0].http_port}"
    name = cluster.get(cluster.nsqds[0], "/info")["hostname"]
    return {
        "/": "Topics",
        "/topics": "Topics",
        "/topics/orders": "orders",
        "/topics/events": "events",
        "/topics/clicks%23ephemeral": "clicks#ephemeral",
        "/topics/orders/billing": "billing",
        "/topics/failed/work": "work",
        "/nodes": "Nodes 2",
        f"/nodes/{address}": f"{name}:{cluster.nsqds[0].http_port}",
        "/counter": "Messages processed",
        "/lookup": "Lookup",
        "/peek?topic=events": "Messages of events",
        "/peek?topic=orders&channel=archive&state=inflight": "Messages of archive",
        "/action?do=delete&topic=orders": "Delete topic orders?",
    }


@pytest.mark.parametrize("width", [1280, 400])
def test_every_page_fits(cluster: LiveCluster, browser: Chromium, width: int) -> None:
    """No page is wider than the screen, and the browser has nothing to complain about: no error
    of a script, nothing that the policy forbids."""
    browser.resize(width)
    for target, heading in pages(cluster).items():
        browser.open(cluster.url + target)
        assert browser.shows(heading)
        assert browser.overflow() <= 0, f"{target} is too wide at {width}"
    assert browser.problems() == []
    browser.resize(1280)


def test_from_page_to_page(cluster: LiveCluster, browser: Chromium) -> None:
    """By links alone, from the topics to a client and back, and through the menu."""
    browser.open(cluster.url)
    browser.click("orders")
    assert browser.shows("orders")
    browser.click("billing")
    assert browser.reads("worker.example")
    browser.click("Topics")
    browser.click("backlog")
    browser.wait(lambda page: page.driver.current_url.endswith("?sort=-backlog&per=10"))
    for link, heading in (
        ("Nodes", "Nodes 2"),
        ("Counter", "Messages processed"),
        ("Lookup", "Lookup"),
    ):
        browser.click(link)
        assert browser.shows(heading)
    browser.open(cluster.url)
    browser.type("q", "failed")
    browser.click("Apply")
    browser.wait(lambda page: "orders" not in page.text)
    assert browser.problems() == []


def test_figures_move_and_the_page_stays(cluster: LiveCluster, browser: Chromium) -> None:
    """New figures come without a reload; focus and what was typed are as they were."""
    browser.open(cluster.url + "/?per=50")
    browser.wait(lambda page: page.driver.find_element("id", "live").text == "Live")
    browser.type("q", "ord")
    row = browser.driver.find_element("id", "t-orders")
    before = row.text
    browser.wait(lambda page: row.text != before)
    focused = browser.driver.switch_to.active_element
    assert (focused.get_attribute("name"), focused.get_attribute("value")) == ("q", "ord")
    assert browser.problems() == []


def test_the_counter_counts(cluster: LiveCluster, browser: Chromium) -> None:
    """Upwards, without a reload."""
    browser.open(cluster.url + "/counter")
    number = browser.driver.find_element("class name", "counter")
    before = int(number.text.replace(",", ""))
    browser.wait(lambda _: int(number.text.replace(",", "")) > before)


def test_pause_and_unpause(cluster: LiveCluster, browser: Chromium) -> None:
    """A channel, then a topic; every nsqd does it."""
    both = {"/topics/orders/archive": "channel archive", "/topics/events": "topic events"}
    for target, what in both.items():
        for verb, paused in (("Pause", True), ("Unpause", False)):
            browser.open(cluster.url + target)
            browser.click(verb)
            browser.click(f"{verb} {what}")
            assert browser.reads(f"{verb}d {what}")
            assert ("paused" in browser.driver.find_element("tag name", "h1").text) == paused
            name = what.split()[0]
            for topic in cluster.topic(target.split("/")[2]):
                found = topic
                if name == "channel":
                    found = next(c for c in topic["channels"] if c["channel_name"] == "archive")
                assert found["paused"] == paused
    assert browser.problems() == []


def test_to_cancel_does_nothing(cluster: LiveCluster, browser: Chromium) -> None:
    """It leads back."""
    browser.open(cluster.url + "/topics/orders")
    browser.click("Delete")
    browser.click("Cancel")
    assert browser.shows("orders")
    assert len(cluster.topic("orders")) == 2


def test_peek(cluster: LiveCluster, browser: Chromium) -> None:
    """What waits is shown as text, whatever it is."""
    browser.open(cluster.url + "/topics/events")
    browser.click("Peek")
    assert browser.reads('"name": "Ada Lovelace"')
    assert browser.reads("<b>ring twice</b>")
    assert browser.reads("plain text, with ümlauts & <tags>")
    assert browser.reads("0010  10 11 12")
    field = browser.driver.find_element("name", "state")
    field.send_keys("deferred")
    browser.click("Look")
    browser.wait(lambda page: "later" in page.text)
    assert browser.problems() == []


def test_create_empty_and_delete(cluster: LiveCluster, browser: Chromium) -> None:
    """A topic and its channel, on all of them, until nothing is left."""
    browser.open(cluster.url + "/lookup")
    browser.type("topic", "fresh")
    browser.type("channel", "one")
    browser.click("Create…")
    browser.click("Create channel one")
    assert browser.reads("Created channel one of topic fresh.")
    cluster.post(cluster.nsqds[0], "/pub", b"x", topic="fresh")
    browser.wait(lambda _: [c for t in cluster.topic("fresh") for c in t["channels"]])
    browser.open(cluster.url + "/topics/fresh")
    browser.wait(lambda page: "one" in page.text)
    for verb, what in (("Empty queue", "Empty channel one"), ("Delete", "Delete channel one")):
        browser.open(cluster.url + "/topics/fresh/one")
        assert browser.shows("one")
        browser.click(verb)
        browser.click(what)
        assert browser.reads("channel one of topic fresh.")
    assert browser.reads("Deleted channel one of topic fresh.")
    assert [t["channels"] for t in cluster.topic("fresh")] == [[]]
    cluster.post(cluster.nsqds[0], "/pub", b"x", topic="fresh")
    browser.click("Empty queue")
    browser.click("Empty topic fresh")
    assert browser.reads("Emptied topic fresh.")
    assert [t["depth"] for t in cluster.topic("fresh")] == [0]
    browser.click("Delete")
    browser.click("Delete topic fresh")
    assert browser.reads("Deleted topic fresh.")
    assert browser.shows("Topics")
    assert cluster.topic("fresh") == []
    browser.open(cluster.url + "/lookup")
    browser.click("Delete topic forgotten")
    assert browser.shows("Delete topic forgotten?")
    browser.click("Delete topic forgotten")
    assert browser.reads("Deleted topic forgotten.")
    assert "forgotten" not in cluster.get(cluster.lookupd, "/topics")["topics"]
    assert browser.problems() == []


def test_redrive(cluster: LiveCluster, browser: Chromium) -> None:
    """Dead letters are brought back."""
    browser.open(cluster.url + "/topics/failed/work")
    browser.click("Redrive")
    browser.click("Redrive channel work")
    assert browser.reads("Redriven 1 messages of channel work of topic failed.")
    assert browser.problems() == []


def test_tombstone(cluster: LiveCluster, browser: Chromium) -> None:
    """The topic is gone from that node, and there on the other."""
    browser.open(cluster.url + "/topics/events")
    address = f"127.0.0.1:{cluster.nsqds[0].http_port}"
    browser.click(f"Tombstone {address}")
    browser.click("Tombstone topic events")
    assert browser.reads("Tombstoned topic events on")
    assert len(cluster.topic("events")) == 1
    assert browser.problems() == []


def test_what_clients_say_is_text(cluster: LiveCluster, browser: Chromium) -> None:
    """A client and a message that are made to run in the page do not."""
    probe = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
    cluster.post(cluster.nsqds[1], "/pub", probe.encode(), topic="probe")
    with WireClient(cluster.nsqds[1].tcp) as client:
        client.identify(client_id=probe, hostname=probe, user_agent=probe)
        client.send(b"SUB probe c\n")
        client.expect()
        browser.open(cluster.url + "/?q=probe")
        # Not before nsqadmin knows of the channel.
        row = "#t-probe td:nth-of-type(7)"
        browser.wait(lambda page: page.driver.find_element("css selector", row).text == "1")
        browser.open(cluster.url + "/topics/probe/c")
        browser.wait(lambda page: page.driver.find_elements("css selector", "td.agent"))
        assert probe in browser.text
        assert browser.driver.title == "c · probe · nsqadmin"
        browser.open(cluster.url + "/peek?topic=probe&channel=c")
        assert browser.reads(probe)
        assert browser.driver.title == "Messages of c · nsqadmin"
    assert browser.problems() == []


def test_light_and_dark(cluster: LiveCluster, browser: Chromium) -> None:
    """By the system, or by the switch."""

    def ground() -> str:
        script = "return getComputedStyle(document.body).backgroundColor"
        return str(browser.driver.execute_script(script))

    def is_ground(colour: str, _: Chromium) -> bool:
        return ground() == colour

    browser.open(cluster.url)
    light = ground()
    browser.resize(1280, dark=True)
    dark = ground()
    assert light != dark
    browser.resize(1280)
    for wanted in (dark, light):
        browser.driver.find_element("class name", "theme").click()
        browser.wait(partial(is_ground, wanted))
    assert browser.problems() == []


def test_with_the_keyboard(cluster: LiveCluster, browser: Chromium) -> None:
    """The first Tab is the way past the header; a slash goes to the filter."""
    browser.open(cluster.url)
    body = browser.driver.find_element("tag name", "body")
    body.send_keys("\ue004")
    first = browser.driver.switch_to.active_element
    assert first.text == "Skip to content"
    body.send_keys("/")
    assert browser.driver.switch_to.active_element.get_attribute("name") == "q"


def test_without_scripts(cluster: LiveCluster, browser: Chromium) -> None:
    """Everything but liveness works: sorting, filtering, the question and the deed."""
    browser.run_scripts(False)
    try:
        browser.open(cluster.url)
        assert not browser.driver.find_element("id", "live").is_displayed()
        browser.click("Backlog")
        browser.type("q", "orders")
        browser.click("Apply")
        browser.click("orders")
        for verb in ("Pause", "Unpause"):
            browser.click(verb)
            browser.click(f"{verb} topic orders")
            assert browser.reads(f"{verb}d topic orders.")
    finally:
        browser.run_scripts(True)
