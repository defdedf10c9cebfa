"""What goes on during a soak test: every way to publish, consumers of every temper.

``steady`` is a topic of two channels that get everything: ``quick``, which always has a Reader and
often two, and ``lagging``, whose only Reader pauses and catches up. An ephemeral channel of it
comes and goes. Beside it topics are made, consumed and deleted, one after the other, and many
connections are made for one command or one request each.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from random import Random
from typing import Any

from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool

from nsqtx.client import Message, Reader, ReaderConfig, Requeue, Writer, WriterConfig
from nsqtx.client.events import Event
from tests.soak.ledger import Ledger
from tests.soak.troubles import Troubles
from tests.soak.visitor import visit

__all__ = ["Traffic"]

log = Logger(namespace="soak")

#: How often something is published, in seconds.
_TICK = 0.05
#: Connections for one command or one request, per second.
_VISITS = 10
#: nsqd gives a message again after so many seconds without an answer.
_TIMEOUT = 2.0


class Traffic:
    """Publishes and consumes until it is told to end.

    :param rate: messages per second, of all publishers.
    :param pace: seconds that the slow changes take: consumers, topics, lags.
    """

    def __init__(
        self,
        reactor: Any,
        nsqds: list[tuple[str, str]],
        lookupd: tuple[str, str],
        ledger: Ledger,
        troubles: Troubles,
        rate: float,
        pace: float,
    ) -> None:
        self._reactor = reactor
        self._http = [http for _, http in nsqds]
        self._tcp = [tcp for tcp, _ in nsqds]
        self._lookupd_tcp, self._lookupd = lookupd
        self._ledger = ledger
        self._rate = rate
        self._pace = pace
        self._random = Random(1)
        self._publishing = True
        self._turns = 0
        self._owed: dict[str, float] = {}
        self._pool = HTTPConnectionPool(reactor)
        self._client = HTTPClient(Agent(reactor, connectTimeout=10, pool=self._pool))
        #: What clients told, the last of it.
        self.events: deque[Event] = deque(maxlen=50)
        self._troubles = troubles
        self._writers = [
            self._writer(self._tcp),
            self._writer(lookupds=[self._lookupd], batch_linger=0.01),
        ]
        self._readers: set[Reader] = set()
        self._ticking = LoopingCall(self._tick)
        self._ticking.clock = reactor
        self._loops: list[Deferred[None]] = []

    def _writer(
        self, nsqds: list[str] | None = None, lookupds: list[str] | None = None, **config: Any
    ) -> Writer:
        return Writer(
            nsqds or [],
            lookupd_http_addresses=lookupds or [],
            reactor=self._reactor,
            config=WriterConfig(lookupd_poll_interval=5, **config),
            on_event=self.events.append,
        )

    def _read(self, topic: str, channel: str, counts: bool = True, **config: Any) -> Reader:
        async def handle(message: Message) -> None:
            number = int(message.body.partition(b" ")[0])
            if message.attempts == 1:
                if number % 50 == 7:
                    self._ledger.tallies.requeued += 1
                    raise Requeue(0.5, backoff=False)
                if number % 1500 == 8:
                    # Too long: it comes again, and the answer to this one is late.
                    await deferLater(self._reactor, _TIMEOUT + 0.5)
            elif number % 50 == 7 and message.attempts < 3:
                raise Requeue(0, backoff=False)
            if counts:
                self._ledger.finished(topic, channel, number)

        reader = Reader(
            topic,
            channel,
            handle,
            reactor=self._reactor,
            lookupd_http_addresses=[self._lookupd],
            config=ReaderConfig(
                max_in_flight=200,
                max_attempts=0,
                msg_timeout=_TIMEOUT,
                heartbeat_interval=5,
                drain_timeout=5,
                rdy_redistribute_interval=1,
                **config,
            ),
            on_event=self.events.append,
        )
        self._ledger.tallies.consumers_started += 1
        self._readers.add(reader)
        reader.startService()
        return reader

    async def _end(self, reader: Reader, timeout: float = 5.0) -> None:
        await reader.drain(timeout)
        self._readers.discard(reader)

    # -- publishing ----------------------------------------------------------------------------

    def _due(self, kind: str, share: float) -> int:
        """How many messages of a kind it is time for, which gets that share of all."""
        owed = self._owed.get(kind, 0.0) + self._rate * share * _TICK
        self._owed[kind] = owed % 1.0
        return int(owed)

    def _body(self, number: int) -> bytes:
        return b"%d %b" % (number, b"x" * self._random.randrange(700))

    def _tick(self) -> None:
        self._turns += 1
        first, second = self._writers
        for _ in range(self._due("pub", 0.3)):
            self._send(1, 0.0, lambda bodies: first.publish("steady", bodies[0]))
        for _ in range(self._due("batched", 0.2)):
            self._send(1, 0.0, lambda bodies: second.publish("steady", bodies[0]))
        for _ in range(self._due("mpub", 0.25 / 10)):
            self._send(10, 0.0, partial(first.multi_publish, "steady"))
        for _ in range(self._due("dpub", 0.1)):
            self._publish_later(self._random.uniform(0.1, self._pace))
        for _ in range(self._due("http pub", 0.02)):
            self._send(1, 0.0, lambda bodies: self._post("/pub?topic=steady", bodies[0]))
        for _ in range(self._due("http mpub", 0.13 / 20)):
            self._send(20, 0.0, lambda bodies: self._post("/mpub?topic=steady", b"\n".join(bodies)))

    def _publish_later(self, delay: float) -> None:
        writer = self._writers[0]
        self._send(1, delay, lambda bodies: writer.publish("steady", bodies[0], defer=delay))

    def _send(
        self,
        count: int,
        after: float,
        publish: Callable[[list[bytes]], Deferred[Any]],
        topic: str = "steady",
    ) -> Deferred[None]:
        numbers = self._ledger.number(topic, count, after)

        def refused(failure: Failure) -> None:
            self._ledger.refused(numbers)
            self._troubles.note(f"publishing: {failure.getErrorMessage()}")

        done = publish([self._body(number) for number in numbers])
        return done.addCallbacks(lambda _: self._ledger.answered(numbers), refused)

    def _post(self, path: str, body: bytes = b"", address: str = "") -> Deferred[None]:
        address = address or self._http[self._turns % len(self._http)]
        return Deferred.fromCoroutine(self._posted(f"http://{address}{path}", body))

    async def _posted(self, url: str, body: bytes) -> None:
        response = await self._client.post(url, data=body, timeout=20)
        text = await response.text()
        if response.code != 200:
            raise RuntimeError(f"{url}: {response.code} {text}")

    # -- what changes slowly -------------------------------------------------------------------

    async def _pause(self, share: float) -> None:
        """So many times the pace, or until the end."""
        until = self._reactor.seconds() + self._pace * share
        while self._publishing and self._reactor.seconds() < until:
            await deferLater(self._reactor, 0.1)

    async def _come_and_go(self) -> None:
        """A second consumer of ``quick``: every other time it leaves without a farewell."""
        turn = 0
        while self._publishing:
            reader = self._read("steady", "quick")
            await self._pause(0.5)
            await self._end(reader, 0.0 if turn % 2 else 5.0)
            await self._pause(0.25)
            turn += 1

    async def _ephemeral(self) -> None:
        """A channel that is there as long as its consumer, which has what is not for it too."""
        while self._publishing:
            reader = self._read("steady", "passing#ephemeral", counts=False, sample_rate=50)
            await self._pause(0.3)
            await self._end(reader)
            await self._pause(0.2)

    async def _lag(self, reader: Reader) -> None:
        """The consumer of ``lagging`` pauses for half of the time."""
        while self._publishing:
            await self._pause(2.0)
            reader.pause()
            await self._pause(2.0)
            reader.resume()
        reader.resume()

    async def _topics(self) -> None:
        """Topics are made by a publish, consumed, and deleted everywhere."""
        number = 0
        while self._publishing:
            number += 1
            topic = f"topic-{number}"
            self._ledger.watch(topic, "c")
            self._ledger.tallies.topics_made += 1
            publish = partial(self._writers[0].multi_publish, topic)
            for _ in range(10):
                await self._send(5, 0.0, publish, topic)
            reader = self._read(topic, "c", lookupd_poll_interval=1)
            await self._until(partial(self._all_came, topic), 60, f"all of {topic}")
            await self._end(reader)
            self._ledger.forget(topic)
            for address in [*self._http, self._lookupd]:
                await self._post(f"/topic/delete?topic={topic}", address=address)
            self._ledger.tallies.topics_deleted += 1
            await self._pause(0.2)

    async def _visits(self) -> None:
        """Ten a second."""
        ping = b"GET /ping HTTP/1.1\r\nHost: soak\r\n\r\n"
        while self._publishing:
            for address in self._tcp:
                numbers = self._ledger.number("steady")
                body = self._body(numbers[0])
                said = b"  V2PUB steady\n" + len(body).to_bytes(4, "big") + body
                if await self._visit(address, said, b"OK"):
                    self._ledger.answered(numbers)
                else:
                    self._ledger.refused(numbers)
            await self._visit(self._lookupd_tcp, b"  V1PING\n", b"OK")
            for address in [*self._http, self._lookupd]:
                await self._visit(address, ping, b"OK")

    async def _visit(self, address: str, said: bytes, wanted: bytes) -> bool:
        await deferLater(self._reactor, 1 / _VISITS)
        self._ledger.tallies.visits += 1
        try:
            await visit(self._reactor, address, said, wanted)
        except Exception as error:
            self._troubles.note(f"a visit to {address}: {error!r}")
            return False
        return True

    def _all_came(self, topic: str = "") -> bool:
        return not self._ledger.waiting(topic)

    async def _until(self, true: Callable[[], bool], seconds: float, what: str) -> None:
        for _ in range(int(seconds / _TICK)):
            if true():
                return
            await deferLater(self._reactor, _TICK)
        self._troubles.note(f"not within {seconds:g} s: {what}")

    # -- begin and end -------------------------------------------------------------------------

    async def start(self) -> None:
        """Make the topic, and begin."""
        for address in self._http:
            await self._post("/topic/create?topic=steady", address=address)
            for channel in ("quick", "lagging"):
                await self._post(f"/channel/create?topic=steady&channel={channel}", address=address)
        self._ledger.watch("steady", "quick")
        self._ledger.watch("steady", "lagging")
        for writer in self._writers:
            writer.startService()
        self._read("steady", "quick")
        lagging = self._read("steady", "lagging")
        self._loop(self._come_and_go())
        self._loop(self._ephemeral())
        self._loop(self._lag(lagging))
        self._loop(self._topics())
        self._loop(self._visits())
        ticking = self._ticking.start(_TICK)
        ticking.addErrback(self._trouble)

    def _loop(self, running: Coroutine[Any, Any, None]) -> None:
        self._loops.append(Deferred.fromCoroutine(running).addErrback(self._trouble))

    def _trouble(self, failure: Failure) -> None:
        self._troubles.note(failure.getTraceback())

    async def stop(self, patience: float) -> None:
        """Publish no more, wait so many seconds until all has come, and close."""
        self._publishing = False
        self._ticking.stop()
        for loop in self._loops:
            await loop
        await self._until(self._all_came, patience, "everything")
        for writer in self._writers:
            await writer.stopService()
        for reader in list(self._readers):
            await self._end(reader)
        await self._pool.closeCachedConnections()

    def stats(self, address: str) -> Deferred[Any]:
        """/stats of a nsqd."""
        return Deferred.fromCoroutine(self._stats(address))

    async def _stats(self, address: str) -> Any:
        response = await self._client.get(f"http://{address}/stats?format=json", timeout=20)
        return await response.json()

    async def live_objects(self, address: str) -> int:
        """How many objects a daemon has that are no garbage."""
        response = await self._client.get(f"http://{address}/debug/pprof/heap?gc=1", timeout=20)
        found = re.search(r"objects the garbage collector knows: (\d+)", await response.text())
        assert found is not None
        return int(found[1])
