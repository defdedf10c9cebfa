"""The directory: registrations, names that stay, who is hidden, indexes, limits."""

from __future__ import annotations

import pytest

from nsqtx.nsqlookupd.entries import ANY, Full, Limits, Producer, Registration
from nsqtx.nsqlookupd.registry import Registry
from tests.support.lookup import SECOND, Directory, peer


def names(directory: Directory) -> list[str]:
    return [topic.name for topic in directory.registry.find(ANY)]


def test_registering_a_channel_registers_its_topic() -> None:
    """Both are new once; the channel is told first, as the original logs it."""
    directory = Directory()
    a = directory.producer("a")
    both = [Registration("channel", "t", "c"), Registration("topic", "t", "")]
    assert directory.registry.register(a, "t", "c") == both
    assert directory.registry.register(a, "t", "c") == []
    assert directory.registry.register(a, "t", "d") == [Registration("channel", "t", "d")]
    assert directory.live("t") == ["a"]
    assert directory.registry.channels("t") == ["c", "d"]
    assert a.registrations == 3


def test_unregistering_a_channel_leaves_the_topic() -> None:
    """And the name of the channel, unless that is ephemeral."""
    directory = Directory()
    a = directory.producer("a")
    for channel in ("c", "e#ephemeral"):
        directory.registry.register(a, "t", channel)
        directory.registry.unregister(a, "t", channel)
    assert directory.live("t") == ["a"]
    assert directory.registry.channels("t") == ["c"]


def test_an_ephemeral_channel_stays_while_somebody_has_it() -> None:
    """The last who unregisters takes it along."""
    directory = Directory()
    a, b = directory.producer("a"), directory.producer("b")
    for each in (a, b):
        directory.registry.register(each, "t", "e#ephemeral")
    directory.registry.unregister(a, "t", "e#ephemeral")
    assert directory.registry.channels("t") == ["e#ephemeral"]
    directory.registry.unregister(b, "t", "e#ephemeral")
    assert directory.registry.channels("t") == []


def test_unregistering_a_topic_unregisters_its_channels() -> None:
    """Their names stay, even of ephemeral ones, and even when the topic's own goes."""
    directory = Directory()
    a = directory.producer("a")
    directory.registry.register(a, "t#ephemeral", "c#ephemeral")
    gone = directory.registry.unregister(a, "t#ephemeral")
    assert gone == [
        Registration("channel", "t#ephemeral", "c#ephemeral"),
        Registration("topic", "t#ephemeral", ""),
    ]
    assert names(directory) == []
    assert directory.registry.channels("t#ephemeral") == ["c#ephemeral"]
    assert a.registrations == 0


def test_unregistering_what_is_unknown_is_fine() -> None:
    """A topic, a channel, and one that only others have."""
    directory = Directory()
    a, b = directory.producer("a"), directory.producer("b")
    directory.registry.register(b, "t", "c")
    for topic, channel in (("x", ""), ("x", "c"), ("t", "x"), ("t", "c"), ("t", "")):
        assert directory.registry.unregister(a, topic, channel) == []
    assert directory.live("t") == ["b"]


def test_a_producer_that_leaves_is_hidden_at_once() -> None:
    """Before a single step of its removal; names stay, ephemeral ones too."""
    directory = Directory()
    a = directory.producer("a")
    directory.registry.register(a, "t", "c#ephemeral")
    steps = directory.registry.remove(a)
    assert directory.live("t") == []
    assert directory.registry.nodes() == []
    assert set(steps) == {
        Registration("topic", "t"),
        Registration("channel", "t", "c#ephemeral"),
        Registration("client"),
    }
    assert names(directory) == ["t"]
    assert directory.registry.channels("t") == ["c#ephemeral"]
    assert directory.registry.topics["t"].producers == {}


def test_names_may_go_while_a_producer_is_being_removed() -> None:
    """Whatever was deleted in between is not removed again."""
    directory = Directory()
    a = directory.producer("a")
    for topic in ("s", "t", "u"):
        directory.registry.register(a, topic, "c")
        directory.registry.register(a, topic, "d")
    steps = directory.registry.remove(a)
    next(steps)
    directory.registry.delete_topic(ANY)
    assert list(steps) == [Registration("client")]
    assert directory.registry.names == 0


