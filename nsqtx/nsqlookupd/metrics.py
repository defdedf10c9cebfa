"""The figures of nsqlookupd in ``/metrics``, read from the registry when they are asked for.

There is nothing by topic: `/nodes` and `/lookup` say that, and a topic that nobody uses any more
would stay for ever in what Prometheus keeps.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from nsqtx.web.metrics import DaemonCollector, Exposition, make_registry

if TYPE_CHECKING:
    from nsqtx.nsqlookupd.node import Node

__all__ = ["lookup_exposition"]


class _RegistryCollector:
    """Producers, names, and who asks."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        node, registry = self._node, self._node.registry
        yield GaugeMetricFamily(
            "nsqlookupd_connections", "Connections over TCP.", len(node.sessions)
        )
        family = GaugeMetricFamily(
            "nsqlookupd_producers",
            "Nsqd that are connected: active, or inactive and hidden.",
            labels=["state"],
        )
        active = len(registry.nodes())
        family.add_metric(["active"], active)
        family.add_metric(["inactive"], len(registry.producers) - active)
        yield family
        yield GaugeMetricFamily("nsqlookupd_topics", "Number of topics.", registry.listed)
        channels = registry.names - registry.listed
        yield GaugeMetricFamily("nsqlookupd_channels", "Number of channels.", channels)
        yield GaugeMetricFamily(
            "nsqlookupd_registrations",
            "Topics and channels that nsqd have registered, each counted once for each nsqd.",
            sum(producer.registrations for producer in registry.producers),
        )
        yield CounterMetricFamily(
            "nsqlookupd_changes", "Changes of the producers of a topic.", registry.changes
        )
        yield GaugeMetricFamily(
            "nsqlookupd_waiting", "Requests that wait for news.", node.waiters.count
        )


def lookup_exposition(node: Node) -> Exposition:
    """What ``/metrics`` of a nsqlookupd says."""
    daemon = DaemonCollector("nsqlookupd", node.clock, node.start_time, node.lag)
    return Exposition(make_registry(daemon, _RegistryCollector(node)), node.clock)
