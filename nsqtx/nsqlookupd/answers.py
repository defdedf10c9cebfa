"""What is answered to questions about the registry: JSON (nsqlookupd sections 5.2 and 5.4).

Names of topics and channels have no character that JSON would escape, and what is said of a
producer was encoded when it came. So answers are joined, not encoded.
"""

from __future__ import annotations

from collections.abc import Iterable

from nsqtx.nsqlookupd.entries import Producer, Topic
from nsqtx.nsqlookupd.registry import Registry
from nsqtx.wire import gojson

__all__ = ["channels_json", "debug_json", "lookup_json", "nodes_json", "topics_json"]

#: What the original shows for "never tombstoned": its zero time in nanoseconds, which overflow.
NEVER = -6795364578871345152


def _names(names: Iterable[str]) -> bytes:
    joined = '","'.join(names)
    return b'["%b"]' % joined.encode("ascii") if joined else b"[]"


def topics_json(registry: Registry) -> bytes:
    """``/topics``."""
    return b'{"topics":%b}' % _names(topic.name for topic in registry.find("*"))


def channels_json(registry: Registry, topic: str) -> bytes:
    """``/channels``."""
    return b'{"channels":%b}' % _names(registry.channels(topic))


def lookup_json(registry: Registry, name: str) -> bytes | None:
    """``/lookup``; None: there is no such topic."""
    topics = registry.find(name)
    if not topics:
        return None
    producers = b",".join([producer.json for producer in registry.live(topics)])
    channels = _names(registry.channels(name))
    return b'{"channels":%b,"producers":[%b]}' % (channels, producers)


def nodes_json(registry: Registry) -> bytes:
    """``/nodes``."""
    return b'{"producers":[%b]}' % b",".join(
        [_node(registry, producer) for producer in registry.nodes()]
    )


def _node(registry: Registry, producer: Producer) -> bytes:
    topics = producer.topics
    if producer.tombstones:
        hidden = [registry.is_tombstoned(producer, topic) for topic in topics]
        tombstones = gojson.encode(hidden)
    else:
        tombstones = b"[%b]" % b",".join([b"false"] * len(topics))
    names = _names(topic.name for topic in topics)
    return b'%b,"tombstones":%b,"topics":%b}' % (producer.json[:-1], tombstones, names)


def debug_json(registry: Registry) -> bytes:
    """``/debug``: every registration that has producers, with everything that is known of them."""
    parts = [_debug_entry("client", "", "", registry.producers)]
    for topic in registry.topics.values():
        if topic.listed:
            parts.append(_debug_entry("topic", topic.name, "", topic.producers, topic))
        for channel, producers in topic.channels.items():
            parts.append(_debug_entry("channel", topic.name, channel, producers))
    return b"{%b}" % b",".join([part for part in parts if part])


def _debug_entry(
    category: str, key: str, subkey: str, producers: Iterable[Producer], topic: Topic | None = None
) -> bytes:
    shown = [_debug_producer(producer, topic) for producer in producers if not producer.gone]
    if not shown:
        return b""
    return b'"%b":[%b]' % (f"{category}:{key}:{subkey}".encode("ascii"), b",".join(shown))


def _debug_producer(producer: Producer, topic: Topic | None) -> bytes:
    info = producer.info
    since = producer.tombstones.get(topic) if topic is not None else None
    return gojson.encode(
        {
            "broadcast_address": info.broadcast_address,
            "hostname": info.hostname,
            "http_port": info.http_port,
            "id": producer.id,
            "last_update": producer.last_update,
            "tcp_port": info.tcp_port,
            "tombstoned": since is not None,
            "tombstoned_at": NEVER if since is None else since,
            "topology_region": info.topology_region,
            "topology_zone": info.topology_zone,
            "version": info.version,
        }
    )
