"""gnsq (gevent) as publisher or consumer.

``publish host:port topic count`` and ``consume host:port topic channel count``.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import gevent  # type: ignore[import-untyped]
import gnsq  # type: ignore[import-untyped]

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
    """Publish everything, awaiting every answer."""
    producer = gnsq.Producer(address, **features())
    producer.start()
    for number in range(SINGLE):
        producer.publish(topic, body(number))
    for first in range(SINGLE, count - DEFERRED, BATCH):
        last = min(first + BATCH, count - DEFERRED)
        producer.multipublish(topic, [body(number) for number in range(first, last)])
    for number in range(count - DEFERRED, count):
        producer.publish(topic, body(number), defer=DEFER_MS)
    producer.close()
    producer.join(5)


def consume(address: str, topic: str, channel: str, count: int) -> None:
    """Consume until so many messages are finished."""
    finished: list[bytes] = []
    requeued = touched = 0

    def treat(consumer: Any, message: Any) -> None:
        nonlocal requeued, touched
        if is_requeued(message.body, message.attempts):
            requeued += 1
            message.requeue(REQUEUE_MS, backoff=False)
            return
        if is_touched(message.body):
            touched += 1
            message.touch()
        message.finish()
        finished.append(message.body)
        if len(finished) == count:
            gevent.spawn_later(0.2, consumer.close)

    consumer = gnsq.Consumer(
        topic, channel, address, max_in_flight=200, message_handler=treat, **features()
    )
    consumer.start()
    report(finished, requeued, touched)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    role, *arguments = sys.argv[1:]
    if role == "publish":
        publish(arguments[0], arguments[1], int(arguments[2]))
    else:
        consume(arguments[0], arguments[1], arguments[2], int(arguments[3]))
