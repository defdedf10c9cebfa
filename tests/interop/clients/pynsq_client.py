"""pynsq (Tornado) as publisher and consumer; see `tests.interop.clients.traffic`."""

from __future__ import annotations

from typing import Any

import nsq  # type: ignore[import-untyped]
import tornado.ioloop

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
    """The options that pynsq has for what is negotiated."""
    options = {"tls_v1": task.tls, "snappy": task.snappy, "deflate": task.deflate}
    return options | {"tls_options": {"ca_certs": task.authority} if task.tls else None}


def publish(task: Task) -> Any:
    """Publish everything, many commands under way at once, and return after the last answer."""
    loop = tornado.ioloop.IOLoop.current()
    writer = nsq.Writer([task.address], reconnect_interval=0.5, **features(task))
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
        for number in range(task.single):
            writer.pub(task.topic, task.body(number), answered)
            waiting += 1
        for first in range(task.single, task.count - DEFERRED, BATCH):
            last = min(first + BATCH, task.count - DEFERRED)
            writer.mpub(task.topic, [task.body(n) for n in range(first, last)], answered)
            waiting += 1
        for number in range(task.count - DEFERRED, task.count):
            writer.dpub(task.topic, DEFER_MS, task.body(number), answered)
            waiting += 1

    loop.add_callback(start)
    loop.start()
    return writer


def consume(task: Task) -> None:
    """Consume until all messages are finished."""
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
        if len(finished) == task.count:
            loop.call_later(0.2, loop.stop)

    nsq.Reader(
        task.topic,
        task.channel,
        message_handler=treat,
        max_in_flight=MAX_IN_FLIGHT,
        **task.sources(),
        **features(task),
    )
    loop.start()
    report(finished, requeued, touched)


if __name__ == "__main__":
    main(publish, consume)
