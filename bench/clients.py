"""One client of NSQ at work, in a process of its own: ours, pynsq or gnsq, as its users write it.

``python -m bench.clients '<JSON>'`` does what the JSON says (`Work`) and prints as JSON the seconds
it took, and its own CPU time in seconds. The clock starts when the client is connected.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from bench.traffic import bodies

__all__ = ["CHANNEL", "CLIENTS", "TOPIC", "Work"]

CLIENTS = ("nsqtx", "pynsq", "gnsq")
TOPIC = "t"
CHANNEL = "c0"


class Work(NamedTuple):
    """``commands`` publishes of ``batch`` messages (0: PUB) with ``window`` of them outstanding, or
    ``commands`` messages to be consumed with ``window`` in flight (``kind`` is ``write``, ``read``,
    or ``await``: as ``write``, by coroutines)."""

    client: str
    kind: str
    port: int
    commands: int
    batch: int
    size: int
    window: int


class Timing:
    """The seconds and the CPU time between two calls."""

    def __init__(self) -> None:
        self._begun = time.perf_counter(), time.process_time()

    def show(self) -> None:
        """Print them."""
        seconds, cpu = self._begun
        print(
            json.dumps(
                {"seconds": time.perf_counter() - seconds, "cpu": time.process_time() - cpu}
            ),
            flush=True,
        )


def payload(work: Work) -> Any:
    """The message, or the messages of an MPUB."""
    made = bodies(work.batch or 1, work.size)
    return made if work.batch else made[0]


# -- nsqtx ---------------------------------------------------------------------------------------


def nsqtx_write(work: Work, coroutines: bool) -> None:
    """Our Writer."""
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred, DeferredList
    from twisted.internet.task import react

    from nsqtx.client import Writer

    writer = Writer([f"127.0.0.1:{work.port}"], reactor=reactor)
    publish: Callable[[str, Any], Deferred[bytes]] = writer.publish
    if work.batch:
        publish = writer.multi_publish
    body = payload(work)

    async def lane(count: int) -> None:
        for _ in range(count):
            await publish(TOPIC, body)

    def by_callbacks() -> Deferred[None]:
        done: Deferred[None] = Deferred()
        left = [work.commands, work.commands]  # to send, to be answered

        def send() -> None:
            left[0] -= 1
            publish(TOPIC, body).addCallbacks(answered, done.errback)

        def answered(_: bytes) -> None:
            left[1] -= 1
            if left[0] > 0:
                send()
            elif not left[1]:
                done.callback(None)

        for _ in range(min(work.window, work.commands)):
            send()
        return done

    async def run() -> None:
        writer.startService()
        await writer.publish(TOPIC, b"connected")
        timing = Timing()
        if coroutines:
            each = work.commands // work.window
            lanes = [Deferred.fromCoroutine(lane(each)) for _ in range(work.window)]
            await DeferredList(lanes, fireOnOneErrback=True)
        else:
            await by_callbacks()
        timing.show()
        await writer.stopService()

    react(lambda _: Deferred.fromCoroutine(run()))


def nsqtx_read(work: Work) -> None:
    """Our Reader."""
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred
    from twisted.internet.task import react

    from nsqtx.client import Message, Reader, ReaderConfig

    left = work.commands
    done: Deferred[None] = Deferred()

    def handle(_: Message) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.callback(None)

    async def run() -> None:
        reader = Reader(
            TOPIC,
            CHANNEL,
            handle,
            reactor=reactor,
            nsqd_tcp_addresses=[f"127.0.0.1:{work.port}"],
            config=ReaderConfig(max_in_flight=work.window),
        )
        timing = Timing()
        reader.startService()
        await done
        timing.show()
        await reader.stopService()

    react(lambda _: Deferred.fromCoroutine(run()))


# -- pynsq ---------------------------------------------------------------------------------------


def pynsq_write(work: Work) -> None:
    """pynsq's Writer; its callbacks get nsqd's answer."""
    import nsq
    from tornado.ioloop import IOLoop

    writer = nsq.Writer([f"127.0.0.1:{work.port}"])
    loop = IOLoop.current()
    publish = writer.mpub if work.batch else writer.pub
    body = payload(work)
    left = [work.commands, work.commands]
    timings: list[Timing] = []

    def send() -> None:
        left[0] -= 1
        publish(TOPIC, body, callback=answered)

    def answered(_: Any, data: Any) -> None:
        if data != b"OK":
            raise SystemExit(f"not an OK: {data!r}")
        left[1] -= 1
        if left[0] > 0:
            send()
        elif not left[1]:
            timings[0].show()
            loop.stop()

    def begin() -> None:
        if not any(conn.connected() for conn in writer.conns.values()):
            loop.call_later(0.01, begin)
            return
        timings.append(Timing())
        for _ in range(min(work.window, work.commands)):
            send()

    loop.call_later(0.05, begin)
    loop.start()


def pynsq_read(work: Work) -> None:
    """pynsq's Reader."""
    import nsq
    from tornado.ioloop import IOLoop

    left = work.commands
    loop = IOLoop.current()

    def handle(_: Any) -> bool:
        nonlocal left
        left -= 1
        if not left:
            loop.add_callback(end)
        return True

    def end() -> None:
        timing.show()
        loop.stop()

    timing = Timing()
    nsq.Reader(
        topic=TOPIC,
        channel=CHANNEL,
        message_handler=handle,
        nsqd_tcp_addresses=[f"127.0.0.1:{work.port}"],
        max_in_flight=work.window,
    )
    loop.start()


# -- gnsq ----------------------------------------------------------------------------------------


def gnsq_write(work: Work) -> None:
    """gnsq's Producer, in as many greenlets as there may be publishes outstanding."""
    import gevent
    import gnsq

    producer = gnsq.Producer([f"127.0.0.1:{work.port}"])
    producer.start()
    publish = producer.multipublish if work.batch else producer.publish
    body = payload(work)

    def lane(count: int) -> None:
        for _ in range(count):
            publish(TOPIC, body)

    producer.publish(TOPIC, b"connected")
    timing = Timing()
    each = work.commands // work.window
    gevent.joinall([gevent.spawn(lane, each) for _ in range(work.window)], raise_error=True)
    timing.show()
    producer.close()


def gnsq_read(work: Work) -> None:
    """gnsq's Consumer."""
    import gnsq

    left = work.commands
    consumer = gnsq.Consumer(
        TOPIC,
        CHANNEL,
        nsqd_tcp_addresses=[f"127.0.0.1:{work.port}"],
        max_in_flight=work.window,
    )

    def handle(consumer: Any, message: Any) -> None:
        nonlocal left
        left -= 1
        if not left:
            timing.show()
            consumer.close()

    # It is held by nothing else: signals have weak references.
    consumer.on_message.connect(handle)
    timing = Timing()
    consumer.start()


def main() -> None:
    """Do what the argument says."""
    work = Work(**json.loads(sys.argv[1]))
    if work.client == "gnsq":
        from gevent import monkey

        monkey.patch_all()
    writing = work.kind != "read"
    if work.client == "nsqtx":
        if writing:
            nsqtx_write(work, work.kind == "await")
        else:
            nsqtx_read(work)
    elif work.client == "pynsq":
        (pynsq_write if writing else pynsq_read)(work)
    else:
        (gnsq_write if writing else gnsq_read)(work)


if __name__ == "__main__":
    main()
