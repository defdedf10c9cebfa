"""Graphite: a rate of it, and requests that are handed on (nsqadmin sections 9.3 and 9.4)."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.web.client import ResponseFailed
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from tests.support.adminapi import AdminOf
from tests.support.clusternet import Cluster
from tests.support.httpnet import Scripted

PNG = (200, b"PNG", {"Content-Type": "image/png", "Set-Cookie": "a=b", "ETag": '"1"'})


def graphite(
    answers: dict[str, Any], url: str = "http://g:80", **options: Any
) -> tuple[AdminOf, Scripted]:
    """An nsqadmin with a graphite."""
    admin = AdminOf(Cluster("t"), graphite_url=url, proxy_graphite=True, **options)
    site = admin.net.sites["g:80"] = Scripted(answers)
    return admin, site


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('[{"target":"a","datapoints":[[120,1],[7,2]]}]', {"rate": "2.00"}),
        ('[{"target":"a","datapoints":[[1.234,1]]}]', {"rate": "0.02"}),
        ('[{"datapoints":[[0,1]]},{"datapoints":[[9,1]]}]', {"rate": "0.00"}),
        ('[{"datapoints":[[-5,1]]}]', {"rate": "N/A"}),
        ('[{"datapoints":[[null,1]]}]', None),
        ('[{"datapoints":[[true,1]]}]', None),
        ('[{"datapoints":[]}]', None),
        ("[]", None),
        ("{}", None),
        ("<html>", None),
    ],
)
def test_rate(body: str, expected: dict[str, str] | None) -> None:
    """The first figure of the first series by the seconds of an interval, or it is an error."""
    admin, site = graphite({"GET /render": (200, body.encode())})
    answer = admin.get("/api/graphite?metric=rate&target=a.b%20c")
    if expected is None:
        assert (answer.status, answer.message) == (500, "INTERNAL_ERROR")
    else:
        assert answer.json == expected
    assert site.requests == ["GET /render?format=json&from=-120sec&target=a.b+c&until=-60sec"]


def test_rate_of_another_interval_and_place() -> None:
    """The interval is nsqd's; a path and a user of the URL are used."""
    admin, site = graphite(
        {"GET /graph/render": (200, b'[{"datapoints":[[50,1]]}]')},
        "http://u:p@g:80/graph/",
        statsd_interval=10 * 10**9,
    )
    assert admin.get("/api/graphite?metric=rate&target=x").json == {"rate": "5.00"}
    assert site.requests == ["GET /graph/render?format=json&from=-20sec&target=x&until=-10sec"]
    assert site.headers[0]["authorization"] == "Basic dTpw"


def test_handing_on() -> None:
    """Query, Host and most headers go on; of what comes back, what an image needs."""
    admin, site = graphite({"GET /render": PNG})
    answer = admin.get("/render?target=x&from=-5min", Accept="text/x")
    assert (answer.status, answer.body) == (200, b"PNG")
    assert (answer.header("Content-Type"), answer.header("ETag")) == ("image/png", '"1"')
    assert answer.header("Set-Cookie") == ""
    assert site.requests == ["GET /render?target=x&from=-5min"]
    assert site.headers[0]["host"] == "admin:4171"
    assert site.headers[0]["accept"] == "text/x"
    assert site.headers[0]["x-forwarded-for"] == "127.0.0.1"


def test_what_lets_somebody_in_here_stays_here() -> None:
    """Cookies and credentials are not for graphite; its own are in its URL."""
    admin, site = graphite({"GET /render": PNG}, "http://u:p@g:80")
    headers = {"Cookie": "session=1", "Authorization": "Basic eDp5", "X-Forwarded-For": "10.0.0.1"}
    admin.get("/render", **headers)
    assert "cookie" not in site.headers[0]
    assert site.headers[0]["authorization"] == "Basic dTpw"
    assert site.headers[0]["x-forwarded-for"] == "10.0.0.1, 127.0.0.1"


def test_handing_on_under_a_base_path() -> None:
    """Graphite has a path of its own, and knows nothing of ours."""
    admin, site = graphite({"GET /graph/render": PNG}, "http://g:80/graph", base_path="/adm")
    assert admin.get("/adm/render?a=b").status == 200
    assert site.requests == ["GET /graph/render?a=b"]


def test_only_if_it_is_asked_for() -> None:
    """Without ``--proxy-graphite`` there is no such path."""
    admin = AdminOf(Cluster("t"), graphite_url="http://g:80")
    assert (admin.get("/render").status, admin.ask("OPTIONS", "/render").status) == (404, 404)


def test_what_graphite_says_of_errors() -> None:
    """Is handed on as well; that it is not there, or slow, is 502."""
    admin, site = graphite({"GET /render": (400, b"no such target")})
    answer = admin.get("/render")
    assert (answer.status, answer.body) == (400, b"no such target")
    site.answers["GET /render"] = None
    asking = admin.begin("GET", "/render")
    admin.net.flush()
    admin.net.clock.advance(5.1)
    assert admin.net.result(asking).status == 502
    admin.cluster.down("g:80")
    answer = admin.get("/render")
    assert (answer.status, answer.body) == (502, b"")


def test_a_browser_that_leaves_ends_the_request() -> None:
    """Nothing waits for an answer that nobody wants."""
    admin, _ = graphite({"GET /render": None})
    asking = admin.begin("GET", "/render")
    admin.net.flush()
    asking.addErrback(lambda failure: None)
    asking.cancel()
    admin.net.flush()
    assert not [call for call in admin.net.clock.getDelayedCalls() if call.active()]


def test_an_answer_that_breaks_off() -> None:
    """Does not look whole: the connection to the browser ends, too."""
    admin = AdminOf(Cluster("t"), graphite_url="http://g:80", proxy_graphite=True)
    admin.net.sites["g:80"] = Site(Breaking())
    error = admin.net.error(admin.begin("GET", "/render"))
    assert isinstance(error, ResponseFailed)


class Breaking(Resource):
    """Sends a part of what it has said it would, and hangs up."""

    isLeaf = True

    def render(self, request: Any) -> int:
        """There is nothing more to come."""
        request.setHeader("Content-Length", "100")
        request.write(b"half")
        request.transport.loseConnection()
        return NOT_DONE_YET
