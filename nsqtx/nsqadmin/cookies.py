"""The cookies of the pages: none of them is for scripts, none comes with other sites' forms."""

from __future__ import annotations

from nsqtx.web.site import ApiRequest

__all__ = ["drop_cookie", "is_https", "read_cookie", "set_cookie"]


def read_cookie(request: ApiRequest, name: str) -> str:
    """The value of a cookie, empty if there is none; the first of several wins."""
    wanted = name.encode()
    for header in request.requestHeaders.getRawHeaders(b"cookie", []):
        for part in header.split(b";"):
            key, _, value = part.strip().partition(b"=")
            if key == wanted:
                return value.decode("latin-1")
    return ""


def set_cookie(
    request: ApiRequest, name: str, value: str, path: str, lifetime: int | None = None
) -> None:
    """Set a cookie for everything under ``path``; for ``lifetime`` seconds, or until the browser
    is closed."""
    request.addCookie(
        name,
        value,
        path=path,
        max_age=None if lifetime is None else str(lifetime),
        secure=is_https(request),
        httpOnly=True,
        sameSite="Lax",
    )


def drop_cookie(request: ApiRequest, name: str, path: str) -> None:
    """Have the browser forget a cookie."""
    set_cookie(request, name, "", path, lifetime=0)


def is_https(request: ApiRequest) -> bool:
    """Whether the browser speaks HTTPS, to us or to a proxy that says so."""
    said = request.getHeader("x-forwarded-proto") or request.getHeader("x-scheme") or ""
    return bool(request.isSecure()) or said.lower() == "https"
