"""Random histories of the registry, against plain sets."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from nsqtx.nsqlookupd.entries import ANY, Producer, Registration
from tests.support.lookup import Directory

TOPICS = st.sampled_from(["s", "t", "u#ephemeral"])
CHANNELS = st.sampled_from(["", "c", "d#ephemeral"])


class AgainstPlainSets(RuleBasedStateMachine):
    """The registry does what plain sets of keys and producers would do."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Directory()
        self.registry = self.directory.registry
        #: Keys as section 4.1 has them, each with the producers in it.
        self.keys: dict[tuple[str, str], set[Producer]] = {}
        self.producers: list[Producer] = []
        self.leaving: list[Iterator[Registration]] = []

    def of(self, number: int) -> Producer:
        if len(self.producers) <= number:
            self.producers.append(self.directory.producer(f"p{self.directory.made}"))
        return self.producers[min(number, len(self.producers) - 1)]

    @rule(number=st.integers(0, 2), topic=TOPICS, channel=CHANNELS)
    def register(self, number: int, topic: str, channel: str) -> None:
        producer = self.of(number)
        self.registry.register(producer, topic, channel)
        for key in {(topic, channel), (topic, "")}:
            self.keys.setdefault(key, set()).add(producer)

    @rule(number=st.integers(0, 2), topic=TOPICS, channel=CHANNELS)
    def unregister(self, number: int, topic: str, channel: str) -> None:
        producer = self.of(number)
        self.registry.unregister(producer, topic, channel)
        if not channel:
            for key in self.keys:
                if key[0] == topic:
                    self.keys[key].discard(producer)
        self.keys.get((topic, channel), set()).discard(producer)
        if (channel or topic).endswith("#ephemeral") and self.keys.get((topic, channel)) == set():
            del self.keys[topic, channel]

    @rule(number=st.integers(0, 2))
    def leave(self, number: int) -> None:
        producer = self.of(number)
        self.producers.remove(producer)
        self.leaving.append(self.registry.remove(producer))
        for producers in self.keys.values():
            producers.discard(producer)

    @rule()
    def remove_a_little(self) -> None:
        for steps in self.leaving:
            next(steps, None)

    @rule(topic=TOPICS, channel=CHANNELS)
    def create(self, topic: str, channel: str) -> None:
        if channel:
            self.registry.create_channel(topic, channel)
        else:
            self.registry.create_topic(topic)
        for key in {(topic, channel), (topic, "")}:
            self.keys.setdefault(key, set())

    @rule(topic=st.one_of(TOPICS, st.just(ANY)))
    def delete_topic(self, topic: str) -> None:
        self.registry.delete_topic(topic)
        self.keys = {key: ps for key, ps in self.keys.items() if topic not in (ANY, key[0])}

    @rule(topic=TOPICS, channel=CHANNELS.filter(bool))
    def delete_channel(self, topic: str, channel: str) -> None:
        there = self.keys.pop((topic, channel), None) is not None
        assert self.registry.delete_channel(topic, channel) == there

    @invariant()
    def the_same_is_shown(self) -> None:
        registry = self.registry
        shown: dict[tuple[str, str], set[Producer]] = {}
        for topic in registry.topics.values():
            if topic.listed:
                shown[topic.name, ""] = {p for p in topic.producers if not p.gone}
            for channel, producers in topic.channels.items():
                shown[topic.name, channel] = {p for p in producers if not p.gone}
        assert shown == self.keys
        assert registry.names == len(self.keys)
        assert registry.listed == len(registry.find(ANY))
        for producer in self.producers:
            count = sum(producer in producers for producers in self.keys.values())
            assert producer.registrations == count
            assert {topic.name for topic in producer.topics} == {
                key
                for (key, sub), producers in self.keys.items()
                if not sub and producer in producers
            }


TestAgainstPlainSets = AgainstPlainSets.TestCase
TestAgainstPlainSets.settings = settings(
    max_examples=25,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
