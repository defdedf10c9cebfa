"""What every request passes before anything answers it: headers for browsers, sites, login.

The gate is a resource in front of all others. It puts who makes a request into the request
(`nsqtx.nsqadmin.roles.identity_of`); what they may do is looked at where it is done, except for
what is behind no other check: seeing anything takes `Role.VIEW`, and ``/config`` `Role.ADMIN`.
"""

# Most of twisted.web has no annotations.
# mypy: allow-untyped-calls

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import quote

from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET

from nsqtx.nsqadmin.csrf import is_cross_site
from nsqtx.nsqadmin.login import Login, TooManyAttempts, WrongCredentials
from nsqtx.nsqadmin.roles import Identity, IIdentity, Role
from nsqtx.web.api import answer_v1
from nsqtx.web.site import ApiRequest

__all__ = ["Gate", "set_browser_headers"]

#: Open to everybody, so that there is a way in.
_OPEN = ("/login", "/ping", "/theme", "/static/", "/fonts/")
#: Paths that are no pages: nobody is sent from there to a form.
_NO_PAGES = ("/api/", "/config/", "/render", "/events")


def set_browser_headers(request: ApiRequest, images: str = "") -> None:
    """Tell browsers what our pages need, so that they allow nothing else.

    :param images: where images may come from beside us: an origin, for graphite.
    """
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        f"img-src 'self' {images}".rstrip()
        + "; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    request.set_header(b"Content-Security-Policy", policy.encode("ascii", "ignore"))
    request.set_header(b"X-Content-Type-Options", b"nosniff")
    request.set_header(b"X-Frame-Options", b"DENY")
    request.set_header(b"Referrer-Policy", b"same-origin")
    request.set_header(b"Cross-Origin-Resource-Policy", b"same-origin")
    request.set_header(b"Cross-Origin-Opener-Policy", b"same-origin")


class Gate(Resource):
    """In front of ``inner``.

    :param base: the base path without a slash at its end: empty, or ``/adm``.
    :param login: None: there is none, everybody passes.
    :param images: see `set_browser_headers`.
    """

    isLeaf = True

    def __init__(
        self, inner: IResource, base: str = "", login: Login | None = None, images: str = ""
    ) -> None:
        super().__init__()
        self._inner = inner
        self._base = base
        self._login = login
        self._images = images

    def render(self, request: ApiRequest) -> Any:
        """Let it through, or answer it."""
        set_browser_headers(request, self._images)
        if is_cross_site(request):
            return _refuse(request, 403, "CROSS_SITE_REQUEST")
        if self._login is None:
            return self._inner.render(request)
        identified = self._login.identify(request)
        identified.addCallbacks(
            partial(self._identified, request), partial(self._unknown, request)
        ).addErrback(request.processingFailed)
        return NOT_DONE_YET

    def _identified(self, request: ApiRequest, identity: Identity) -> None:
        if request.finished or request._disconnected:
            return
        request.setComponent(IIdentity, identity)
        path = request.path_text.removeprefix(self._base)
        needed = Role.ADMIN if path.startswith("/config/") else Role.VIEW
        if identity.role >= needed or path.startswith(_OPEN):
            request.render(self._inner)
        elif identity.role is Role.NONE and _is_page(request, path):
            target = request.uri.decode("latin-1")
            request.setResponseCode(303)
            request.set_header(b"Location", f"{self._base}/login?next={quote(target)}".encode())
            request.set_header(b"Content-Length", b"0")
            request.finish()
        elif identity.role is Role.NONE:
            self._challenge(request)
        else:
            _finish(request, _refuse(request, 403, "FORBIDDEN"))

    def _unknown(self, request: ApiRequest, failure: Failure) -> None:
        if request.finished or request._disconnected:
            return
        if failure.check(TooManyAttempts):
            _finish(request, _refuse(request, 429, "TOO_MANY_ATTEMPTS"))
        elif failure.check(WrongCredentials):
            self._challenge(request)
        else:
            request.processingFailed(failure)

    def _challenge(self, request: ApiRequest) -> None:
        if request.getHeader("sec-fetch-mode") in (None, "navigate"):
            # Scripts of a page get no dialog of the browser.
            request.set_header(b"WWW-Authenticate", b'Basic realm="nsqadmin", charset="UTF-8"')
        _finish(request, _refuse(request, 401, "UNAUTHORIZED"))


def _is_page(request: ApiRequest, path: str) -> bool:
    accepted = request.getHeader("accept") or ""
    return request.method == b"GET" and "text/html" in accepted and not path.startswith(_NO_PAGES)


def _refuse(request: ApiRequest, status: int, token: str) -> bytes:
    request.setResponseCode(status)
    return answer_v1(request, {"message": token})


def _finish(request: ApiRequest, body: bytes) -> None:
    request.write(body)
    request.finish()
