"""Publishing over HTTP: every error token in its order (nsqd-http section 6)."""

from __future__ import annotations

from struct import pack

import pytest
from twisted.logger import LogLevel, capturedLogs

from nsqtx.interfaces import StorageError
from tests.support.http import Connection, request_bytes
from tests.support.lists import ListLog
from tests.support.nsqdapi import Nsqd, RefusingStore, binary, token

LONG = "x" * 65
MS = 10**6


@pytest.fixture
def nsqd() -> Nsqd:
    """An nsqd with --max-msg-size 100 and --max-body-size 200."""
    return Nsqd()


@pytest.mark.parametrize("path", ["/pub", "/put"])
def test_pub(nsqd: Nsqd, path: str) -> None:
    """A body becomes a message as it is; the historical name does the same."""
    answer = nsqd.post(f"{path}?topic=t&topic=u", b"a\r\nb\n\0\xff")
    assert (answer.status, answer.body) == (200, b"OK")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert nsqd.bodies("t") == [b"a\r\nb\n\0\xff"]


def test_pub_of_a_form(nsqd: Nsqd) -> None:
    """The Content-Type does not matter: a form is published as the text it is."""
    connection = Connection(nsqd.site)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.send(request_bytes("POST", "/pub?topic=t", b"a=b&topic=x", headers))
    assert [answer.status for answer in connection.answers()] == [200]
    assert nsqd.bodies("t") == [b"a=b&topic=x"]


@pytest.mark.parametrize("path", ["/pub", "/put"])
@pytest.mark.parametrize(
    ("query", "body", "expected"),
    [
        ("?topic=%zz", b"x" * 101, (413, "MSG_TOO_BIG")),
        ("?topic=%zz", b"", (400, "MSG_EMPTY")),
        ("", b"", (400, "MSG_EMPTY")),
        ("?topic=%zz", b"x", (400, "INVALID_REQUEST")),
        ("?topic=t;", b"x", (400, "INVALID_REQUEST")),
        ("?Topic=t&defer=x", b"x", (400, "MISSING_ARG_TOPIC")),
        ("?", b"x", (400, "MISSING_ARG_TOPIC")),
        ("?topic", b"x", (400, "INVALID_TOPIC")),
        ("?topic=", b"x", (400, "INVALID_TOPIC")),
        ("?topic=a:b&defer=x", b"x", (400, "INVALID_TOPIC")),
        ("?topic=t%0A", b"x", (400, "INVALID_TOPIC")),
        ("?topic=%23ephemeral", b"x", (400, "INVALID_TOPIC")),
        (f"?topic={LONG}", b"x", (400, "INVALID_TOPIC")),
    ],
)
def test_pub_errors(
    nsqd: Nsqd, path: str, query: str, body: bytes, expected: tuple[int, str]
) -> None:
    """The body is checked before the query, and no topic is made."""
    assert token(nsqd.post(path + query, body)) == expected
    assert nsqd.node.broker.topics == {}


@pytest.mark.parametrize(
    ("defer", "delay"),
    [("0", 0), ("-0", 0), ("5", 5), ("%2B5", 5), ("0" * 5000 + "7", 7), ("3600000", 3600000)],
)
def test_defer(nsqd: Nsqd, defer: str, delay: int) -> None:
    """A message may be deferred by up to --max-req-timeout."""
    assert nsqd.post(f"/pub?topic=t&defer={defer}", b"x").body == b"OK"
    (batch,) = nsqd.log("t").batches
    assert batch.due == (nsqd.node.broker.now() + delay * MS if delay else 0)


@pytest.mark.parametrize(
    "defer",
    ["", "abc", "-1", "3600001", "1.5", "+5", "1_0", "%C2%B2", "9" * 20, "9" * 5000],
)
def test_bad_defer(nsqd: Nsqd, defer: str) -> None:
    """Any other delay is refused, when the topic has been made already."""
    answer = nsqd.post(f"/pub?topic=t&defer={defer}", b"x")
    assert token(answer) == (400, "INVALID_DEFER")
    assert list(nsqd.node.broker.topics) == ["t"]
    assert nsqd.bodies("t") == []


