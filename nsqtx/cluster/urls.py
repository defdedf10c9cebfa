"""Where a daemon answers HTTP, in the forms in which people write it (client section 4.1).

=============================  ===================================================
``host:4161``, ``[::1]:4161``  plain HTTP there
``host``                       plain HTTP at the daemon's usual port
``https://host:4162/nsq``      a URL: another scheme, a path, a query, a user
=============================  ===================================================
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import SplitResult, quote_plus, unquote, urlsplit

import attrs

__all__ = ["DaemonUrl", "authorization_of", "place_text", "query_text"]


def place_text(host: str, port: int) -> str:
    """``host:port``, IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def query_text(fields: Mapping[str, str]) -> str:
    """Parameters as a query, escaped as forms are."""
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in fields.items())


def authorization_of(parts: SplitResult) -> str:
    """The value of an Authorization header for the user that a URL names; empty: it names none."""
    if parts.username is None:
        return ""
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + b64encode(pair.encode()).decode("ascii")


@attrs.frozen
class DaemonUrl:
    """A daemon's place. Texts are as they go into a URL."""

    #: Scheme, host and port: ``http://host:4161``.
    root: str
    #: IPv6 without brackets.
    host: str
    port: int
    #: Beginning with a slash, not ending with one; or empty.
    path: str = ""
    query: str = ""
    #: The value of an Authorization header, if the URL names a user.
    authorization: str = ""

    @classmethod
    def parse(cls, text: str, default_port: int) -> DaemonUrl:
        """Read one of the forms above; ``default_port`` is for a host alone.

        :raises ValueError: it is none.
        """
        is_url = "://" in text
        parts = urlsplit(text if is_url else f"http://{text}")
        wrong = f"{text!r} is neither host:port nor a URL of http or https"
        try:
            port = parts.port
        except ValueError:
            raise ValueError(wrong) from None
        host = parts.hostname
        if parts.scheme not in ("http", "https") or not host or port == 0:
            raise ValueError(wrong)
        extra = parts.path or parts.query or parts.username is not None
        if (extra and not is_url) or parts.fragment or any(each.isspace() for each in text):
            raise ValueError(wrong)
        if port is None:
            usual = 443 if parts.scheme == "https" else 80
            port = usual if is_url else default_port
        root = f"{parts.scheme}://{place_text(host, port)}"
        path = parts.path.rstrip("/")
        return cls(root, host, port, path, parts.query, authorization_of(parts))

    def at(self, path: str, query: str = "") -> str:
        """The URL of a path, in which parameters of the daemon's own URL stay."""
        both = "&".join(part for part in (self.query, query) if part)
        return f"{self.root}{path}?{both}" if both else f"{self.root}{path}"
