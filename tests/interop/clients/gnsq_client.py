"""gnsq (gevent) as publisher and consumer; see `tests.interop.clients.traffic`."""

from __future__ import annotations

from typing import Any

import gevent  # type: ignore[import-untyped]
import gnsq  # type: ignore[import-untyped]
import gnsq.protocol  # type: ignore[import-untyped]

from tests.interop.clients.traffic import (
    BATCH,
    DEFER_MS,
    DEFERRED,
    MAX_IN_FLIGHT,
    REQUEUE_MS,
    Task,
    is_requeued,
    is_touched,
    main,
    report,
)


def features(task: Task) -> dict[str, Any]:
    """The options that gnsq has for what is negotiated."""
    options = {"tls_v1": task.tls, "snappy": task.snappy, "deflate": task.deflate}
    return options | {"tls_options": {"ca_certs": task.authority} if task.tls else None}


class PlainPublisher:
    """`gnsq.Producer`, which awaits every answer."""

    def __init__(self, task: Task) -> None:
        self._producer = gnsq.Producer(task.address)
        self._producer.start()
        self.publish = self._producer.publish
        self.multipublish = self._producer.multipublish


class UpgradedPublisher:
    """`gnsq.NsqdTCPClient`, awaiting every answer.

    `gnsq.Producer` cannot do it: it takes the OK that follows an upgrade for the answer to a
    publish, of which there is none yet, and raises KeyError.
    """

    def __init__(self, task: Task) -> None:
        host, port = task.address.split(":")
        self._connection = gnsq.NsqdTCPClient(host, int(port), **features(task))
        self._connection.connect()
        self._connection.identify()

    def publish(self, topic: str, data: bytes, defer: int | None = None) -> None:
        """PUB or DPUB."""
        self._connection.publish(topic, data, defer)
        self._await_answer()

    def multipublish(self, topic: str, bodies: list[bytes]) -> None:
        """MPUB."""
        self._connection.multipublish(topic, bodies)
        self._await_answer()

    def _await_answer(self) -> None:
        answer = self._connection.read_response()
        if answer != (gnsq.protocol.FRAME_TYPE_RESPONSE, gnsq.protocol.OK):
            raise SystemExit(f"publishing failed: {answer!r}")


def publish(task: Task) -> Any:
    """Publish everything."""
    upgraded = task.tls or task.snappy or task.deflate
    producer = UpgradedPublisher(task) if upgraded else PlainPublisher(task)
    for number in range(task.single):
        producer.publish(task.topic, task.body(number))
    for first in range(task.single, task.count - DEFERRED, BATCH):
        last = min(first + BATCH, task.count - DEFERRED)
        producer.multipublish(task.topic, [task.body(number) for number in range(first, last)])
    for number in range(task.count - DEFERRED, task.count):
        producer.publish(task.topic, task.body(number), defer=DEFER_MS)
    return producer


def consume(task: Task) -> None:
    """Consume until all messages are finished."""
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
        if len(finished) == task.count:
            gevent.spawn_later(0.2, end, consumer)

    def end(consumer: Any) -> None:
        report(finished, requeued, touched)
        consumer.close()

    consumer = gnsq.Consumer(
        task.topic,
        task.channel,
        max_in_flight=MAX_IN_FLIGHT,
        message_handler=treat,
        **task.sources(),
        **features(task),
    )
    consumer.start()


if __name__ == "__main__":
    main(publish, consume)
