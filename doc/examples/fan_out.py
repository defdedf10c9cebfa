"""A fan-out without RPC: tells every process something, whoever and wherever they are.

    python doc/examples/fan_out.py --nsqd 127.0.0.1:4150 listen      # as many as you like
    python doc/examples/fan_out.py --nsqd 127.0.0.1:4150 tell prices

Each listener has a channel of its own, so each gets all messages. Its name ends in ``#ephemeral``:
nsqd keeps nothing of it on disk, and forgets it when the process is gone. So this is for what is
of use only to those who are there, such as that a cache is out of date.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.logger import globalLogBeginner, textFileLogObserver

from nsqtx.client import Reader, ReaderConfig, Writer

TOPIC = "invalidations#ephemeral"


def own_channel() -> str:
    """A name that no other process has."""
    host = socket.gethostname().partition(".")[0][:30]
    return f"{host}-{os.getpid()}#ephemeral"


async def listen(reactor: Any, options: argparse.Namespace) -> None:
    cache = {"prices": 1, "names": 2}
    reader = Reader(
        TOPIC,
        own_channel(),
        reactor=reactor,
        nsqd_tcp_addresses=options.nsqd,
        config=ReaderConfig(max_in_flight=100),
    )
    reader.startService()
    reactor.addSystemEventTrigger("before", "shutdown", reader.stopService)
    async with reader.messages() as messages:
        async for message in messages:
            cache.pop(message.body.decode(), None)
            print("left in the cache:", *cache, flush=True)


async def tell(reactor: Any, options: argparse.Namespace) -> None:
    writer = Writer(options.nsqd, reactor=reactor)
    writer.startService()
    await writer.publish(TOPIC, options.what.encode())
    await writer.stopService()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Tells all listeners what has changed.")
    parser.add_argument("--nsqd", action="append", default=[], help="host:port")
    commands = parser.add_subparsers(required=True)
    commands.add_parser("listen").set_defaults(run=listen)
    telling = commands.add_parser("tell")
    telling.add_argument("what")
    telling.set_defaults(run=tell)
    return parser.parse_args()


if __name__ == "__main__":
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
    options = parse()
    react(lambda reactor: Deferred.fromCoroutine(options.run(reactor, options)))