@pytest.mark.parametrize(
    ("size", "status"), [(100, 200), (101, 413)], ids=["at the limit", "over it"]
)
def test_pub_chunked(nsqd: Nsqd, size: int, status: int) -> None:
    """The limit holds for chunked bodies too."""
    connection = Connection(nsqd.site)
    chunks = [b"x" * 60, b"x" * (size - 60)]
    connection.send(request_bytes("POST", "/pub?topic=t", chunks=chunks))
    (answer,) = connection.answers()
    assert answer.status == status
    if status == 413:
        assert token(answer) == (413, "MSG_TOO_BIG")


@pytest.mark.parametrize("path", ["/pub", "/mpub"])
def test_broken_body(nsqd: Nsqd, path: str) -> None:
    """A body that cannot be read to its end is a 500, and nothing is published."""
    connection = Connection(nsqd.site)
    head = f"POST {path}?topic=t HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    connection.send(head.encode() + b"3\r\nabc\r\nnonsense\r\n")
    (answer,) = connection.answers()
    assert token(answer) == (500, "INTERNAL_ERROR")
    assert nsqd.node.store.logs.get("t", ListLog()).batches == []


@pytest.mark.parametrize("path", ["/mpub", "/mput"])
@pytest.mark.parametrize(
    ("query", "body", "bodies"),
    [
        ("", b"a\n\nb\r\n\r\nc", [b"a", b"b\r", b"\r", b"c"]),
        ("&binary=false", b"a\nb", [b"a", b"b"]),
        ("&binary=0", b"a\nb\n", [b"a", b"b"]),
        ("&defer=x", b"a", [b"a"]),
        ("", b"", []),
        ("", b"\n\n\n", []),
        *((f"&binary={v}", binary(b"a", b"\n"), [b"a", b"\n"]) for v in ("true", "1", "", "False")),
        ("&binary=true", binary(b"a") + b"junk", [b"a"]),
        ("", b"x" * 100 + b"\n" + b"y" * 99, [b"x" * 100, b"y" * 99]),
    ],
)
def test_mpub(nsqd: Nsqd, path: str, query: str, body: bytes, bodies: list[bytes]) -> None:
    """Lines, or messages with their sizes, are published as one batch."""
    answer = nsqd.post(f"{path}?topic=t{query}", body)
    assert (answer.status, answer.body) == (200, b"OK")
    assert nsqd.bodies("t") == bodies
    assert len(nsqd.log("t").batches) == bool(bodies)


@pytest.mark.parametrize(("value", "warned"), [("true", 0), ("0", 0), ("yes", 1), ("", 1)])
def test_odd_binary(nsqd: Nsqd, value: str, warned: int) -> None:
    """A value that is neither true nor false is warned of."""
    with capturedLogs() as logs:
        nsqd.post(f"/mpub?topic=t&binary={value}", binary(b"a"))
    assert [event["log_level"] for event in logs].count(LogLevel.warn) == warned


