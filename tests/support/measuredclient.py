"""A program with a Reader and two Writers whose figures Prometheus can scrape.

    python -m tests.support.measuredclient <host:port of an nsqd> <topic> <channel>

It says the port of ``/metrics`` by its first line. A message whose body ends in ``7`` is one that
its handler cannot deal with. The Writer ``orders`` publishes ten messages a second to the topic;
``lost`` has no nsqd.
"""

from __future__ import annotations

import sys
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, react

from nsqtx.client import Message, Reader, ReaderConfig, Writer
from nsqtx.client.metrics import ClientCollector


def handle(message: Message) -> None:
    """Fails for one message in ten."""
    if message.body.endswith(b"7"):
        raise ValueError(message.body)


async def run(reactor: Any, nsqd: str, topic: str, channel: str) -> None:
    """Until a signal."""
    config = ReaderConfig(default_requeue_delay=0.1, max_attempts=2, max_backoff_duration=0.2)
    reader = Reader(
        topic, channel, handle, reactor=reactor, nsqd_tcp_addresses=[nsqd], config=config
    )
    # Nobody listens on port 1 here.
    writers = {
        "orders": Writer([nsqd], reactor=reactor),
        "lost": Writer(["127.0.0.1:1"], reactor=reactor),
    }
    collector = ClientCollector()
    collector.add_reader(reader)
    for name, writer in writers.items():
        collector.add_writer(writer, name)
    registry = CollectorRegistry()
    registry.register(collector)
    for service in (reader, *writers.values()):
        service.startService()
    server, _ = start_http_server(0, "127.0.0.1", registry)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    count = 0

    async def publish() -> None:
        nonlocal count
        count += 1
        await writers["orders"].publish(topic, b"%d" % count)

    LoopingCall(lambda: Deferred.fromCoroutine(publish())).start(0.1)
    await Deferred()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(run(reactor, *sys.argv[1:])))
