"""``/stats`` for people (nsqd-http section 8.2): the same figures as the JSON, in columns."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from typing import Any

from nsqtx.durations import format_duration
from nsqtx.version import NSQ_VERSION, RUNTIME

__all__ = ["write_stats"]

_SECOND = 10**9


def write_stats(stats: dict[str, Any], now: int, zone: tzinfo | None = None) -> Iterator[str]:
    """The text form of what ``/stats?format=json`` shows, piece by piece.

    :param stats: the JSON form; without ``memory`` that part is left out.
    :param now: the time, in ns since the epoch.
    :param zone: the time zone of the start time, the local one when None.
    """
    start = stats["start_time"]
    uptime = format_duration(max(0, now - int(start * _SECOND)))
    yield f"nsqd v{NSQ_VERSION} (built w/{RUNTIME})\n"
    yield f"start_time {_rfc3339(start, zone)}\nuptime {uptime}\n"
    yield f"\nHealth: {stats['health']}\n"
    if "memory" in stats:
        yield "\nMemory:\n"
        for name, value in stats["memory"].items():
            yield f"   {name:<25}\t{value}\n"
    topics = stats["topics"]
    yield "\nTopics:" if topics else "\nTopics: None\n"
    for topic in topics or ():
        yield from _topic(topic, now)
    producers = stats["producers"]
    yield "\nProducers:\n" if producers else "\nProducers: None\n"
    for client in producers or ():
        yield f"   {_client(client, now)}\n"


def _topic(topic: dict[str, Any], now: int) -> Iterator[str]:
    yield (
        f"\n{'*P ' if topic['paused'] else '   '}[{topic['topic_name']:<15}]"
        f" depth: {topic['depth']:<5} be-depth: {topic['backend_depth']:<5}"
        f" msgs: {topic['message_count']:<8} e2e%: {_latencies(topic)}\n"
    )
    for channel in topic["channels"]:
        yield (
            f"{'   *P ' if channel['paused'] else '      '}[{channel['channel_name']:<25}]"
            f" depth: {channel['depth']:<5} be-depth: {channel['backend_depth']:<5}"
            f" inflt: {channel['in_flight_count']:<4} def: {channel['deferred_count']:<4}"
            f" re-q: {channel['requeue_count']:<5} timeout: {channel['timeout_count']:<5}"
            f" msgs: {channel['message_count']:<8} e2e%: {_latencies(channel)}"
            f"{_dead_letters(channel)}\n"
        )
        for client in channel["clients"] or ():
            yield f"        {_client(client, now)}\n"


def _dead_letters(channel: dict[str, Any]) -> str:
    """Only of channels with a limit; the original has no column for this."""
    if "dead_letter_count" not in channel:
        return ""
    return f" dead: {channel['dead_letter_count']} (after {channel['max_attempts']})"


def _client(client: dict[str, Any], now: int) -> str:
    _, colon, port = client["remote_address"].rpartition(":")
    name = f"{client['hostname']}:{port if colon else ''} {client['user_agent']}"
    seconds = max(0, now // _SECOND - client["connect_ts"])
    connected = format_duration(seconds * _SECOND)
    if client.get("pub_counts"):
        counts = client["pub_counts"]
        topics = ",".join(f"{each['topic']}={each['count']}" for each in counts)
        total = sum(each["count"] for each in counts)
        return f"[V2 {name:<21}] msgs: {total:<8} topics: {topics} connected: {connected}"
    return (
        f"[V2 {name:<21}] state: {client['state']} inflt: {client['in_flight_count']:<4}"
        f" rdy: {client['ready_count']:<4} fin: {client['finish_count']:<8}"
        f" re-q: {client['requeue_count']:<8} msgs: {client['message_count']:<8}"
        f" connected: {connected}"
    )


def _latencies(stats: dict[str, Any]) -> str:
    percentiles = stats["e2e_processing_latency"]["percentiles"] or ()
    return ", ".join(_latency(each["value"]) for each in percentiles)


def _latency(ns: float) -> str:
    for unit, name in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
        if ns > unit:
            return f"{ns / unit:.1f}{name}"
    return f"{ns:.1f}ns"


def _rfc3339(seconds: float, zone: tzinfo | None) -> str:
    moment = datetime.fromtimestamp(int(seconds), UTC).astimezone(zone)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
