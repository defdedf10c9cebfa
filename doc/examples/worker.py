"""A worker: takes orders from a channel, and stores each in a database, once.

    python doc/examples/worker.py --nsqd 127.0.0.1:4150 orders.sqlite

A message may come twice (NSQ promises at least once), so what is stored has a key. The database
blocks, so it has threads (`adbapi`). SIGTERM or Ctrl-C let the orders that are at work end, and
give the others back to nsqd at once.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
from typing import Any

from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.logger import Logger, globalLogBeginner, textFileLogObserver

from nsqtx.client import Message, Reader, ReaderConfig, Requeue

log = Logger()


class Orders:
    """The table of orders."""

    def __init__(self, path: str) -> None:
        with sqlite3.connect(path) as database:
            database.execute(
                "create table if not exists orders (number integer primary key, of text)"
            )
        self._pool = ConnectionPool("sqlite3", path, check_same_thread=False, cp_max=1)

    async def handle(self, message: Message) -> None:
        """Store an order. Returning finishes the message, raising requeues it."""
        try:
            order = json.loads(message.body)
            row = int(order["number"]), str(order["of"])
        except (ValueError, KeyError, TypeError):
            # It would be no better the next time.
            log.warn("no order: {body!r}", body=message.body[:100])
            return
        try:
            await self._pool.runOperation("insert or ignore into orders values (?, ?)", row)
        except sqlite3.OperationalError as error:
            # Locked, or full: a reason to slow down, but none for a traceback.
            log.warn("order {number}: {error}", number=row[0], error=error)
            raise Requeue(delay=10.0, backoff=True) from error


async def work(reactor: Any, options: argparse.Namespace) -> None:
    reader = Reader(
        "orders",
        "storage",
        Orders(options.database).handle,
        reactor=reactor,
        nsqd_tcp_addresses=options.nsqd,
        lookupd_http_addresses=options.lookupd,
        config=ReaderConfig(max_in_flight=50, concurrency=10, max_attempts=0),
    )
    reader.startService()
    reactor.addSystemEventTrigger("before", "shutdown", reader.stopService)
    await Deferred()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Stores orders.")
    parser.add_argument("--nsqd", action="append", default=[], help="host:port")
    parser.add_argument("--lookupd", action="append", default=[], help="host:port of its HTTP")
    parser.add_argument("database")
    return parser.parse_args()


if __name__ == "__main__":
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
    react(lambda reactor: Deferred.fromCoroutine(work(reactor, parse())))
