"""Requests that another site has a browser make in somebody's name: found, to be refused.

Two ways, and a form of ours must pass both:

* what browsers say of themselves: ``Sec-Fetch-Site``, else ``Origin``. Programs send neither, and
  are not kept out: they have no cookies that somebody else could use.
* a token in the form, which belongs to a cookie that no other site can read or set.
"""

from __future__ import annotations

import hmac
import secrets
from urllib.parse import urlsplit

from nsqtx.nsqadmin.cookies import read_cookie, set_cookie
from nsqtx.nsqadmin.roles import identity_of
from nsqtx.web.site import ApiRequest

__all__ = ["FORM_COOKIE", "FormTokens", "is_cross_site"]

FORM_COOKIE = "nsqadmin_form"
_SAFE = (b"GET", b"HEAD", b"OPTIONS")


def is_cross_site(request: ApiRequest) -> bool:
    """Whether this request changes something and comes from a page of another site."""
    if request.method in _SAFE:
        return False
    site = request.getHeader("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.getHeader("origin")
    if origin is None:
        return False
    # A page cannot have a browser send X-Forwarded-Host to us: it would ask us first, by OPTIONS.
    hosts = (request.getHeader("host"), request.getHeader("x-forwarded-host"))
    try:
        host = urlsplit(origin).netloc.lower()
    except ValueError:
        return True
    return not host or host not in [each.lower() for each in hosts if each]


class FormTokens:
    """The tokens of our forms. They are good as long as this process runs.

    Each is made anew, so that what a page looks like when it is compressed says nothing of it.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def issue(self, request: ApiRequest, path: str) -> str:
        """A token for a form that answers this request; sets the cookie it belongs to."""
        cookie = read_cookie(request, FORM_COOKIE)
        if not 20 <= len(cookie) <= 64:
            cookie = secrets.token_urlsafe(24)
            set_cookie(request, FORM_COOKIE, cookie, path)
        return self._token(request, cookie, secrets.token_hex(8))

    def check(self, request: ApiRequest, token: str) -> bool:
        """Whether a form came with a token that it was given."""
        cookie = read_cookie(request, FORM_COOKIE)
        expected = self._token(request, cookie, token.partition(".")[0]).encode()
        return bool(cookie) and hmac.compare_digest(expected, token.encode("utf-8", "replace"))

    def _token(self, request: ApiRequest, cookie: str, salt: str) -> str:
        identity = identity_of(request)
        session = identity.session if identity is not None else ""
        signed = f"{salt}\0{cookie}\0{session}".encode("utf-8", "replace")
        return f"{salt}.{hmac.new(self._key, signed, 'sha256').hexdigest()}"
