"""to_nsq as a Twisted service."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from nsqtx.client.errors import NsqError
from nsqtx.client.writer import Writer
from nsqtx.tools.blocking import BlockingThread, is_terminal
from nsqtx.tools.destinations import writer_config
from nsqtx.tools.sources import first_failure
from nsqtx.tools.to_nsq.feeding import Feeding, Publish
from nsqtx.tools.to_nsq.options import ToNsqOptions
from nsqtx.tools.to_nsq.pace import Pace
from nsqtx.tools.to_nsq.records import Records
from nsqtx.tools.tool import Ending

__all__ = ["ToNsqService"]

log = Logger(namespace="nsqtx.tools.to_nsq")

STDIN, STDERR = 0, 2
READ = 256 * 1024
#: Seconds between two looks at the progress bar.
REFRESH = 0.1


class ToNsqService(MultiService):
    """A Writer for each nsqd, all of which get everything."""

    def __init__(self, options: ToNsqOptions, reactor: Any, ending: Ending) -> None:
        super().__init__()
        self._ending = ending
        self._reactor = reactor
        self._thread = BlockingThread(reactor)
        self._topic = options.topic
        # Without input nobody needs a connection.
        config = writer_config([("lazy", None), *options.producer_opt], "to_nsq")
        addresses = list(dict.fromkeys(options.nsqd_tcp_address))
        told = first_failure(addresses, ending.fail)
        writers = [
            Writer([address], reactor=reactor, config=config, on_event=told)
            for address in addresses
        ]
        for writer in writers:
            self.addService(writer)
        pace = None
        if options.rate >= 1:
            log.info("Throttling messages rate to max:{rate}/second", rate=options.rate)
            pace = Pace(options.rate, reactor.seconds)
        records = Records(options.delimiter_byte)
        publishers = [self._publisher(writer) for writer in writers]
        self._feeding = Feeding(self._read, records, publishers, pace, reactor)
        self._running: Deferred[None] | None = None
        self._progress: Any = None
        self._ticks = LoopingCall(self._tick)
        self._ticks.clock = reactor

    def _publisher(self, writer: Writer) -> Publish:
        topic = self._topic

        def publish(batch: Sequence[bytes]) -> Deferred[bytes]:
            if len(batch) == 1:
                return writer.publish(topic, batch[0])
            return writer.multi_publish(topic, batch)

        return publish

    def startService(self) -> None:
        super().startService()
        self._progress = _make_progress()
        if self._progress is not None:
            self._ticks.start(REFRESH)
        self._running = Deferred.fromCoroutine(self._feeding.run())
        self._running.addCallbacks(lambda _: self._ending.finish(), self._failed)

    def stopService(self) -> Any:
        if self._running is not None:
            self._running.cancel()
        if self._ticks.running:
            self._ticks.stop()
        if self._progress is not None:
            self._tick()
            self._progress.close()
        return super().stopService()

    def _read(self) -> Deferred[bytes]:
        return self._thread.call(lambda: os.read(STDIN, READ))

    def _tick(self) -> None:
        self._progress.show(self._feeding.bytes, self._feeding.published)

    def _failed(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        if failure.check(NsqError, OSError):
            self._ending.fail(
                f"{failure.getErrorMessage()}; {self._feeding.published} messages were published"
            )
        else:
            self._ending.crash(failure)


def _make_progress() -> Any:
    """A progress bar, for a file whose size is known, on a terminal, with the library for it."""
    try:
        status = os.fstat(STDIN)
    except OSError:
        # It is closed, which reading will find out.
        return None
    if not stat.S_ISREG(status.st_mode) or not is_terminal(STDERR):
        return None
    try:
        from rich.console import Console

        from nsqtx.tools.to_nsq.progress import FileProgress
    except ImportError:
        return None
    left = status.st_size - os.lseek(STDIN, 0, os.SEEK_CUR)
    return FileProgress(Console(stderr=True), left)
