"""pynsq (Tornado) as publisher or consumer.

``publish host:port topic count`` and ``consume host:port topic channel count``.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import nsq  # type: ignore[import-untyped]
import tornado.ioloop

from tests.interop.clients.traffic import (
    BATCH,
    DEFER_MS,
    DEFERRED,
    REQUEUE_MS,
    SINGLE,
    body,
    features,
    is_requeued,
    is_touched,
    report,
)


def publish(address: str, topic: str, count: int) -> None:
    """Publish everything, many commands under way at once, and stop after the last answer."""
    loop = tornado.ioloop.IOLoop.current()
    writer = nsq.Writer([address], reconnect_interval=0.5, **features())
    waiting = 0

    def answered(conn: Any, data: Any) -> None:
        nonlocal waiting
        if data != b"OK":
            raise SystemExit(f"publishing failed: {data!r}")
        waiting -= 1
        if not waiting:
            loop.stop()

    def start() -> None:
        nonlocal waiting
        if not any(conn.connected() for conn in writer.conns.values()):
            loop.call_later(0.05, start)
            return
        for number in range(SINGLE):
            writer.pub(topic, body(number), answered)
            waiting += 1
        for first in range(SINGLE, count - DEFERRED, BATCH):
            last = min(first + BATCH, count - DEFERRED)
            writer.mpub(topic, [body(number) for number in range(first, last)], answered)
            waiting += 1
        for number in range(count - DEFERRED, count):
            writer.dpub(topic, DEFER_MS, body(number), answered)
            waiting += 1

    loop.add_callback(start)
    loop.start()


def consume(address: str, topic: str, channel: str, count: int) -> None:
    """Consume until so many messages are finished."""
    loop = tornado.ioloop.IOLoop.current()
    finished: list[bytes] = []
    requeued = touched = 0

    def treat(message: Any) -> None:
        nonlocal requeued, touched
        message.enable_async()
        if is_requeued(message.body, message.attempts):
            requeued += 1
            message.requeue(time_ms=REQUEUE_MS, backoff=False)
            return
        if is_touched(message.body):
            touched += 1
            message.touch()
        message.finish()
        finished.append(message.body)
        if len(finished) == count:
            loop.call_later(0.2, loop.stop)

    nsq.Reader(
        topic,
        channel,
        message_handler=treat,
        nsqd_tcp_addresses=[address],
        max_in_flight=200,
        **features(),
    )
    loop.start()
    report(finished, requeued, touched)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    role, *arguments = sys.argv[1:]
    if role == "publish":
        publish(arguments[0], arguments[1], int(arguments[2]))
    else:
        consume(arguments[0], arguments[1], arguments[2], int(arguments[3]))
