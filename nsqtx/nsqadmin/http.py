"""nsqadmin over HTTP: the API, what it can be told, files, pages (nsqadmin sections 3 to 10).

The app knows paths without a base path; `UnderBase` puts it there.
"""

# Most of twisted.web has no annotations.
# mypy: allow-untyped-calls

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from klein import Klein
from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource

from nsqtx.nsqadmin.api_actions import add_action_routes
from nsqtx.nsqadmin.api_config import add_config_routes
from nsqtx.nsqadmin.api_read import add_read_routes
from nsqtx.nsqadmin.gate import Gate
from nsqtx.nsqadmin.graphite import add_graphite_routes
from nsqtx.nsqadmin.openapi import OPERATIONS
from nsqtx.nsqadmin.page import Pages
from nsqtx.nsqadmin.pages import add_page_routes
from nsqtx.nsqadmin.roles import Role, may
from nsqtx.web.api import ApiError, plain, routes_of
from nsqtx.web.base import UnderBase
from nsqtx.web.compression import Compressing
from nsqtx.web.openapi import add_openapi_route
from nsqtx.web.site import ApiRequest, ApiSite

if TYPE_CHECKING:
    from nsqtx.nsqadmin.admin import Admin

__all__ = ["AdminApi"]

#: The largest body of any request, in bytes.
MAX_BODY = 1024 * 1024


class AdminApi:
    """The endpoints of one nsqadmin."""

    app = Klein()

    def __init__(self, admin: Admin) -> None:
        self.admin = admin

    @property
    def clock(self) -> IReactorTime:
        """The clock that everything goes by."""
        return self.admin.clock

    @property
    def pages(self) -> Pages:
        """What the pages are made of."""
        return self.admin.pages

    def resource(self) -> IResource:
        """What answers requests."""
        options = self.admin.options
        without = () if options.proxy_graphite else ("/render",)
        inner = UnderBase(self.app, self.routes.under(self.admin.base, without), self.admin.base)
        images = _origin(options.graphite_url)
        return Compressing(Gate(inner, self.admin.base, self.pages.login, images))

    def site(self) -> ApiSite:
        """A site that serves this, for an endpoint to listen with."""
        return ApiSite(self.resource(), self.clock, self.body_limit)

    def require(self, request: ApiRequest, action: str) -> None:
        """Go on only if who makes the request may do that; empty: if there is anything they may.

        :raises ApiError: 403.
        """
        role = self.admin.role_of(request)
        if not (may(role, action) if action else role > Role.VIEW):
            raise ApiError(403, "FORBIDDEN")

    def body_limit(self, method: str, path: str) -> int | None:
        """How much of a body is read."""
        return MAX_BODY if method in ("POST", "PUT", "DELETE") else None

    @app.route("/ping", methods=["GET"])
    @plain
    def ping(self, _request: ApiRequest) -> str:
        """``OK``, always."""
        return "OK"

    add_read_routes(app)
    add_action_routes(app)
    add_graphite_routes(app)
    add_config_routes(app)
    add_page_routes(app)
    add_openapi_route(app, "nsqadmin", OPERATIONS)
    routes = routes_of(app)


def _origin(url: str) -> str:
    """Scheme, host and port of a URL; empty for what is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else ""
