"""Connections leave descriptors for files (`nsqtx.descriptors`)."""

from __future__ import annotations

import errno
import os

import pytest
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from nsqtx.descriptors import Descriptors, Room, RoomyFactory
from tests.support.descriptors import FakeDescriptors


def test_those_of_this_process() -> None:
    """What is said to be free next is what is given out next."""
    descriptors = Descriptors()
    free = descriptors.lowest_free()
    descriptor = os.open(os.devnull, os.O_RDONLY)
    assert descriptor == free
    assert descriptors.lowest_free() > free
    os.close(descriptor)
    assert descriptors.limit() > free


@pytest.mark.parametrize(
    ("number", "room"), [(errno.EMFILE, False), (errno.ENFILE, False), (errno.ENOENT, True)]
)
def test_when_nothing_can_be_opened(
    monkeypatch: pytest.MonkeyPatch, number: int, room: bool
) -> None:
    """Without descriptors nobody is let in; without /dev/null, as in a chroot, everybody is."""

    def refuse(path: str, flags: int) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    assert Room(Clock(), Descriptors(), 40).has_one_more() == room


@pytest.mark.parametrize(
    ("limit", "used", "room"),
    [
        (100, 60, True),
        (100, 61, False),
        (50, 25, True),  # where that is little, no more than half is kept
        (50, 26, False),
        (-1, 10_000, True),
    ],
)
def test_room(limit: int, used: int, room: bool) -> None:
    """Of 100 descriptors 40 are kept."""
    assert Room(Clock(), FakeDescriptors(limit, used), 40).has_one_more() == room


def test_the_log_is_not_flooded() -> None:
    """The first refusal is told, the others once a minute, with their number."""
    clock = Clock()
    room = Room(clock, FakeDescriptors(100, 70), 40)
    with capturedLogs() as events:
        for _ in range(119):
            room.has_one_more()
            clock.advance(1)
    assert [event["refused"] for event in events] == [1, 61]


def test_a_factory_with_room_and_without() -> None:
    """A connection gets its protocol, or is closed."""
    descriptors = FakeDescriptors(100, 10)
    factory = RoomyFactory(Factory.forProtocol(Protocol), Room(Clock(), descriptors, 40))
    assert isinstance(factory.buildProtocol(None), Protocol)
    descriptors.used = 90
    assert factory.buildProtocol(None) is None
