"""A web service that publishes each request: what comes in is answered when nsqd has it.

    python doc/examples/web_publisher.py --nsqd 127.0.0.1:4150 --nsqd 127.0.0.1:5150 8080
    curl -d '{"number": 1, "of": "tea"}' http://127.0.0.1:8080/orders

202 means that an nsqd has the order; 503 that none has said so, and the client should try again.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.task import react
from twisted.logger import Logger, globalLogBeginner, textFileLogObserver
from twisted.web.server import Site

from nsqtx.client import Outcome, PublishFailed, Writer, WriterConfig

log = Logger()


class OrderService:
    """HTTP in, NSQ out."""

    app = Klein()

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    @app.route("/orders", methods=["POST"])
    async def order(self, request: Any) -> bytes:
        body = request.content.read()
        try:
            await self._writer.publish("orders", body)
        except PublishFailed as error:
            if error.outcome is Outcome.REJECTED:
                # An empty body, or one that is too large: it was not even sent.
                request.setResponseCode(400)
                return f"{error.reason}\n".encode()
            # Else the outcome says whether the order may be in the topic nevertheless.
            log.warn("no order: {error}", error=error)
            request.setResponseCode(503)
            return b"try again\n"
        request.setResponseCode(202)
        return b"thank you\n"


async def serve(reactor: Any, options: argparse.Namespace) -> None:
    config = WriterConfig(publish_timeout=5.0)
    writer = Writer(options.nsqd, reactor=reactor, config=config)
    writer.startService()
    site = Site(OrderService(writer).app.resource())
    port = await TCP4ServerEndpoint(reactor, options.port, interface="127.0.0.1").listen(site)
    print("listening on port", port.getHost().port, flush=True)

    async def stop() -> None:
        # First no more requests, then the answers to those that are at work.
        await port.stopListening()
        await writer.stopService()

    reactor.addSystemEventTrigger("before", "shutdown", lambda: Deferred.fromCoroutine(stop()))
    await Deferred()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Publishes what is POSTed to /orders.")
    parser.add_argument("--nsqd", action="append", default=[], help="host:port")
    parser.add_argument("port", type=int)
    return parser.parse_args()


if __name__ == "__main__":
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
    react(lambda reactor: Deferred.fromCoroutine(serve(reactor, parse())))
