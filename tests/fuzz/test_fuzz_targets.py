"""What `python -m tests.fuzz` fuzzes holds for its seeds, and for inputs that are made up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nsqtx.nsqd.lookup_connection import LookupConnection
from nsqtx.nsqd.session import Session
from nsqtx.storage import batches
from nsqtx.web.lane import LaneRequest
from nsqtx.wire.commands import Parser
from nsqtx.wire.incoming import FrameParser
from nsqtx.wire.lookup import LookupParser
from tests.fuzz.madeup import made_up
from tests.fuzz.targets import TARGETS

#: Fewer where one input costs milliseconds.
COUNTS = {"http": 200, "session": 500, "log": 400}


def check_all(name: str) -> None:
    """The seeds of a target, and what is made of them; an error has the input in a note."""
    target = TARGETS[name]
    for data in made_up(target, COUNTS.get(name, 1000)):
        try:
            target.check(data)
        except BaseException as error:
            error.add_note(repr(data))
            raise


@pytest.mark.parametrize("name", TARGETS)
def test_made_up_inputs(name: str) -> None:
    """Each is taken or refused."""
    check_all(name)


def without_returns(feed: Callable[[Any, bytes], Any]) -> Callable[[Any, bytes], Any]:
    """Takes CR LF for LF, as long as both are in the same read."""
    return lambda parser, data: feed(parser, data.replace(b"\r\n", b"\n"))


def without_ends(feed: Callable[[Any, bytes], Any]) -> Callable[[Any, bytes], Any]:
    """Passes over an end of a line that a read begins with."""
    return lambda parser, data: feed(parser, data.removeprefix(b"\n"))


def without_the_empty(feed: Callable[[Any, bytes], Any]) -> Callable[[Any, bytes], Any]:
    """Forgets frames that have no data."""
    return lambda parser, data: [frame for frame in feed(parser, data) if frame[1]]


def nothing(old: Any) -> Callable[..., None]:
    """Does nothing."""
    return lambda *_: None


#: A bug of each kind that a target is there to find: what is broken, and how.
BUGS: dict[str, tuple[Any, str, Callable[[Any], Any]]] = {
    "commands": (Parser, "feed", without_returns),
    "lookup": (LookupParser, "feed", without_ends),
    "frames": (FrameParser, "feed", without_the_empty),
    "session": (Session, "lost", nothing),
    "answers": (LookupConnection, "connectionLost", nothing),
    "http": (LaneRequest, "setResponseCode", nothing),
    "log": (batches, "crc32", lambda old: lambda *_: 0),
}


@pytest.mark.parametrize("name", BUGS)
def test_bugs_are_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the same inputs, when there is one."""
    owner, attribute, broken = BUGS[name]
    monkeypatch.setattr(owner, attribute, broken(getattr(owner, attribute)))
    with pytest.raises(AssertionError):
        check_all(name)
