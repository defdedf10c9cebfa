"""A small API that shows what `nsqtx.web` makes of endpoints."""

from __future__ import annotations

from typing import Any

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from nsqtx.web.api import ApiError, ApiResource, plain, query_of, routes_of, unlogged, v1
from nsqtx.web.debug import add_debug_routes
from nsqtx.web.site import ApiRequest, ApiSite

__all__ = ["ShowApi"]

LIMIT = 10


class ShowApi:
    """Gives back what it is told to."""

    app = Klein()

    def __init__(self) -> None:
        self.clock = Clock()
        self.value: Any = "OK"
        self.waiting: list[Deferred[Any]] = []
        self.bodies: list[tuple[bytes, bool, bool]] = []
        self.limit = LIMIT
        self.site = ApiSite(ApiResource(self.app, self.routes), self.clock, self.body_limit)

    def body_limit(self, method: str, path: str) -> int | None:
        """Only ``POST /body`` has one."""
        return self.limit if (method, path) == ("POST", "/body") else None

    @app.route("/value", methods=["GET"])
    @v1
    def show(self, request: ApiRequest) -> Any:
        """The value that was set."""
        query_of(request)
        return self.value

    @app.route("/plain", methods=["GET"])
    @plain
    def show_plain(self, _request: ApiRequest) -> Any:
        """The same as plain text."""
        return self.value

    @app.route("/later", methods=["GET", "POST"])
    @v1
    def later(self, _request: ApiRequest) -> Any:
        """A value that comes when the test fires it."""
        deferred: Deferred[Any] = Deferred()
        self.waiting.append(deferred)
        return deferred

    @app.route("/body", methods=["POST"])
    @unlogged
    @v1
    def take(self, request: ApiRequest) -> str:
        """Keep the body."""
        self.bodies.append((request.body, request.body_too_big, request.body_broken))
        if request.body_too_big:
            raise ApiError(413, "BODY_TOO_BIG")
        return "OK"

    @app.route("/refuse", methods=["GET", "POST"])
    @v1
    def refuse(self, _request: ApiRequest) -> str:
        """One of NSQ's errors."""
        raise ApiError(400, "MISSING_ARG_TOPIC")

    @app.route("/bug", methods=["GET"])
    @v1
    def bug(self, _request: ApiRequest) -> str:
        """One of ours."""
        raise ZeroDivisionError("the cat")

    @app.route("/item/<name>", methods=["GET"])
    @v1
    def item(self, _request: ApiRequest, name: str) -> str:
        """The name, as it was understood."""
        return name

    add_debug_routes(app)
    routes = routes_of(app)
