"""nsq_to_file as a Twisted service: a consumer and an archive for each topic."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

from twisted.application.service import IService
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.web.client import Agent

from nsqtx.client.reader import Reader
from nsqtx.cluster.lookupd import LookupdClient
from nsqtx.durations import SECOND
from nsqtx.signals import SteeredService
from nsqtx.tools.nsq_to_file.archive import Archive
from nsqtx.tools.nsq_to_file.filename import FileName, FileNameError, file_name
from nsqtx.tools.nsq_to_file.leftovers import recover
from nsqtx.tools.nsq_to_file.options import NsqToFileOptions
from nsqtx.tools.nsq_to_file.output import Output
from nsqtx.tools.nsq_to_file.topics import TopicFinder
from nsqtx.tools.patterns import TopicPattern
from nsqtx.tools.sources import make_reader

__all__ = ["MakeConsumer", "NsqToFileService", "make_service"]

log = Logger(namespace="nsqtx.tools.nsq_to_file")

#: Makes the Reader of a topic, which hands its messages to that archive.
MakeConsumer = Callable[[str, Archive], Any]


class _Topic:
    """One topic: what consumes it, and where its messages go."""

    def __init__(self, name: FileName, said: str, archive: Archive) -> None:
        self.name = name
        self.said = said
        self.archive = archive
        self.consumer: IService | None = None
        #: Fires when the files of a crash are put right, and consuming has begun.
        self.begun: Deferred[None] | None = None


class NsqToFileService(SteeredService):
    """One nsq_to_file. ``lookups`` ask a nsqlookupd each for its topics."""

    def __init__(
        self,
        options: NsqToFileOptions,
        reactor: Any,
        make_consumer: MakeConsumer,
        lookups: Sequence[Callable[[], Deferred[list[str]]]],
    ) -> None:
        self._options = options
        self._reactor = reactor
        self._make_consumer = make_consumer
        self._topics: list[_Topic] = []
        self._finder = TopicFinder(
            TopicPattern(options.topic_pattern),
            self._add,
            lookups,
            options.topic_refresh,
            reactor,
        )

    def startService(self) -> None:
        """Consume the topics that were named, or look for some."""
        super().startService()
        if self._options.topic:
            self._finder.take(self._options.topic)
        else:
            self._finder.start()

    def hung_up(self) -> None:
        """SIGHUP: close all files."""
        for topic in self._topics:
            topic.archive.hang_up()

    def stopService(self) -> Deferred[Any]:
        """Consume no more; fires when all that was received is in its files or given back."""
        super().stopService()
        self._finder.stop()
        return gatherResults([self._stop(topic) for topic in self._topics], consumeErrors=True)

    # -- topics --------------------------------------------------------------------------------

    def _in_thread(self, work: Callable[[], None]) -> Deferred[None]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work)

    def _add(self, topic: str) -> None:
        """Consume one more topic. It needs no other to work: what goes wrong is logged."""
        options = self._options
        name = file_name(options, topic, socket.gethostname(), os.getpid())
        said = f"[{topic}/{options.channel}] "
        try:
            name.at(self._reactor.seconds())
        except FileNameError as error:
            log.error(
                "couldn't create logger for new topic {topic}: {error}", topic=topic, error=error
            )
            return
        output = Output(options, name, said, self._reactor.seconds)
        archive = Archive(options, output, said, self._reactor, self._in_thread)
        added = _Topic(name, said, archive)
        self._topics.append(added)
        added.begun = self._in_thread(lambda: recover(options, name, said))
        added.begun.addCallback(lambda _: self._consume(added))
        added.begun.addErrback(
            lambda failure: log.failure("{topic} is not consumed", failure, topic=topic)
        )

    def _consume(self, topic: _Topic) -> None:
        if not self.running:
            return
        topic.archive.start()
        consumer = self._make_consumer(topic.name.topic, topic.archive)
        topic.consumer = topic.archive.consumer = consumer
        consumer.startService()

    async def _stop_one(self, topic: _Topic) -> None:
        if topic.begun is not None:
            await topic.begun
        if topic.consumer is not None:
            await maybeDeferred(topic.consumer.stopService)
        await topic.archive.close()

    def _stop(self, topic: _Topic) -> Deferred[None]:
        stopping = Deferred.fromCoroutine(self._stop_one(topic))
        return stopping.addErrback(
            lambda failure: log.failure("{said}the stop was not clean", failure, said=topic.said)
        )


def make_service(options: NsqToFileOptions, reactor: Any, observer: object) -> NsqToFileService:
    """The service, with Readers and clients of nsqlookupd."""
    agent = Agent(reactor, connectTimeout=options.http_client_connect_timeout / SECOND)
    timeout = options.http_client_request_timeout / SECOND
    lookupds = [
        LookupdClient(address, agent, reactor, timeout=timeout)
        for address in dict.fromkeys(options.lookupd_http_address)
    ]

    def make_consumer(topic: str, archive: Archive) -> Reader:
        return make_reader(options, "nsq_to_file", topic, archive, reactor)

    return NsqToFileService(options, reactor, make_consumer, [each.topics for each in lookupds])
