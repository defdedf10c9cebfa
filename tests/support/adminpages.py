"""The pages of nsqadmin over a cluster that is made up, in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser
from typing import Any, Protocol
from urllib.parse import urlencode

import attrs
from klein import Klein
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from nsqtx.nsqadmin.events import EventStreams
from nsqtx.nsqadmin.gate import Gate
from nsqtx.nsqadmin.history import History
from nsqtx.nsqadmin.login import Login
from nsqtx.nsqadmin.page import Pages
from nsqtx.nsqadmin.pages import add_page_routes
from nsqtx.nsqadmin.poller import Poller
from nsqtx.nsqadmin.roles import Role, identity_of
from nsqtx.nsqadmin.rows import ChannelRow, ClientRow, Figures, NodeRow, Snapshot, TopicRow
from nsqtx.nsqadmin.source import Action, Consumers, Done, Inactive, PeekedNode, Refused
from nsqtx.nsqadmin.urls import Urls
from nsqtx.web.api import ApiResource, routes_of
from nsqtx.web.site import ApiRequest, ApiSite
from tests.support.http import Connection, Response, request_bytes

__all__ = ["Admin", "Browser", "Elements", "FakeCluster", "elements", "many", "small"]

NOW = 1_700_000_000.0


_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "http://nsqd"}


class FakeCluster:
    """A cluster that has what it is given, and writes down what is asked of it."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self.snapshot = snapshot
        self.lookups = ["lookup1:4161", "lookup2:4161"]
        self.clients: list[ClientRow] = []
        self.unknown = Inactive({"old": ["a", "b"], "bare": []})
        self.peeked: list[PeekedNode] = []
        self.warnings: list[str] = []
        self.refusal = ""
        self.down = ""
        self.asked: list[str] = []
        self.acts: list[Action] = []

    def gather(self) -> Deferred[Snapshot]:
        """For the poller."""
        self.asked.append("all")
        return fail(Refused(self.down)) if self.down else succeed(self.snapshot())

    def consumers_of_channel(self, topic: str, channel: str) -> Deferred[Consumers]:
        """The clients."""
        return self._answer(f"channel {topic} {channel}", Consumers(self.clients, self.warnings))

    def consumers_of_node(self, node: str) -> Deferred[Consumers]:
        """The clients."""
        return self._answer(f"node {node}", Consumers(self.clients, self.warnings))

    def inactive(self, topics: list[str]) -> Deferred[Inactive]:
        """What nobody has."""
        return self._answer(f"inactive {topics}", self.unknown)

    def peek(
        self, topic: str, channel: str, nodes: list[str], state: str, limit: int, size: int
    ) -> Deferred[list[PeekedNode]]:
        """The messages."""
        return self._answer(f"peek {topic} {channel} {nodes} {state} {limit}", self.peeked)

    def act(self, request: ApiRequest, action: Action) -> Deferred[Done]:
        """Write it down."""
        self.acts.append(action)
        return self._answer("act", Done(self.warnings, 7 if action.do == "redrive" else None))

    def _answer(self, question: str, value: Any) -> Deferred[Any]:
        self.asked.append(question)
        return fail(Refused(self.refusal)) if self.refusal else succeed(value)


def at_once(work: Iterator[None]) -> Deferred[Any]:
    """Do all of it."""
    for _ in work:
        pass
    return succeed(None)


class PagesApi:
    """The pages and nothing else."""

    app = Klein()

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    add_page_routes(app)
    routes = routes_of(app)


class Admin:
    """An nsqadmin of pages alone."""

    site: ApiSite

    def __init__(
        self,
        snapshot: Callable[[], Snapshot] | None = None,
        login: Callable[[Clock], Login] | None = None,
        role: Role = Role.ADMIN,
        max_browsers: int = 10,
    ) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.cluster = FakeCluster(snapshot or small)
        self.role = role
        self.poller = Poller(self.cluster.gather, self.clock, 5.0, History(), at_once)
        self.streams = EventStreams(self.poller, self.clock, max_browsers)
        self.login = login(self.clock) if login is not None else None
        self.pages = Pages(
            self.cluster,
            self.poller,
            self.streams,
            self.clock,
            self.allowed,
            Urls(),
            self.login,
        )
        api = PagesApi(self.pages)
        gate = Gate(ApiResource(api.app, api.routes), "", self.login)
        self.site = ApiSite(gate, self.clock, self.body_limit)
        self.poller.start()

    def allowed(self, request: ApiRequest) -> Role:
        """The role of who has logged in, else that of everybody."""
        identity = identity_of(request)
        return identity.role if identity is not None else self.role

    def body_limit(self, method: str, path: str) -> int | None:
        """Any POST has a body."""
        return 64 * 1024 if method == "POST" else None

    def stop(self) -> None:
        """Leave no timers."""
        self.streams.stop()
        self.poller.stop()


class Served(Protocol):
    """Something with a site and a clock."""

    site: ApiSite

    @property
    def clock(self) -> Clock:
        """The clock."""