def test_an_ephemeral_topic_goes_though_a_ghost_is_in_it() -> None:
    """Who is being removed does not count as somebody who has it."""
    directory = Directory()
    a, b = directory.producer("a"), directory.producer("b")
    for each in (a, b):
        directory.registry.register(each, "t#ephemeral")
    steps = directory.registry.remove(a)
    directory.registry.unregister(b, "t#ephemeral")
    assert names(directory) == []
    assert list(steps)[-1] == Registration("client")


# Who is hidden.


def test_who_was_not_heard_of_is_hidden_until_it_is() -> None:
    """For longer than the timeout: not yet at it. Registering is no sign of life."""
    directory = Directory(Limits(inactive_producer_timeout=10 * SECOND))
    a = directory.producer("a")
    directory.registry.register(a, "t")
    directory.advance(10)
    assert directory.live("t") == ["a"]
    directory.advance(0.001)
    directory.registry.register(a, "u")
    assert directory.live("t") == []
    assert directory.registry.nodes() == []
    assert names(directory) == ["t", "u"]
    assert directory.registry.touch(a) == 10_001_000_000
    assert directory.live("t") == ["a"]
    assert directory.registry.nodes() == [a]


def test_a_tombstone_hides_from_one_topic_for_a_while() -> None:
    """It ends at its lifetime, and begins anew when it is set again."""
    directory = Directory(Limits(tombstone_lifetime=45 * SECOND))
    a = directory.producer("a")
    for topic in ("t", "u"):
        directory.registry.register(a, topic)
    directory.registry.tombstone("t", "host-a:4151")
    assert (directory.live("t"), directory.live("u")) == ([], ["a"])
    directory.advance(44)
    directory.registry.tombstone("t", "host-a:4151")
    directory.advance(44.9)
    assert directory.live("t") == []
    directory.advance(0.1)
    assert directory.live("t") == ["a"]


def test_registering_again_does_not_lift_a_tombstone() -> None:
    """Unregistering first does (section 4.6)."""
    directory = Directory()
    a = directory.producer("a")
    directory.registry.register(a, "t", "c")
    directory.registry.tombstone("t", "host-a:4151")
    directory.registry.register(a, "t", "c")
    assert directory.live("t") == []
    directory.registry.unregister(a, "t")
    directory.registry.register(a, "t", "c")
    assert directory.live("t") == ["a"]


def test_a_tombstone_on_any_topic_is_on_each() -> None:
    """The original sets one only, whichever."""
    directory = Directory()
    a = directory.producer("a")
    for topic in ("t", "u"):
        directory.registry.register(a, topic)
    directory.registry.tombstone(ANY, "host-a:4151")
    assert (directory.live("t"), directory.live("u")) == ([], [])


@pytest.mark.parametrize("address", ["fd00::1", "[fd00::1]"])
@pytest.mark.parametrize("node", ["fd00::1:4151", "[fd00::1]:4151"])
def test_brackets_of_ipv6_do_not_matter(address: str, node: str) -> None:
    """Nsqadmin sends them; in the original such a tombstone does nothing."""
    directory = Directory()
    a = directory.producer("a", broadcast_address=address)
    directory.registry.register(a, "t")
    directory.registry.tombstone("t", node)
    assert directory.live("t") == []


@pytest.mark.parametrize("node", ["host-a", "host-a:41510", "host-a:4150", "", "host-b:4151"])
def test_another_node_gets_no_tombstone(node: str) -> None:
    """Address and HTTP port must be its own."""
    directory = Directory()
    directory.registry.register(directory.producer("a"), "t")
    directory.registry.tombstone("t", node)
    assert directory.live("t") == ["a"]


def test_a_producer_of_many_topics_is_shown_once() -> None:
    """When all topics are asked for; a tombstone hides it only if it is on all of them."""
    directory = Directory()
    a = directory.producer("a")
    for topic in ("t", "u"):
        directory.registry.register(a, topic, "c")
    assert directory.live(ANY) == ["a"]
    directory.registry.tombstone("t", "host-a:4151")
    assert directory.live(ANY) == ["a"]
    directory.registry.tombstone("u", "host-a:4151")
    assert directory.live(ANY) == []
    assert directory.registry.channels(ANY) == ["c", "c"]


# Names.


