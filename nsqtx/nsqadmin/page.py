"""One page, from a template: what all pages have in common.

Templates are in ``templates/``, and escape whatever they are given. A page that is asked for with
the header ``X-Nsqadmin-Part`` comes without what is around its main part: so does the script
renew an open page.
"""

# Most of twisted.web has no annotations.
# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from nsqtx.nsqadmin import charts, formats
from nsqtx.nsqadmin.assets import Assets
from nsqtx.nsqadmin.cookies import read_cookie
from nsqtx.nsqadmin.csrf import FormTokens
from nsqtx.nsqadmin.errors import PageError
from nsqtx.nsqadmin.events import EventStreams
from nsqtx.nsqadmin.forms import page_args
from nsqtx.nsqadmin.graphs import SPANS, Graph, Graphs
from nsqtx.nsqadmin.login import Login
from nsqtx.nsqadmin.notes import Note, Notes
from nsqtx.nsqadmin.poller import Poller, SharedAnswers
from nsqtx.nsqadmin.roles import Role, identity_of, may
from nsqtx.nsqadmin.rows import Snapshot
from nsqtx.nsqadmin.source import ClusterSource
from nsqtx.nsqadmin.urls import Urls
from nsqtx.version import NSQ_VERSION, __version__
from nsqtx.web.site import ApiRequest

if TYPE_CHECKING:
    from typing import Protocol

    class HasPages(Protocol):
        """An API that has pages."""

        pages: Pages


__all__ = ["THEMES", "THEME_COOKIE", "Pages", "page"]

THEME_COOKIE = "nsqadmin_theme"
THEMES = ("auto", "light", "dark")

_Endpoint = Callable[..., Any]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("nsqtx.nsqadmin"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=formats.count,
        rate=formats.rate,
        size=formats.size,
        span=formats.span,
        ago=formats.ago,
        stamp=formats.stamp,
        ordinal=formats.ordinal,
    )
    environment.globals.update(chart=charts.chart, sparkline=charts.sparkline, shares=charts.shares)
    return environment


class Pages:
    """What the pages are made of.

    :param allowed: the role of who makes a request.
    :param login: None: there is none, and no form for it.
    """

    def __init__(
        self,
        source: ClusterSource,
        poller: Poller,
        streams: EventStreams,
        clock: IReactorTime,
        allowed: Callable[[ApiRequest], Role],
        urls: Urls,
        login: Login | None = None,
        assets: Assets | None = None,
        graphs: Graphs | None = None,
    ) -> None:
        self.source = source
        self.poller = poller
        self.streams = streams
        self.clock = clock
        self.allowed = allowed
        self.urls = urls
        self.login = login
        self.assets = assets or Assets()
        self.graphs = graphs
        self.shared = SharedAnswers(clock, poller.interval)
        self.tokens = FormTokens()
        self.notes = Notes(clock)
        self._environment = _environment()

    async def snapshot(self) -> Snapshot:
        """The cluster as the poller saw it last.

        :raises PageError: it never saw it.
        """
        await self.poller.known()
        if self.poller.snapshot is None:
            raise PageError(502, self.poller.error or "nsqadmin stops.")
        return self.poller.snapshot

    def graphs_for(
        self, request: ApiRequest, draw: Callable[[Graphs, str], list[Graph]]
    ) -> dict[str, Any]:
        """What the template ``graphs.html`` needs: what ``draw`` gives for the time asked for."""
        if self.graphs is None:
            return {"graphs": None}
        span = Graphs.span(page_args(request))
        graphs = [] if span == "off" else draw(self.graphs, span)
        return {"graphs": graphs, "span": span, "spans": SPANS}

    def require(self, request: ApiRequest, action: str) -> None:
        """Go on only if who makes the request may do that.

        :raises PageError: 403.
        """
        if not may(self.allowed(request), action):
            raise PageError(403, f"Your role does not allow this: {action}.")

    def render(self, request: ApiRequest, template: str, **context: Any) -> bytes:
        """The page."""
        role = self.allowed(request)
        identity = identity_of(request)
        part = request.requestHeaders.hasHeader("x-nsqadmin-part")
        if part:
            # As often as there is news, from every open page.
            request.logged = False
        here = request.uri.decode("latin-1")
        theme = read_cookie(request, THEME_COOKIE)
        session = identity is not None and bool(identity.session)
        snapshot = self.poller.snapshot
        text = self._environment.get_template(template).render(
            layout="part.html" if part else "base.html",
            u=self.urls,
            asset=lambda name: self.urls.static(name, self.assets.version(name)),
            may=lambda action: may(role, action),
            identity=identity,
            has_login=self.login is not None,
            token=self.tokens.issue(request, self.urls.home) if session else "",
            theme=theme if theme in THEMES else "auto",
            here=here,
            note=self._note(request),
            lookups=self.source.lookups,
            history=self.poller.history,
            poll_error=self.poller.error,
            poll_warnings=snapshot.warnings if snapshot is not None else [],
            polled_at=snapshot.at if snapshot is not None else None,
            now=self.clock.seconds(),
            version=NSQ_VERSION,
            own_version=__version__,
            **context,
        )
        body = text.encode("utf-8", "replace")
        request.set_header(b"Content-Type", b"text/html; charset=utf-8")
        request.set_header(b"Cache-Control", b"no-store")
        request.set_header(b"Content-Length", b"%d" % len(body))
        return body

    def _note(self, request: ApiRequest) -> Note | None:
        """What became of the action that led here. An address that is malformed has none: the page
        that says so is made here, too."""
        try:
            return self.notes.find(page_args(request).get("note", ""))
        except PageError:
            return None

    def render_error(self, request: ApiRequest, error: PageError) -> bytes:
        """The page that stands for one that is not there."""
        request.setResponseCode(error.status)
        more = {"hint": "", "link": "", **error.more}
        return self.render(
            request, "error.html", status=error.status, text=error.text, active="", **more
        )

    def redirect(self, request: ApiRequest, target: str) -> bytes:
        """Send the browser elsewhere, to GET it."""
        request.setResponseCode(303)
        request.set_header(b"Location", target.encode("ascii", "replace"))
        request.set_header(b"Content-Length", b"0")
        request.set_header(b"Cache-Control", b"no-store")
        return b""


def page(endpoint: _Endpoint) -> _Endpoint:
    """Answer with what a coroutine ``endpoint(pages, request, ...)`` returns, or with the page of
    the `PageError` that it raises."""

    @wraps(endpoint)
    def answering(api: HasPages, request: ApiRequest, *args: Any, **kwargs: Any) -> Any:
        pages = api.pages

        async def answer() -> Any:
            try:
                return await endpoint(pages, request, *args, **kwargs)
            except PageError as error:
                return pages.render_error(request, error)

        return Deferred.fromCoroutine(answer())

    return answering
