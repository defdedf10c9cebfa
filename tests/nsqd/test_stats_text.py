"""The text form of /stats (nsqd-http section 8.2)."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Any

import pytest

from nsqtx.nsqd.stats_text import write_stats
from nsqtx.version import RUNTIME

START = 1_700_000_000
NOW = (START + 3) * 10**9
ZONE = timezone(timedelta(hours=2))
HEAD = (
    f"nsqd v1.3.0 (built w/{RUNTIME})\nstart_time 2023-11-15T00:13:20+02:00\nuptime 3s\n\n"
    "Health: OK\n"
)


def text_of(*about: Any) -> str:
    """All pieces."""
    return "".join(write_stats(*about))


def latency(*values: float) -> dict[str, Any]:
    """Latencies as /stats has them."""
    percentiles = [{"quantile": 0.5, "value": value} for value in values]
    return {"count": 1, "percentiles": percentiles or None}


def stats(**changes: Any) -> dict[str, Any]:
    """The JSON form of an nsqd with nothing in it."""
    return {"health": "OK", "start_time": START, "topics": [], "producers": None, **changes}


def client(**changes: Any) -> dict[str, Any]:
    """A consumer."""
    return {
        "hostname": "hst",
        "remote_address": "127.0.0.1:41140",
        "user_agent": "ua/1",
        "state": 3,
        "in_flight_count": 2,
        "ready_count": 2,
        "finish_count": 1,
        "requeue_count": 0,
        "message_count": 3,
        "connect_ts": START + 2,
        **changes,
    }


def topic(name: str, *channels: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A topic."""
    return {
        "topic_name": name,
        "channels": list(channels),
        "depth": 0,
        "backend_depth": 0,
        "message_count": 4,
        "paused": False,
        "e2e_processing_latency": latency(),
        **changes,
    }


def channel(name: str, **changes: Any) -> dict[str, Any]:
    """A channel."""
    return {
        "channel_name": name,
        "depth": 0,
        "backend_depth": 0,
        "in_flight_count": 2,
        "deferred_count": 1,
        "requeue_count": 0,
        "timeout_count": 0,
        "message_count": 4,
        "clients": [],
        "paused": False,
        "e2e_processing_latency": latency(),
        **changes,
    }


@pytest.mark.parametrize("topics", [[], None])
def test_nothing(topics: list[Any] | None) -> None:
    """Without topics and producers both say so."""
    text = text_of(stats(topics=topics), NOW, ZONE)
    assert text == HEAD + "\nTopics: None\n\nProducers: None\n"


def test_sample() -> None:
    """Topics, channels and clients stand in columns, paused ones marked."""
    producer = client(
        hostname="ph",
        remote_address="127.0.0.1:41150",
        user_agent="pub/1",
        pub_counts=[{"topic": "t", "count": 3}],
    )
    given = stats(
        topics=[
            topic("t", channel("c", clients=[client()]), channel("p", paused=True, clients=None)),
            topic("u", depth=1, message_count=1, paused=True),
        ],
        producers=[producer],
    )
    expected = (
        "\nTopics:"
        "\n   [t              ] depth: 0     be-depth: 0     msgs: 4        e2e%: \n"
        "      [c                        ] depth: 0     be-depth: 0     inflt: 2    def: 1   "
        " re-q: 0     timeout: 0     msgs: 4        e2e%: \n"
        "        [V2 hst:41140 ua/1       ] state: 3 inflt: 2    rdy: 2    fin: 1       "
        " re-q: 0        msgs: 3        connected: 1s\n"
        "   *P [p                        ] depth: 0     be-depth: 0     inflt: 2    def: 1   "
        " re-q: 0     timeout: 0     msgs: 4        e2e%: \n"
        "\n*P [u              ] depth: 1     be-depth: 0     msgs: 1        e2e%: \n"
        "\nProducers:\n"
        "   [V2 ph:41150 pub/1       ] msgs: 3        topics: t=3 connected: 1s\n"
    )
    assert text_of(given, NOW, ZONE) == HEAD + expected


def test_memory() -> None:
    """Memory figures follow the health, a tab before each value."""
    text = text_of(stats(memory={"heap_objects": 7, "gc_total_runs": 12}), NOW, ZONE)
    assert (
        "\n\nMemory:\n   heap_objects             \t7\n   gc_total_runs            \t12\n" in text
    )


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0.0ns"),
        (1000, "1000.0ns"),
        (1001, "1.0us"),
        (304_500_000, "304.5ms"),
        (1e9, "1000.0ms"),
        (2.55e9, "2.5s"),
    ],
)
def test_latency(ns: float, text: str) -> None:
    """A latency has one decimal and the largest unit that it exceeds."""
    given = stats(topics=[topic("t", e2e_processing_latency=latency(ns, 5.0))])
    assert f"e2e%: {text}, 5.0ns\n" in text_of(given, NOW, ZONE)


def test_odd_clients() -> None:
    """Unix sockets have no port, IPv6 ones do; long names are not cut; clocks may step back."""
    clients = [
        client(remote_address="@", hostname="h" * 30, connect_ts=START + 9),
        client(remote_address="[::1]:7"),
    ]
    text = text_of(stats(producers=clients), NOW, ZONE)
    assert f"[V2 {'h' * 30}: ua/1] state: 3 " in text
    assert "connected: 0s\n" in text
    assert "[V2 hst:7 ua/1           ]" in text


def test_utc() -> None:
    """UTC is written Z."""
    assert "start_time 2023-11-14T22:13:20Z\n" in text_of(stats(), NOW, timezone(timedelta(0)))
