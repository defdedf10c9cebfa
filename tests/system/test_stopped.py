"""Processes that stand still for a while, as when a machine swaps: SIGSTOP and SIGCONT.

``python -m tests.system.test_stopped ROUNDS [SEED]`` does it for longer than the test.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from twisted.internet import reactor as the_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater, react

from nsqtx.client import PublishFailed, Writer, WriterConfig
from tests.support.daemon import Daemon
from tests.support.reacting import reacting
from tests.support.readerprocess import ReaderProcess

#: Who is quiet for twice as long is taken for dead.
HEARTBEAT = 1.0
#: Short enough for nobody to notice, and long enough for everybody.
STOPS = ((0.1, 0.3), (2.2, 3.0))


class Stopped:
    """An nsqd, a Writer and two Readers; nsqd and one of the Readers are stopped in turn."""

    def __init__(self, reactor: Any, path: Path, stack: ExitStack, seed: int) -> None:
        self._reactor = reactor
        self._random = Random(seed)
        self.nsqd = stack.enter_context(Daemon(path, "--msg-timeout=1500ms"))
        address = f"127.0.0.1:{self.nsqd.tcp_port}"
        settings: dict[str, Any] = {"heartbeat_interval": HEARTBEAT, "read_timeout": 2 * HEARTBEAT}
        self.readers = [
            stack.enter_context(
                ReaderProcess("t", [address], max_in_flight=20, concurrency=20, **settings)
            )
            for _ in range(2)
        ]
        self.writer = Writer(
            [address],
            reactor=reactor,
            config=WriterConfig(handshake_timeout=2, max_publish_attempts=20, **settings),
        )
        self._numbers = itertools.count()
        self.answered: set[str] = set()
        self.unanswered = 0
        self._publishing = LoopingCall(self._publish)
        self._publishing.clock = reactor

    def _publish(self) -> None:
        body = f"{next(self._numbers)} 0.002"

        def failed(failure: Any) -> None:
            failure.trap(PublishFailed)
            self.unanswered += 1

        publishing = self.writer.publish("t", body.encode())
        publishing.addCallbacks(lambda _: self.answered.add(body), failed)

    def got(self) -> Counter[str]:
        """How often each message was handled."""
        return Counter(body for reader in self.readers for body in reader.got)

    async def _until(self, true: Callable[[], bool], what: str, within: float = 20.0) -> None:
        deadline = time.monotonic() + within
        while not true():
            assert time.monotonic() < deadline, f"{what}\n{self.nsqd.log}"
            await deferLater(self._reactor, 0.05)

    async def run(self, rounds: int) -> None:
        """Stop and continue; after each time all of them work again."""
        self.writer.startService()
        publishing = self._publishing.start(0.01)
        turns = itertools.cycle(itertools.product(STOPS, (self.nsqd.pid, self.victim.process.pid)))
        for (least, most), pid in itertools.islice(turns, rounds):
            await self._at_work()
            os.kill(pid, signal.SIGSTOP)
            try:
                await deferLater(self._reactor, self._random.uniform(least, most))
            finally:
                os.kill(pid, signal.SIGCONT)
        await self._at_work()
        self._publishing.stop()
        await publishing
        await self.writer.stopService()
        await self._until(lambda: self.answered <= set(self.got()), "not all came")

    @property
    def victim(self) -> ReaderProcess:
        """The Reader that is stopped."""
        return self.readers[0]

    async def _at_work(self) -> None:
        """Wait until each has done something since now."""
        answered, wanted = len(self.answered), [len(reader.got) + 5 for reader in self.readers]
        await self._until(lambda: len(self.answered) > answered + 5, "the Writer has not come back")
        for reader, count in zip(self.readers, wanted, strict=True):
            await self._until(partial(reader.has, count), "a Reader has not come back")


@pytest.mark.timeout(120)
@reacting
async def test_stopped_and_continued(tmp_path: Path) -> None:
    """nsqd and a Reader stand still for less and for more than the heartbeats allow: every message

    that was answered is handled, and all are back at work soon.
    """
    with ExitStack() as stack:
        stopped = Stopped(the_reactor, tmp_path, stack, 1)
        await stopped.run(4)


async def main(reactor: Any, rounds: str = "100", seed: str = "1") -> None:
    """The same for longer, with its figures."""
    with ExitStack() as stack:
        path = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stopped = Stopped(reactor, path, stack, int(seed))
        await stopped.run(int(rounds))
        got = stopped.got()
        print(f"{rounds} stops, {len(stopped.answered)} messages answered OK, none lost,")
        print(f"{stopped.unanswered} without an answer, {sum(got.values())} deliveries handled")


if __name__ == "__main__":
    react(lambda *arguments: Deferred.fromCoroutine(main(*arguments)), sys.argv[1:])
