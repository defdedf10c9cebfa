"""nsq_tail as a Twisted service."""

from __future__ import annotations

import os
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from nsqtx.tools.blocking import BlockingThread
from nsqtx.tools.nsq_tail.options import NsqTailOptions
from nsqtx.tools.nsq_tail.tail import Tail, TopicTail
from nsqtx.tools.sources import first_failure, make_reader
from nsqtx.tools.tool import Ending

__all__ = ["NsqTailService"]

log = Logger(namespace="nsqtx.tools.nsq_tail")

STDOUT = 1


class NsqTailService(MultiService):
    """A Reader for each topic."""

    def __init__(self, options: NsqTailOptions, reactor: Any, ending: Ending) -> None:
        super().__init__()
        self._thread = BlockingThread(reactor)
        tail = Tail(self._write, options.n, ending.finish, ending.fail)
        for topic in dict.fromkeys(options.topic):
            log.info("Adding consumer for topic: {topic}", topic=topic)
            prefix = f"{topic} | ".encode() if options.print_topic else b""
            told = first_failure(options.nsqd_tcp_address, ending.fail)
            handler = TopicTail(tail, prefix)
            reader = make_reader(options, "nsq_tail", topic, handler, reactor, told)
            self.addService(reader)

    def _write(self, data: bytes) -> Deferred[None]:
        return self._thread.call(lambda: _write_all(data))


def _write_all(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(STDOUT, view) :]
