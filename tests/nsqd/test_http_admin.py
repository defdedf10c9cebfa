"""Topic and channel administration over HTTP (nsqd-http section 7)."""

from __future__ import annotations

import pytest
from twisted.logger import capturedLogs

from tests.support.http import Response
from tests.support.nsqdapi import Nsqd, RefusingStore, token


@pytest.fixture
def nsqd() -> Nsqd:
    """An nsqd with --max-msg-size 100 and --max-body-size 200."""
    return Nsqd()


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/topic/create", "?topic=%zz", (400, "INVALID_REQUEST")),
        ("/topic/create", "", (400, "MISSING_ARG_TOPIC")),
        ("/topic/create", "?topic=", (400, "INVALID_TOPIC")),
        ("/topic/create", "?topic=a:b", (400, "INVALID_TOPIC")),
        ("/topic/empty", "?topic=t;", (400, "INVALID_REQUEST")),
        ("/topic/empty", "?channel=c", (400, "MISSING_ARG_TOPIC")),
        ("/topic/empty", "?topic=a:b", (400, "INVALID_TOPIC")),
        ("/topic/empty", "?topic=u", (404, "TOPIC_NOT_FOUND")),
        *(
            (f"/topic/{action}", query, expected)
            for action in ("delete", "pause", "unpause")
            for query, expected in [
                ("?topic=%zz", (400, "INVALID_REQUEST")),
                ("", (400, "MISSING_ARG_TOPIC")),
                ("?topic=", (404, "TOPIC_NOT_FOUND")),
                ("?topic=a:b", (404, "TOPIC_NOT_FOUND")),
                ("?topic=u", (404, "TOPIC_NOT_FOUND")),
            ]
        ),
        *(
            (f"/channel/{action}", query, expected)
            for action in ("create", "delete", "empty", "pause", "unpause")
            for query, expected in [
                ("?topic=t&channel=%zz", (400, "INVALID_REQUEST")),
                ("?channel=a:b", (400, "MISSING_ARG_TOPIC")),
                ("?topic=a:b", (400, "INVALID_ARG_TOPIC")),
                ("?topic=u", (400, "MISSING_ARG_CHANNEL")),
                ("?topic=u&channel=", (400, "INVALID_ARG_CHANNEL")),
                ("?topic=u&channel=c", (404, "TOPIC_NOT_FOUND")),
            ]
        ),
        *(
            (f"/channel/{action}", "?topic=t&channel=d", (404, "CHANNEL_NOT_FOUND"))
            for action in ("delete", "empty", "pause", "unpause")
        ),
    ],
)
def test_administration_errors(
    nsqd: Nsqd, path: str, query: str, expected: tuple[int, str]
) -> None:
    """Each check has its token, and comes in its order."""
    nsqd.node.broker.get_topic("t").get_channel("c")
    assert token(nsqd.post(path + query, b"topic=t&channel=c")) == expected


def done(answer: Response) -> bool:
    """Whether an action succeeded: an empty answer without a Content-Type."""
    return (answer.status, answer.body, answer.headers.get("content-type")) == (200, b"", None)


def test_topic_life(nsqd: Nsqd) -> None:
    """A topic is made, paused, filled, emptied and deleted; doing a thing twice is fine."""
    topics = nsqd.node.broker.topics
    assert done(nsqd.post("/topic/create?topic=t"))
    assert done(nsqd.post("/topic/create?topic=t"))
    assert done(nsqd.post("/topic/pause?topic=t"))
    assert done(nsqd.post("/topic/pause?topic=t"))
    assert topics["t"].paused
    nsqd.post("/pub?topic=t", b"x")
    assert topics["t"].depth == 1
    assert done(nsqd.post("/topic/empty?topic=t"))
    assert topics["t"].depth == 0
    assert done(nsqd.post("/topic/unpause?topic=t"))
    assert not topics["t"].paused
    assert done(nsqd.post("/topic/delete?topic=t"))
    assert token(nsqd.post("/topic/delete?topic=t")) == (404, "TOPIC_NOT_FOUND")
    assert topics == {}


def test_channel_life(nsqd: Nsqd) -> None:
    """A channel is made, paused, filled, emptied and deleted."""
    nsqd.post("/topic/create?topic=t")
    channels = nsqd.node.broker.topics["t"].channels
    assert done(nsqd.post("/channel/create?topic=t&channel=c%23ephemeral"))
    assert done(nsqd.post("/channel/create?topic=t&channel=c"))
    assert done(nsqd.post("/channel/create?topic=t&channel=c"))
    assert set(channels) == {"c", "c#ephemeral"}
    assert done(nsqd.post("/channel/pause?topic=t&channel=c"))
    assert channels["c"].paused
    nsqd.post("/pub?topic=t", b"x")
    assert channels["c"].depth == 1
    assert done(nsqd.post("/channel/empty?topic=t&channel=c"))
    assert channels["c"].depth == 0
    assert done(nsqd.post("/channel/unpause?topic=t&channel=c"))
    assert not channels["c"].paused
    assert done(nsqd.post("/channel/delete?topic=t&channel=c"))
    assert set(channels) == {"c#ephemeral"}


def test_what_was_answered_is_in_a_checkpoint(nsqd: Nsqd) -> None:
    """Before the answer, so that no kill undoes it; and ``nsqd.dat`` is written.

    Found by simulations: after a kill within a second, what had been paused was not (seed 36, os).
    """
    nsqd.post("/topic/create?topic=t")
    nsqd.post("/channel/create?topic=t&channel=c")
    log = nsqd.node.store.logs["t"]
    told = nsqd.node.metadata_changes

    def state() -> tuple[bool, bool, int]:
        assert log.saved is not None
        (channel,) = log.saved.channels
        return log.saved.paused, channel.paused, channel.ready

    assert done(nsqd.post("/channel/pause?topic=t&channel=c"))
    assert state() == (False, True, 0)
    nsqd.post("/pub?topic=t", b"x")
    assert done(nsqd.post("/topic/pause?topic=t"))
    assert state() == (True, True, 1)
    assert done(nsqd.post("/channel/empty?topic=t&channel=c"))
    assert state() == (True, True, 0)
    nsqd.post("/pub?topic=t", b"x")
    assert done(nsqd.post("/topic/empty?topic=t"))
    assert log.saved is not None
    assert (log.saved.held.ready, log.saved.held.ranges) == (0, [])
    assert done(nsqd.post("/topic/unpause?topic=t"))
    assert done(nsqd.post("/channel/unpause?topic=t&channel=c"))
    assert state() == (False, False, 0)
    assert nsqd.node.metadata_changes - told == 6


def test_administration_while_stopping(nsqd: Nsqd) -> None:
    """What cannot be made any more is 503 EXITING."""
    nsqd.node.broker.get_topic("t")
    nsqd.node.broker.stop()
    assert token(nsqd.post("/topic/create?topic=u")) == (503, "EXITING")
    assert token(nsqd.post("/channel/create?topic=t&channel=c")) == (503, "EXITING")


def test_administration_on_a_bad_disk(nsqd: Nsqd) -> None:
    """A disk that refuses is 500 INTERNAL_ERROR, with the reason in the log."""
    nsqd.node.broker.store = RefusingStore()
    with capturedLogs() as logs:
        assert token(nsqd.post("/topic/create?topic=t")) == (500, "INTERNAL_ERROR")
    assert [str(e["log_failure"].value) for e in logs if "log_failure" in e] == ["disk full"]
