"""Doing something on the pages of nsqadmin: asked first, by a form, by those who may."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nsqtx.nsqadmin.roles import Role
from nsqtx.nsqadmin.source import Action
from tests.support.adminpages import Admin, Browser, elements

NewAdmin = Callable[..., Admin]

ACTIONS = [
    ("create", "topic=new", Action("create", "new"), "/lookup"),
    ("create", "topic=new&channel=c", Action("create", "new", "c"), "/lookup"),
    ("pause", "topic=orders", Action("pause", "orders"), "/topics/orders"),
    ("unpause", "topic=orders", Action("unpause", "orders"), "/topics/orders"),
    ("empty", "topic=orders", Action("empty", "orders"), "/topics/orders"),
    ("delete", "topic=orders", Action("delete", "orders"), "/"),
    (
        "pause",
        "topic=orders&channel=billing",
        Action("pause", "orders", "billing"),
        "/topics/orders/billing",
    ),
    (
        "empty",
        "topic=orders&channel=billing",
        Action("empty", "orders", "billing"),
        "/topics/orders/billing",
    ),
    (
        "delete",
        "topic=orders&channel=billing",
        Action("delete", "orders", "billing"),
        "/topics/orders",
    ),
    (
        "redrive",
        "topic=orders&channel=billing",
        Action("redrive", "orders", "billing"),
        "/topics/orders/billing",
    ),
    (
        "tombstone",
        "topic=orders&node=10.0.0.1:4151",
        Action("tombstone", "orders", node="10.0.0.1:4151"),
        "/nodes/10.0.0.1%3A4151",
    ),
]


@pytest.mark.parametrize(("do", "query", "action", "after"), ACTIONS)
def test_the_question_and_the_deed(
    new_admin: NewAdmin, do: str, query: str, action: Action, after: str
) -> None:
    """The question does nothing; its form does, then one is told so where it leads."""
    admin = new_admin()
    admin.cluster.warnings = ["host3 is <down>"]
    browser = Browser(admin)
    question = browser.get(f"/action?do={do}&{query}")
    assert question.status == 200
    assert elements(question).first("h1").text.startswith(do.capitalize())
    assert admin.cluster.acts == []
    answer = browser.submit(question)
    assert admin.cluster.acts == [action]
    # The cluster is looked at anew, so that the next page shows the change.
    assert admin.cluster.asked[-2:] == ["act", "all"]
    assert (answer.status, answer.headers["location"].partition("?")[0]) == (303, after)


def test_what_was_done_is_said(new_admin: NewAdmin) -> None:
    """Once the new state is known, with warnings; for a minute."""
    admin = new_admin()
    admin.cluster.warnings = ["host3 is <down>"]
    browser = Browser(admin)
    answer = browser.submit(browser.get("/action?do=pause&topic=orders"))
    target = answer.headers["location"]
    text = elements(browser.get(target)).first("main").text
    assert "Paused topic orders." in text
    assert "host3 is <down>" in text
    admin.clock.advance(61)
    assert "Paused topic" not in browser.get(target).text


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/?note=%zz", 400),
        ("/?q=a;note=b", 400),
        ("/topics/no?note=%", 404),
        ("/nodes/no?note=x", 404),
    ],
)
def test_a_note_that_is_none(new_admin: NewAdmin, target: str, status: int) -> None:
    """The page is as it would be without, also where its address cannot be read."""
    answer = Browser(new_admin()).get(target)
    assert answer.status == status
    assert elements(answer).first("h1").text in ("That makes no sense", "Not there")


def test_redrive_takes_a_number(new_admin: NewAdmin) -> None:
    """Of messages, at most."""
    admin = new_admin()
    browser = Browser(admin)
    question = browser.get("/action?do=redrive&topic=orders&channel=billing")
    target = browser.submit(question, limit="25").headers["location"]
    said = "Redriven 7 messages of channel billing of topic orders."
    assert said in elements(browser.get(target)).first("main").text
    assert admin.cluster.acts[0].limit == 25
    assert browser.submit(question, limit="-1").status == 400


def test_what_is_lost_is_said_before(new_admin: NewAdmin) -> None:
    """How much there is of what is to be deleted."""
    page = elements(Browser(new_admin()).get("/action?do=delete&topic=orders"))
    figures = page.figures()
    assert (figures["Nodes"], figures["Backlog"], figures["Clients"]) == ("2", "1,240", "8")
    assert "This cannot be undone." in page.first("main").text


@pytest.mark.parametrize(
    "query",
    [
        "do=explode&topic=orders",
        "do=peek&topic=orders",
        "do=delete",
        "do=delete&topic=",
        "do=delete&topic=a%20b",
        "do=delete&topic=orders&channel=%3Cb%3E",
        "do=tombstone&topic=orders",
        "do=pause&topic=orders&node=10.0.0.1:4151",
        "do=redrive&topic=orders",
        "do=redrive&topic=orders&channel=c&limit=many",
        "do=delete&topic=%zz",
    ],
)
def test_nonsense_is_refused(new_admin: NewAdmin, query: str) -> None:
    """400, on a page."""
    admin = new_admin()
    answer = Browser(admin).get(f"/action?{query}")
    assert answer.status == 400
    assert elements(answer)


@pytest.mark.parametrize(
    ("query", "back"),
    [
        ("do=pause&topic=orders", "/topics/orders"),
        ("do=create&topic=new&channel=c", "/lookup"),
        ("do=tombstone&topic=orders&node=10.0.0.1:4151", "/nodes/10.0.0.1%3A4151"),
    ],
)
def test_a_refusal_is_said(new_admin: NewAdmin, query: str, back: str) -> None:
    """502 with the reason of the cluster; the way back is that of the question."""
    admin = new_admin()
    browser = Browser(admin)
    question = browser.get(f"/action?{query}")
    assert elements(question).links()["Cancel"] == back
    admin.cluster.refusal = "failed to query any nsqlookupd"
    answer = browser.submit(question)
    assert answer.status == 502
    page = elements(answer)
    assert "failed to query any nsqlookupd" in page.first("main").text
    assert page.links()["Back"] == back


@pytest.mark.parametrize("token", ["", "0" * 64, "ü", "00." + "0" * 64, "."])
def test_a_form_from_elsewhere_is_refused(new_admin: NewAdmin, token: str) -> None:
    """Without the token that belongs to the browser's cookie nothing is done."""
    admin = new_admin()
    browser = Browser(admin)
    question = browser.get("/action?do=delete&topic=orders")
    assert browser.submit(question, token=token).status == 403
    assert admin.cluster.acts == []


