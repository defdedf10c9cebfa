"""Logging in and out, and the choice between light and dark."""

from __future__ import annotations

from klein import Klein

from nsqtx.nsqadmin.cookies import drop_cookie, set_cookie
from nsqtx.nsqadmin.errors import PageError
from nsqtx.nsqadmin.forms import page_args, read_form
from nsqtx.nsqadmin.login import (
    SESSION_COOKIE,
    Login,
    TooManyAttempts,
    WrongCredentials,
    peer_of,
)
from nsqtx.nsqadmin.page import THEME_COOKIE, THEMES, Pages, page
from nsqtx.nsqadmin.roles import identity_of
from nsqtx.web.site import ApiRequest

__all__ = ["add_login_routes"]

YEAR = 365 * 24 * 3600


def add_login_routes(app: Klein) -> None:
    """Add the form and what it is sent to."""

    @app.route("/login", methods=["GET"])
    @page
    async def show_login(pages: Pages, request: ApiRequest) -> bytes:
        _login(pages)
        return _form(pages, request, page_args(request).get("next", ""))

    @app.route("/login", methods=["POST"])
    @page
    async def log_in(pages: Pages, request: ApiRequest) -> bytes:
        login = _login(pages)
        form = read_form(request)
        back = form.get("next", "")
        if not pages.tokens.check(request, form.get("token", "")):
            return _form(pages, request, back, 403, "The form was out of date. Please try again.")
        name, secret = form.get("name", ""), form.get("secret", "")
        try:
            who = await login.log_in(name, secret, peer_of(request))
        except WrongCredentials:
            return _form(pages, request, back, 401, "This name and password do not match.")
        except TooManyAttempts:
            return _form(pages, request, back, 429, "Too many attempts. Try again in a minute.")
        set_cookie(request, SESSION_COOKIE, who.session, pages.urls.home)
        return pages.redirect(request, back if pages.urls.is_ours(back) else pages.urls.home)

    @app.route("/logout", methods=["POST"])
    @page
    async def log_out(pages: Pages, request: ApiRequest) -> bytes:
        login = _login(pages)
        if not pages.tokens.check(request, read_form(request).get("token", "")):
            raise PageError(403, "This form is out of date, or not from here.")
        identity = identity_of(request)
        if identity is not None:
            login.sessions.close(identity.session)
        drop_cookie(request, SESSION_COOKIE, pages.urls.home)
        return pages.redirect(request, pages.urls.home)

    @app.route("/theme", methods=["GET"])
    @page
    async def choose_theme(pages: Pages, request: ApiRequest) -> bytes:
        args = page_args(request)
        if args.get("set") in THEMES:
            set_cookie(request, THEME_COOKIE, args["set"], pages.urls.home, YEAR)
        back = args.get("next", "")
        return pages.redirect(request, back if pages.urls.is_ours(back) else pages.urls.home)


def _login(pages: Pages) -> Login:
    if pages.login is None:
        raise PageError(404, "There is no login here.")
    return pages.login


def _form(
    pages: Pages, request: ApiRequest, back: str, status: int = 200, problem: str = ""
) -> bytes:
    request.setResponseCode(status)
    return pages.render(
        request,
        "login.html",
        active="login",
        next=back if pages.urls.is_ours(back) else "",
        problem=problem,
        form_token=pages.tokens.issue(request, pages.urls.home),
    )
