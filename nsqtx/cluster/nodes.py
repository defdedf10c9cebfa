"""The nsqd of a cluster, from what several nsqlookupd say of them (nsqadmin section 4.4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from nsqtx.cluster.producers import Info, NodeEntry, Producer
from nsqtx.cluster.versions import version_order

__all__ = ["Node", "NodeTopic", "merge_nodes", "merge_producers", "node_of"]


@attrs.define
class NodeTopic:
    """A topic of a node, which some nsqlookupd may hide."""

    topic: str
    tombstoned: bool = False


@attrs.define
class Node(Producer):
    """An nsqd. ``remote_addresses`` has ``<nsqlookupd>/<address it sees>`` for each that knows it.

    It is None where no nsqlookupd was asked.
    """

    remote_addresses: list[str] | None = None
    topics: list[NodeTopic] = attrs.Factory(list)
    #: Whether another node has a newer version.
    out_of_date: bool = False


_FIELDS = tuple(field.name for field in attrs.fields(Producer))


def _node(producer: Producer) -> Node:
    return Node(**{name: getattr(producer, name) for name in _FIELDS})


def merge_nodes(answers: Iterable[tuple[str, Sequence[NodeEntry]]]) -> list[Node]:
    """One node for each TCP address; what the first nsqlookupd says of it counts.

    :param answers: of each nsqlookupd its address and its ``/nodes``.
    """
    nodes: dict[str, Node] = {}
    for address, entries in answers:
        for entry in entries:
            node = nodes.get(entry.tcp_address)
            if node is None:
                node = nodes[entry.tcp_address] = _node(entry)
                node.remote_addresses = []
                hidden = entry.tombstones + [False] * len(entry.topics)
                topics = sorted(zip(entry.topics, hidden, strict=False))
                node.topics = [NodeTopic(topic, tombstoned) for topic, tombstoned in topics]
            assert node.remote_addresses is not None
            node.remote_addresses.append(f"{address}/{entry.remote_address or 'N/A'}")
    versions = {node.version: version_order(node.version) for node in nodes.values()}
    newest = max(versions.values(), default=())
    for node in nodes.values():
        node.out_of_date = versions[node.version] < newest
    return sorted(nodes.values(), key=lambda node: (node.hostname, node.tcp_address))


def merge_producers(answers: Iterable[Sequence[Producer]]) -> list[Node]:
    """One node for each HTTP address of several ``/lookup``; the first of them counts."""
    producers: dict[str, Node] = {}
    for answer in answers:
        for producer in answer:
            if producer.http_address not in producers:
                producers[producer.http_address] = _node(producer)
    return list(producers.values())


def node_of(info: Info, host: str, port: int, topics: Iterable[str]) -> Node:
    """A node as it says itself; ``host`` and ``port`` are where it was asked, if it says less."""
    return Node(
        hostname=info.hostname or host,
        broadcast_address=info.broadcast_address or host,
        tcp_port=info.tcp_port,
        http_port=info.http_port if info.broadcast_address else port,
        version=info.version,
        topology_region=info.topology_region,
        topology_zone=info.topology_zone,
        topics=[NodeTopic(topic) for topic in topics],
    )