def test_a_token_is_good_for_one_browser(new_admin: NewAdmin) -> None:
    """An attacker's own token is no use in somebody else's browser, nor without a cookie."""
    admin = new_admin()
    attacker, victim = Browser(admin), Browser(admin)
    question = attacker.get("/action?do=delete&topic=orders")
    victim.get("/action?do=delete&topic=orders")
    assert victim.submit(question).status == 403
    assert Browser(admin).submit(question).status == 403
    assert admin.cluster.acts == []


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_cannot_send_the_form(new_admin: NewAdmin, site: str) -> None:
    """Even with the right token."""
    admin = new_admin()
    browser = Browser(admin)
    page = elements(browser.get("/action?do=delete&topic=orders"))
    token = next(each["value"] for each in page.named("input") if each["name"] == "token")
    form = f"do=delete&topic=orders&token={token}"
    assert browser.post("/action", form, {"Sec-Fetch-Site": site}).status == 403
    assert browser.post("/action", form, {"Origin": "http://evil.example"}).status == 403
    assert admin.cluster.acts == []


def test_no_two_forms_have_the_same_token(new_admin: NewAdmin) -> None:
    """Both are good; what a page compresses to tells nothing of the next one's."""
    admin = new_admin()
    browser = Browser(admin)
    first, second = (browser.get("/action?do=pause&topic=orders") for _ in range(2))
    assert first.text != second.text
    assert browser.submit(first).status == 303
    assert browser.submit(second).status == 303


def test_a_form_is_small_and_a_form(new_admin: NewAdmin) -> None:
    """Anything else is refused before it is read."""
    admin = new_admin()
    browser = Browser(admin)
    assert browser.post("/action", "x" * 17_000).status == 413
    assert browser.post("/action", "{}", {"Content-Type": "application/json"}).status == 415
    assert browser.post("/action", "a&" * 30 + "b=1").status == 400
    assert admin.cluster.acts == []


MAY: dict[Role, set[str]] = {
    Role.VIEW: set(),
    Role.OPERATE: {"create", "pause", "unpause", "redrive"},
    Role.ADMIN: {"create", "pause", "unpause", "redrive", "empty", "delete", "tombstone"},
}


@pytest.mark.parametrize("role", list(MAY))
def test_a_role_that_is_not_enough(new_admin: NewAdmin, role: Role) -> None:
    """It sees neither the question nor, with a good form, does it get the deed done."""
    admin = new_admin()
    browser = Browser(admin)
    for do, query, _, _ in ACTIONS:
        admin.role = Role.ADMIN
        question = browser.get(f"/action?do={do}&{query}")
        admin.role = role
        admin.cluster.acts.clear()
        assert browser.get(f"/action?do={do}&{query}").status == (200 if do in MAY[role] else 403)
        browser.submit(question)
        assert len(admin.cluster.acts) == (do in MAY[role])


def test_what_is_not_allowed_is_not_offered(new_admin: NewAdmin) -> None:
    """Nobody is led to a refusal."""
    browser = Browser(new_admin(role=Role.VIEW))
    channel = "/topics/orders/billing"
    for target in ("/", "/topics/orders", channel, "/nodes/10.0.0.1:4151", "/lookup"):
        links = elements(browser.get(target)).links().values()
        assert not [link for link in links if link.startswith(("/action", "/peek"))]
    assert browser.get("/peek?topic=orders").status == 403