class Browser:
    """Asks for pages, keeps cookies, sends forms."""

    def __init__(self, admin: Served) -> None:
        self.admin = admin
        self.cookies: dict[str, str] = {}

    def get(self, target: str, headers: Mapping[str, str] | None = None) -> Response:
        """GET a page."""
        return self._ask("GET", target, None, {"Accept": "text/html", **(headers or {})})

    def post(self, target: str, form: str, headers: Mapping[str, str] | None = None) -> Response:
        """Send a form."""
        return self._ask("POST", target, form.encode(), {**_FORM, **(headers or {})})

    def submit(self, answer: Response, **changed: str) -> Response:
        """Send the POST form of a page, with fields changed; time passes until it is answered."""
        self.submit_later(answer, **changed)
        self.admin.clock.advance(0)
        return self.answer()

    def submit_later(self, answer: Response, **changed: str) -> None:
        """The same without waiting for the answer."""
        found = elements(answer)
        (form,) = [each for each in found.all if each.name == "form" and each["method"] == "post"]
        fields = {
            each["name"]: each.get("value")
            for each in found.named("input")
            if each.inside(form) and "name" in each.attributes
        }
        self._send("POST", form["action"], urlencode({**fields, **changed}).encode(), _FORM)

    def later(self, target: str) -> None:
        """GET without waiting for the answer."""
        self._send("GET", target, None, {})

    def answer(self) -> Response:
        """The answer that has come."""
        (answer,) = self._connection.answers()
        self._connection.lost()
        cookie = answer.headers.get("set-cookie")
        if cookie:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    def _ask(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Response:
        self._send(method, target, body, headers)
        return self.answer()

    def _send(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]
    ) -> None:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        more = {"Cookie": cookies} if cookies else {}
        self._connection = Connection(self.admin.site)
        self._connection.send(request_bytes(method, target, body, {**headers, **more}))


@attrs.define(eq=False)
class Element:
    """An element of a page."""

    name: str
    attributes: dict[str, str]
    parents: tuple[Element, ...]
    text: str = ""

    def __getitem__(self, name: str) -> str:
        return self.attributes[name]

    def get(self, name: str, default: str = "") -> str:
        """An attribute."""
        return self.attributes.get(name, default)

    def inside(self, other: Element) -> bool:
        """Whether it is somewhere in the other."""
        return other in self.parents


_VOID = frozenset(["meta", "link", "input", "br", "img", "hr", "line", "rect", "circle"])
_OPEN_ENDED = frozenset(["option"])


class Elements(HTMLParser):
    """All elements of a page. A page whose tags do not match is an error."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.all: list[Element] = []
        self._open: list[Element] = []
        self.feed(text)
        self.close()
        assert not self._open, f"not closed: {[each.name for each in self._open]}"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        element = Element(tag, {name: value or "" for name, value in attributes}, tuple(self._open))
        self.all.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """An element without contents."""
        values = {name: value or "" for name, value in attributes}
        self.all.append(Element(tag, values, tuple(self._open)))

    def handle_endtag(self, tag: str) -> None:
        """Close the one that is open."""
        assert tag not in _VOID
        assert self._open, f"</{tag}>"
        assert self._open[-1].name == tag, f"</{tag}> in {self._open[-1:]}"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        """Text belongs to all that is open."""
        for element in self._open:
            element.text += data

    def named(self, name: str) -> list[Element]:
        """All elements of a name."""
        return [each for each in self.all if each.name == name]

    def first(self, name: str) -> Element:
        """The first of them."""
        return self.named(name)[0]

    def links(self) -> dict[str, str]:
        """Where links lead, by their text."""
        return {" ".join(each.text.split()): each["href"] for each in self.named("a")}

    def figures(self) -> dict[str, str]:
        """What definition lists say."""
        names = [each.text for each in self.named("dt")]
        return dict(zip(names, [each.text for each in self.named("dd")], strict=True))

    def rows(self) -> list[list[str]]:
        """The cells of all table rows."""
        cells = [each for each in self.all if each.name in ("td", "th")]
        return [
            [" ".join(cell.text.split()) for cell in cells if cell.parents[-1] is row]
            for row in self.named("tr")
        ]


def elements(answer: Response) -> Elements:
    """Those of an answer, which must be a page."""
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return Elements(answer.text)


def small() -> Snapshot:
    """Two nodes; the topic ``orders`` with two channels on both, and ``events`` on one."""
    snapshot = Snapshot(NOW)
    for number in (1, 2):
        address = f"10.0.0.{number}:4151"
        snapshot.nodes[address] = NodeRow(
            address,
            f"host{number}",
            f"10.0.0.{number}",
            4150,
            4151,
            "1.3.0",
            lookups=["lookup1:4161/10.0.0.1:5000"],
            topics={"orders": number == 2},
        )
    snapshot.nodes["10.0.0.1:4151"].topics["events"] = False
    orders = TopicRow("orders")
    for address in snapshot.nodes:
        orders.nodes[address] = Figures(depth=1, messages=1000)
        for name, depth in (("billing", 600), ("mail", 20)):
            row = orders.channels.setdefault(name, ChannelRow("orders", name))
            row.nodes[address] = Figures(
                depth=depth, backend_depth=100, in_flight=3, clients=2, messages=900
            )
    events = TopicRow("events", nodes={"10.0.0.1:4151": Figures(depth=7, paused=True)})
    snapshot.topics = {"events": events, "orders": orders}
    return snapshot


def many(topics: int, channels: int, nodes: int) -> Snapshot:
    """A large cluster."""
    snapshot = Snapshot(NOW)
    addresses = [f"10.0.0.{number}:4151" for number in range(nodes)]
    for address in addresses:
        snapshot.nodes[address] = NodeRow(address, f"host-{address}", address[:-5], 4150, 4151)
    for number in range(topics):
        topic = snapshot.topics[f"topic{number}"] = TopicRow(f"topic{number}")
        topic.nodes = {address: Figures(depth=number, messages=number) for address in addresses}
        for each in range(channels):
            row = topic.channels[f"channel{each}"] = ChannelRow(topic.name, f"channel{each}")
            row.nodes = {address: Figures(depth=each, messages=number) for address in addresses}
    return snapshot