@pytest.mark.parametrize(
    ("query", "body", "expected", "made"),
    [
        ("", b"x" * 201, (413, "BODY_TOO_BIG"), False),
        ("", b"x", (400, "MISSING_ARG_TOPIC"), False),
        ("?topic=", b"x", (400, "INVALID_TOPIC"), False),
        ("?topic=a:b", b"", (400, "INVALID_TOPIC"), False),
        ("?topic=t;", b"x", (400, "INVALID_REQUEST"), False),
        ("?topic=t", b"a\n" + b"x" * 101, (413, "MSG_TOO_BIG"), True),
        ("?topic=t&binary=true", b"", (413, "BAD_BODY"), True),
        ("?topic=t&binary=true", pack(">i", 0), (413, "BAD_BODY"), True),
        ("?topic=t&binary=true", pack(">i", 40), (413, "BAD_BODY"), True),
        ("?topic=t&binary=true", binary(b"a", b"")[:-4], (413, "BAD_MESSAGE"), True),
        ("?topic=t&binary=true", binary(b"x" * 101), (413, "BAD_MESSAGE"), True),
    ],
)
def test_mpub_errors(
    nsqd: Nsqd, query: str, body: bytes, expected: tuple[int, str], made: bool
) -> None:
    """Size, query and topic come before the body; a bad body publishes nothing of it."""
    assert token(nsqd.post(f"/mpub{query}", body)) == expected
    assert list(nsqd.node.broker.topics) == ["t"] * made
    assert nsqd.node.store.logs.get("t", ListLog()).batches == []


@pytest.mark.parametrize("binary_", ["", "&binary=true"])
def test_mpub_chunked_too_big(nsqd: Nsqd, binary_: str) -> None:
    """A chunked body over the limit is refused, when the topic has been made already."""
    connection = Connection(nsqd.site)
    chunks = [binary(b"x" * 90), b"\n" * 150]
    connection.send(request_bytes("POST", f"/mpub?topic=t{binary_}", chunks=chunks))
    (answer,) = connection.answers()
    assert token(answer) == (413, "BODY_TOO_BIG")
    assert list(nsqd.node.broker.topics) == ["t"]


@pytest.mark.parametrize("path", ["/pub", "/mpub"])
@pytest.mark.parametrize("cause", ["disk", "no log", "deleted", "stopping"])
def test_exiting(nsqd: Nsqd, path: str, cause: str) -> None:
    """Whatever keeps a message from being taken is 503 EXITING."""
    broker = nsqd.node.broker
    if cause == "disk":
        broker.get_topic("t")
        nsqd.log("t").refuse = "disk full"
    elif cause == "no log":
        broker.store = RefusingStore()
    elif cause == "deleted":
        broker.get_topic("t").exiting = True
    else:
        broker.stop()
    assert token(nsqd.post(f"{path}?topic=t", b"x")) == (503, "EXITING")


@pytest.mark.parametrize("path", ["/pub", "/mpub"])
@pytest.mark.parametrize("error", [None, StorageError("EIO")])
def test_waiting_for_the_disk(nsqd: Nsqd, path: str, error: StorageError | None) -> None:
    """Where a publish needs a sync its answer waits for that."""
    nsqd.node.store.must_commit = True
    connection = Connection(nsqd.site)
    connection.send(request_bytes("POST", f"{path}?topic=t", b"x"))
    assert connection.answers() == []
    nsqd.log("t").commits.pop()(error)
    (answer,) = connection.answers()
    assert answer.status == (503 if error else 200)
    assert answer.body == (b'{"message":"EXITING"}' if error else b"OK")


def test_publisher_leaves_before_the_sync(nsqd: Nsqd) -> None:
    """A publisher that does not wait for its answer has published all the same."""
    nsqd.node.store.must_commit = True
    connection = Connection(nsqd.site)
    connection.send(request_bytes("POST", "/pub?topic=t", b"x"))
    with capturedLogs() as logs:
        connection.lost()
        nsqd.log("t").commits.pop()(None)
    assert nsqd.node.broker.topics["t"].depth == 1
    assert logs == []


@pytest.mark.parametrize("path", ["/pub", "/put", "/mpub", "/mput"])
def test_nothing_is_published_while_draining(nsqd: Nsqd, path: str) -> None:
    """Not even a topic is made; what is wrong with a request is still said first."""
    nsqd.node.draining = True
    assert token(nsqd.post(f"{path}?topic=t", b"x")) == (503, "DRAINING")
    assert token(nsqd.post(f"{path}?topic=a:b", b"x")) == (400, "INVALID_TOPIC")
    assert nsqd.node.broker.topics == {}
