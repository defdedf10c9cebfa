"""Where graphite draws figures of long times: the URLs of its images (nsqadmin section 9).

nsqd pushes its figures to statsd, statsd renames them and hands them to graphite; so their names
depend on options that must be those of nsqd and statsd.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import attrs

from nsqtx.nsqadmin.options import NsqadminOptions
from nsqtx.nsqadmin.rows import Latency

__all__ = ["SPANS", "Graph", "Graphs", "render_url"]

#: What can be chosen, and what is shown unless something is.
SPANS = ("1h", "2h", "12h", "24h", "48h", "168h", "off")
USUAL_SPAN = "2h"
_COUNTERS = frozenset(["requeue_count", "timeout_count", "message_count", "gc_runs"])
_TOPIC = {"depth": "Depth", "message_count": "Messages"}
_CHANNEL = {
    "depth": "Depth",
    "in_flight_count": "In flight",
    "deferred_count": "Deferred",
    "requeue_count": "Requeued",
    "timeout_count": "Timed out",
    "message_count": "Messages",
    "clients": "Clients",
}
_NODE = {
    "*_bytes": "Memory",
    "gc_pause_*": "Pauses of the garbage collector",
    "gc_runs": "Runs of the garbage collector",
    "heap_objects": "Objects in use",
}
_STRANGE = re.compile(r"[^A-Za-z0-9_.-]")


def render_url(graphite_url: str) -> str:
    """Where graphite makes images and figures; without what logs in there, which is not for
    browsers."""
    parts = urlsplit(graphite_url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/") + "/render", "", ""))


@attrs.frozen
class Graph:
    """One image."""

    title: str
    url: str


@attrs.frozen
class Graphs:
    """Makes the URLs. ``render`` is that of graphite, or ours where we hand requests on."""

    render: str
    prefix: str
    counter_format: str
    gauge_format: str
    #: Seconds between two pushes of nsqd.
    interval: int

    @classmethod
    def of(cls, options: NsqadminOptions, base: str) -> Graphs | None:
        """As the options say; None: there is no graphite.

        :param base: the base path without a slash at its end.
        """
        if not options.graphite_url:
            return None
        return cls(
            f"{base}/render" if options.proxy_graphite else render_url(options.graphite_url),
            options.statsd_prefix,
            options.statsd_counter_format,
            options.statsd_gauge_format,
            max(1, options.statsd_interval // 10**9),
        )

    @staticmethod
    def span(args: Mapping[str, str]) -> str:
        """The time that the parameter ``t`` of a page asks for."""
        return args["t"] if args.get("t") in SPANS else USUAL_SPAN

    def topic(self, topic: str, latencies: Sequence[Latency], span: str) -> list[Graph]:
        """Those of a topic, of all nodes."""
        return self._all(_TOPIC, f"topic.{_plain(topic)}", f"topic.{topic}", latencies, span)

    def channel(
        self, topic: str, channel: str, latencies: Sequence[Latency], span: str
    ) -> list[Graph]:
        """Those of a channel, of all nodes."""
        path = f"topic.{_plain(topic)}.channel.{_plain(channel)}"
        return self._all(_CHANNEL, path, f"topic.{topic}.channel.{channel}", latencies, span)

    def node(self, address: str, span: str) -> list[Graph]:
        """The memory of a node."""
        found = []
        for key, title in _NODE.items():
            name = f"{self._prefix(address)}mem.{key}"
            if key == "gc_runs":
                name = f"movingAverage({name},45)"
            target = self._renamed(key, name)
            found.append(self._graph(title, key, [target], span, "red,green,blue,purple"))
        return found

    def counter(self, span: str) -> list[Graph]:
        """Messages of all channels."""
        key = "message_count"
        name = self._renamed(key, f"{self._prefix('*')}topic.*.channel.*.{key}")
        return [self._graph("Messages", key, [f"sumSeries({name})"], span, "green")]

    def _all(
        self, keys: dict[str, str], path: str, raw: str, latencies: Sequence[Latency], span: str
    ) -> list[Graph]:
        found = []
        for key, title in keys.items():
            name = self._renamed(key, f"{self._prefix('*')}{path}.{key}")
            colour = "red" if key in ("depth", "deferred_count") else "blue"
            found.append(self._graph(title, key, [f"sumSeries({name})"], span, colour))
        if latencies:
            key = "e2e_processing_latency"
            targets = []
            for each in latencies:
                name = f"{self._prefix('*')}{raw}.{key}_{each.quantile * 100:g}"
                renamed = self._renamed(key, f"averageSeries({name})")
                targets.append(f"scale({renamed},0.000001)")
            found.append(self._graph("Latency in ms", key, targets, span, "blue"))
        return found

    def _prefix(self, node: str) -> str:
        host = re.sub("[.:]", "_", node)
        prefix = self.prefix.replace("%s", host)
        return prefix if not prefix or prefix.endswith(".") else f"{prefix}."

    def _renamed(self, key: str, name: str) -> str:
        form = self.counter_format if key in _COUNTERS else self.gauge_format
        return form.replace("%s", name) if form else name

    def _graph(self, title: str, key: str, targets: list[str], span: str, colours: str) -> Graph:
        if key in _COUNTERS:
            title = f"{title} a second"
            targets = [f"scale({target},{1 / self.interval:.4f})" for target in targets]
        fields: dict[str, Any] = {
            "target": [f'summarize({target},"{self.interval}sec","avg")' for target in targets],
            "width": 800,
            "height": 450,
            "bgcolor": "ff000000",
            "fgcolor": "999999",
            "yMin": 0,
            "lineMode": "connected",
            "drawNullAsZero": "false",
            "from": f"-{span}",
            "until": "-1min",
            "colorList": colours,
        }
        return Graph(title, f"{self.render}?{urlencode(fields, doseq=True)}")


def _plain(name: str) -> str:
    """A name as statsd leaves it."""
    return _STRANGE.sub("", name.replace(" ", "_").replace("/", "-"))
