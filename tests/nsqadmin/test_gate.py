"""The gate of nsqadmin: who gets through, and what browsers are told."""

from __future__ import annotations

import attrs
import pytest
from twisted.internet.task import Clock

from nsqtx.nsqadmin.login import SESSION_COOKIE, Login
from nsqtx.nsqadmin.loginfile import LoginFile
from nsqtx.nsqadmin.roles import Role
from tests.support.gated import Threads, ask, basic, bearer, gated, login_of, people
from tests.support.http import Response


def said(answer: Response) -> tuple[int, str]:
    return answer.status, answer.text


CROSS = (403, '{"message":"CROSS_SITE_REQUEST"}')


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://nsqd"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://nsqd:81"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://[nsqd"},
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_what_another_site_makes_a_browser_do_is_refused(
    method: str, headers: dict[str, str]
) -> None:
    """A request that changes something and says it is from elsewhere is not answered."""
    assert said(ask(gated(), method, "/api/topics/t", headers=headers)) == CROSS


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://nsqd"},
        {"Origin": "https://NSQD"},
        {"Origin": "https://admin.example", "X-Forwarded-Host": "admin.example"},
    ],
)
def test_our_own_pages_and_programs_get_through(headers: dict[str, str]) -> None:
    """The browser says it is our page, or nothing is said, as by programs."""
    assert said(ask(gated(), "DELETE", "/api/topics/t", headers=headers)) == (200, "no login")


def test_looking_from_elsewhere_is_no_harm() -> None:
    """A link on another site leads here."""
    answer = ask(gated(), "GET", "/", headers={"Sec-Fetch-Site": "cross-site"})
    assert said(answer) == (200, "no login")


def test_browsers_are_told_what_pages_need() -> None:
    """No scripts in pages, no frames, no guessing of types; on errors as well."""
    for answer in (ask(gated()), ask(gated(), "POST", headers={"Origin": "null"})):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"


def test_nobody_gets_nothing() -> None:
    """Where there is a login, a program without credentials is asked for them."""
    answer = ask(gated(login_of()))
    assert said(answer) == (401, '{"message":"UNAUTHORIZED"}')
    assert answer.headers["www-authenticate"].startswith("Basic ")


def test_a_browser_is_sent_to_the_form() -> None:
    """A page that needs a login leads there and back."""
    site = gated(login_of(), base="/adm")
    answer = ask(site, "GET", "/adm/topics/a%23b?sort=depth", headers={"Accept": "text/html,*/*"})
    assert answer.status == 303
    assert answer.headers["location"] == "/adm/login?next=/adm/topics/a%2523b%3Fsort%3Ddepth"


def test_a_script_gets_no_dialog() -> None:
    """The events of a page whose session is over do not make the browser ask for a password."""
    answer = ask(gated(login_of()), "GET", "/events", headers={"Sec-Fetch-Mode": "cors"})
    assert answer.status == 401
    assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize("path", ["/login", "/ping", "/static/admin.css"])
def test_the_way_in_is_open(path: str) -> None:
    """The form and what it looks like can be seen by everybody."""
    assert said(ask(gated(login_of()), "GET", path)) == (200, " NONE")


def test_basic_and_token() -> None:
    """Both say who somebody is, and the role is the account's."""
    site = gated(login_of())
    assert said(ask(site, headers=basic("admin", "admin-secret"))) == (200, "admin ADMIN")
    assert said(ask(site, headers=bearer("ci", "ci-secret"))) == (200, "ci OPERATE")


@pytest.mark.parametrize(
    "headers",
    [
        basic("admin", "wrong"),
        basic("nobody", "admin-secret"),
        basic("ci", "ci-secret"),
        bearer("admin", "admin-secret"),
        bearer("ci", ""),
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic"},
        {"Authorization": "Bearer"},
    ],
)
def test_wrong_credentials_are_not_nobody(headers: dict[str, str]) -> None:
    """They are refused also where somebody without any may look."""
    assert ask(gated(login_of(people(anonymous=Role.VIEW))), headers=headers).status == 401


def test_an_unknown_scheme_is_nobody() -> None:
    """It may be meant for a proxy."""
    site = gated(login_of(people(anonymous=Role.VIEW)))
    assert said(ask(site, headers={"Authorization": "Digest x"})) == (200, " VIEW")


def test_config_is_for_admins() -> None:
    """Options can have secrets in them."""
    site = gated(login_of())
    target = "/config/log_level"
    assert ask(site, "GET", target, headers=basic("operate", "operate-secret")).status == 403
    assert ask(site, "GET", target, headers=basic("admin", "admin-secret")).status == 200


def test_right_credentials_are_remembered_for_a_while() -> None:
    """A program that sends them each time costs one check in five minutes."""
    clock, threads = Clock(), Threads()
    site = gated(login_of(clock=clock, threads=threads))
    for _ in range(3):
        assert ask(site, headers=bearer("ci", "ci-secret")).status == 200
    assert threads.count == 1
    clock.advance(301)
    assert ask(site, headers=bearer("ci", "ci-secret")).status == 200
    assert threads.count == 2


def test_guessing_is_stopped() -> None:
    """After ten wrong secrets nothing is looked at for a minute, not even the right one."""
    clock, threads = Clock(), Threads()
    site = gated(login_of(clock=clock, threads=threads))
    for _ in range(10):
        assert ask(site, headers=basic("admin", "guess")).status == 401
    assert ask(site, headers=basic("admin", "admin-secret")).status == 429
    assert threads.count == 10
    assert ask(site, headers=basic("view", "view-secret")).status == 200
    clock.advance(60)
    assert ask(site, headers=basic("admin", "admin-secret")).status == 200


def test_a_session() -> None:
    """It is somebody until it is closed, unused for too long, or too old."""
    clock = Clock()
    login = login_of(clock=clock)
    site = gated(login)
    who = login.sessions.open(login.file.users["view"])

    def status(session: str) -> int:
        return ask(site, headers={"Cookie": f"a=b; {SESSION_COOKIE}={session}"}).status

    assert status(who) == 200
    assert status("guess") == 401
    for _ in range(14):
        clock.advance(12 * 3600)
        assert status(who) == 200
    clock.advance(1)
    assert status(who) == 401
    idle = login.sessions.open(login.file.users["view"])
    clock.advance(12 * 3600 + 1)
    assert status(idle) == 401
    closed = login.sessions.open(login.file.users["view"])
    login.sessions.close(closed)
    assert status(closed) == 401


def test_an_account_that_is_gone_is_nobody() -> None:
    """Its sessions end, and credentials that are remembered are no use; so it is with a role that
    was changed."""
    files = [people()]
    login = Login(lambda: files[-1], Clock(), Threads())
    site = gated(login)
    session = {"Cookie": f"{SESSION_COOKIE}={login.sessions.open(files[0].users['admin'])}"}
    sent = basic("admin", "admin-secret")
    assert said(ask(site, headers=session)) == (200, "admin ADMIN")
    assert said(ask(site, headers=sent)) == (200, "admin ADMIN")
    lesser = attrs.evolve(files[0].users["admin"], role=Role.VIEW)
    files.append(LoginFile({"admin": lesser}))
    assert ask(site, headers=session).status == 401
    assert said(ask(site, headers=sent)) == (200, "admin VIEW")
    files.append(LoginFile({"somebody": lesser}))
    assert ask(site, headers=sent).status == 401
