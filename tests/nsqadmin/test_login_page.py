"""Logging in and out with a browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from twisted.internet.task import Clock

from nsqtx.nsqadmin.login import SESSION_COOKIE, Login
from nsqtx.nsqadmin.roles import Role
from tests.support.adminpages import Admin, Browser, elements
from tests.support.gated import login_of, people

NewAdmin = Callable[..., Admin]


def new_login(clock: Clock) -> Login:
    """For everybody in `people`."""
    return login_of(clock=clock)


def test_there_and_back(new_admin: NewAdmin) -> None:
    """A page that needs a login leads to the form, the form to the page; then one can leave."""
    admin = new_admin(login=new_login)
    browser = Browser(admin)
    answer = browser.get("/topics/orders?sort=-depth")
    assert answer.status == 303
    form = browser.get(answer.headers["location"])
    assert form.status == 200
    answer = browser.submit(form, name="operate", secret="operate-secret")
    assert (answer.status, answer.headers["location"]) == (303, "/topics/orders?sort=-depth")
    page = browser.get("/topics/orders")
    assert "operate" in elements(page).first("header").text
    links = elements(page).links()
    assert "Pause" in links
    assert "Delete" not in links
    answer = browser.submit(page)
    assert answer.status == 303
    assert browser.get("/").status == 303


def test_the_cookie_is_well_kept(new_admin: NewAdmin) -> None:
    """Not for scripts, not for other sites, and over HTTPS alone where that is spoken."""
    browser = Browser(new_admin(login=new_login))
    form = browser.get("/login")
    answer = browser.submit(form, name="view", secret="view-secret")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{SESSION_COOKIE}=")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie
    answer = Browser(browser.admin).get("/login", {"X-Forwarded-Proto": "https"})
    assert "Secure" in answer.headers["set-cookie"]


def test_a_session_does_not_outlive_a_login(new_admin: NewAdmin) -> None:
    """A session that somebody else has planted is not made good: one gets a new one."""
    admin = new_admin(login=new_login)
    browser = Browser(admin)
    browser.cookies[SESSION_COOKIE] = "planted"
    browser.submit(browser.get("/login"), name="view", secret="view-secret")
    assert browser.cookies[SESSION_COOKIE] != "planted"


@pytest.mark.parametrize(
    ("name", "secret"),
    [("view", "wrong"), ("nobody", "view-secret"), ("", ""), ("ci", "ci-secret")],
)
def test_wrong_credentials(new_admin: NewAdmin, name: str, secret: str) -> None:
    """The form comes again and does not say which of both was wrong; tokens are no passwords."""
    browser = Browser(new_admin(login=new_login))
    answer = browser.submit(browser.get("/login?next=/nodes"), name=name, secret=secret)
    assert answer.status == 401
    page = elements(answer)
    assert "do not match" in page.first("main").text
    assert next(each for each in page.named("input") if each["name"] == "next")["value"] == "/nodes"
    assert SESSION_COOKIE not in browser.cookies


def test_guessing(new_admin: NewAdmin) -> None:
    """Is stopped, and that is said."""
    browser = Browser(new_admin(login=new_login))
    for _ in range(10):
        browser.submit(browser.get("/login"), name="view", secret="guess")
    answer = browser.submit(browser.get("/login"), name="view", secret="view-secret")
    assert answer.status == 429


def test_logging_in_needs_our_form(new_admin: NewAdmin) -> None:
    """Nobody is logged in by another site as somebody else."""
    browser = Browser(new_admin(login=new_login))
    form = "name=view&secret=view-secret"
    assert browser.post("/login", form).status == 403
    assert browser.post("/login", form, {"Origin": "http://evil.example"}).status == 403
    assert SESSION_COOKIE not in browser.cookies


def test_a_token_of_before_the_login_is_no_use_after(new_admin: NewAdmin) -> None:
    """Forms belong to a session."""
    admin = new_admin(login=new_login)
    browser = Browser(admin)
    form = browser.get("/login")
    old = next(each["value"] for each in elements(form).named("input") if each["name"] == "token")
    browser.submit(form, name="admin", secret="admin-secret")
    assert browser.post("/action", f"do=delete&topic=orders&token={old}").status == 403
    assert admin.cluster.acts == []


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_the_form_leads_nowhere_else(new_admin: NewAdmin, target: str) -> None:
    """Back means back to us."""
    browser = Browser(new_admin(login=new_login))
    form = browser.get(f"/login?next={target}")
    answer = browser.submit(form, name="view", secret="view-secret", next=target)
    assert answer.headers["location"] == "/"


def test_some_may_look_without_a_login(new_admin: NewAdmin) -> None:
    """And can log in for more."""
    admin = new_admin(login=lambda clock: login_of(people(anonymous=Role.VIEW), clock))
    page = elements(Browser(admin).get("/"))
    assert page.links()["Log in"] == "/login"
    assert Browser(admin).get("/peek?topic=orders").status == 403


def test_without_a_login_there_is_no_form(new_admin: NewAdmin) -> None:
    """404."""
    assert Browser(new_admin()).get("/login").status == 404