def test_names_can_be_made_and_deleted_without_producers() -> None:
    """By HTTP; a channel brings its topic along, a topic takes its channels along."""
    directory = Directory()
    registry = directory.registry
    registry.create_topic("t")
    registry.create_channel("u", "c")
    registry.create_channel("u", "d")
    assert (names(directory), registry.names) == (["t", "u"], 4)
    assert registry.delete_channel("u", "c")
    assert not registry.delete_channel("u", "c")
    assert not registry.delete_channel("x", "c")
    registry.delete_topic("u")
    registry.delete_topic("unknown")
    assert (names(directory), registry.names) == (["t"], 1)
    registry.delete_topic(ANY)
    assert (registry.topics, registry.names) == ({}, 0)


def test_deleting_takes_registrations_along() -> None:
    """The producers are not told, but they have less."""
    directory = Directory()
    a = directory.producer("a")
    directory.registry.register(a, "t", "c")
    directory.registry.register(a, "t", "d")
    directory.registry.delete_channel("t", "c")
    assert a.registrations == 2
    directory.registry.delete_topic("t")
    assert (a.registrations, a.topics) == (0, {})
    directory.registry.register(a, "t")
    assert directory.live("t") == ["a"]


# Limits.


def test_a_producer_may_not_register_without_end() -> None:
    """What it has stays; there is room again when it has less."""
    directory = Directory(Limits(max_registrations=3))
    a, b = directory.producer("a"), directory.producer("b")
    directory.registry.register(a, "t", "c")
    directory.registry.register(a, "t", "d")
    directory.registry.register(a, "t", "c")
    for topic, channel in (("t", "e"), ("u", ""), ("u", "c")):
        with pytest.raises(Full, match="more than 3 registrations"):
            directory.registry.register(a, topic, channel)
    assert names(directory) == ["t"]
    directory.registry.register(b, "t", "e")
    directory.registry.unregister(a, "t", "d")
    directory.registry.register(a, "t", "e")


def test_names_may_not_become_more_without_end() -> None:
    """They outlive their producers, so who reconnects must not get more of them."""
    directory = Directory(Limits(max_names=2))
    a = directory.producer("a")
    directory.registry.register(a, "t", "c")
    with pytest.raises(Full, match="more than 2 topics and channels"):
        directory.registry.register(a, "u")
    with pytest.raises(Full):
        directory.registry.create_channel("t", "d")
    directory.registry.delete_channel("t", "c")
    directory.registry.create_channel("t", "d")


# Indexes.


def test_an_index_changes_with_the_producers_of_a_topic() -> None:
    """And only then: not by channels, nor by what is repeated, nor by other topics."""
    directory = Directory(Limits(inactive_producer_timeout=10 * SECOND))
    a, b = directory.producer("a"), directory.producer("b")
    registry = directory.registry
    registry.register(a, "t", "c")
    first = registry.index("t")
    registry.register(a, "t", "d")
    registry.register(a, "t")
    registry.register(b, "u")
    registry.touch(a)
    registry.unregister(a, "t", "c")
    assert registry.index("t") == first
    seen = [first]
    for change in (
        lambda: registry.register(b, "t"),
        lambda: registry.tombstone("t", "host-b:4151"),
        lambda: registry.unregister(b, "t"),
        lambda: directory.back(a, 11),
        lambda: list(registry.remove(a)),
        lambda: registry.delete_topic("t"),
        lambda: registry.create_topic("t"),
    ):
        directory.changed.clear()
        change()
        assert "t" in directory.changed
        seen.append(registry.index("t"))
    assert seen == sorted(set(seen))
    assert registry.index(ANY) >= seen[-1]


def test_an_unknown_topic_has_an_index_too() -> None:
    """One that a topic of that name will exceed."""
    directory = Directory()
    before = directory.registry.index("t")
    directory.registry.create_topic("other")
    assert directory.registry.index("t") == before
    directory.registry.create_topic("t")
    assert directory.registry.index("t") > before


def test_indexes_grow_over_a_restart() -> None:
    """As long as there was less than a change in a microsecond."""
    directory = Directory()
    for _ in range(100):
        directory.registry.create_topic("t")
        directory.registry.delete_topic("t")
    last = directory.registry.index(ANY)
    directory.advance(0.001)
    assert Registry(directory.registry.now).index(ANY) > last


def test_the_json_of_a_producer_is_made_once() -> None:
    """It is what /lookup shows (section 5.2)."""
    producer = Producer("1.2.3.4:5", peer(hostname="h<"), 0)
    assert producer.json == (
        b'{"remote_address":"1.2.3.4:5","hostname":"h\\u003c","broadcast_address":"host",'
        b'"tcp_port":4150,"http_port":4151,"version":"1.3.0","topology_zone":"",'
        b'"topology_region":""}'
    )
