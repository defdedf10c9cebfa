"""Messages on the pages of nsqadmin."""

from __future__ import annotations

from collections.abc import Callable

from nsqtx.nsqadmin.source import Peeked, PeekedNode
from tests.support.adminpages import NOW, Admin, Browser, elements

NewAdmin = Callable[..., Admin]


def message(body: str, **more: object) -> Peeked:
    """One that was published an hour ago."""
    fields = {
        "id": "0123456789abcdef",
        "timestamp": int((NOW - 3600) * 1e9),
        "age": int(3600e9),
        "attempts": 2,
        "size": len(body.encode()),
        "body": body,
        **more,
    }
    return Peeked(**fields)  # type: ignore[arg-type]


def test_messages(new_admin: NewAdmin) -> None:
    """JSON with its structure, text, and bytes; what is cut says so."""
    admin = new_admin()
    admin.cluster.peeked = [
        PeekedNode(
            "10.0.0.1:4151",
            [
                message('{"a":[1]}'),
                message("hello <b>"),
                message("AAE=", is_base64=True, size=2),
                message('{"a":"bbb', size=5000),
            ],
        ),
        PeekedNode("10.0.0.2:4151", error="this nsqd cannot show messages"),
    ]
    page = elements(Browser(admin).get("/peek?topic=orders&channel=billing"))
    assert [each.text for each in page.named("pre")] == [
        '{\n  "a": [\n    1\n  ]\n}',
        "hello <b>",
        f"0000  {'00 01':<47}  ..",
        '{"a":"bbb',
    ]
    main = page.first("main").text
    assert main.count("Not all of it is shown.") == 1
    assert "this nsqd cannot show messages" in main
    assert [each.text.split()[0] for each in page.named("h2")] == ["host1:4151", "host2:4151"]
    figures = page.figures()
    assert (figures["Age"], figures["Attempts"], figures["Size"]) == ("1h", "2", "4.9 KiB")


def test_what_is_asked_for(new_admin: NewAdmin) -> None:
    """State, node and number are those of the form; what makes no sense is the usual."""
    admin = new_admin()
    browser = Browser(admin)
    browser.get("/peek?topic=orders&channel=mail&state=inflight&limit=25&node=10.0.0.2:4151")
    browser.get("/peek?topic=orders&channel=mail&state=x&limit=9999&node=elsewhere:1")
    browser.get("/peek?topic=orders&state=inflight")
    both = ["10.0.0.1:4151", "10.0.0.2:4151"]
    assert admin.cluster.asked[1:] == [
        "peek orders mail ['10.0.0.2:4151'] inflight 25",
        "peek orders mail [] ready 10",
        f"peek orders  {both} ready 10",
    ]


def test_in_flight_and_deferred(new_admin: NewAdmin) -> None:
    """Who has it and until when; when it is due."""
    admin = new_admin()
    admin.cluster.peeked = [
        PeekedNode(
            "10.0.0.1:4151",
            [
                message("x", deadline=int((NOW + 30) * 1e9), client="worker"),
                message("y", due=int((NOW + 90) * 1e9)),
            ],
        )
    ]
    page = elements(Browser(admin).get("/peek?topic=orders&channel=mail&state=inflight"))
    figures = page.figures()
    assert figures["Client"] == "worker"
    assert figures["Times out"] == "in 30s"
    assert figures["Due"] == "in 1m 30s"


def test_a_cluster_that_does_not_answer(new_admin: NewAdmin) -> None:
    """502, with the reason."""
    admin = new_admin()
    admin.cluster.refusal = "nobody there"
    answer = Browser(admin).get("/peek?topic=orders")
    assert answer.status == 502
    assert "nobody there" in answer.text
