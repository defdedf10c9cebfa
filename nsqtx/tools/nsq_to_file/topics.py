"""Which topics nsq_to_file consumes: those named, or those that nsqlookupd knows (apps 2.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from nsqtx.cluster.errors import ApiError
from nsqtx.durations import SECOND
from nsqtx.tools.asking import all_answers
from nsqtx.tools.patterns import TopicPattern
from nsqtx.wire.names import valid_name

__all__ = ["TopicFinder"]

log = Logger(namespace="nsqtx.tools.nsq_to_file")


class TopicFinder:
    """Calls ``found`` once for each topic that the pattern lets through.

    ``lookups`` ask one nsqlookupd each for its topics. One that does not answer leaves the others
    to be heard. ``refresh`` is in ns; 0: look only once.
    """

    def __init__(
        self,
        pattern: TopicPattern,
        found: Callable[[str], None],
        lookups: Sequence[Callable[[], Deferred[list[str]]]],
        refresh: int,
        clock: IReactorTime,
    ) -> None:
        self._pattern = pattern
        self._found = found
        self._lookups = lookups
        self._refresh = refresh
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock
        self._asking: Deferred[None] | None = None
        self._known: set[str] = set()

    def take(self, topics: Sequence[str]) -> None:
        """Consider these topics; what is known already is passed over."""
        for topic in topics:
            if topic in self._known:
                continue
            self._known.add(topic)
            if not valid_name(topic):
                log.error("{topic} is no name of a topic", topic=topic)
            elif self._pattern.matches(topic):
                self._found(topic)
            else:
                log.warn(
                    "skipping topic {topic} (doesn't match pattern {pattern})",
                    topic=topic,
                    pattern=self._pattern.text,
                )

    def start(self) -> None:
        """Ask now, and again and again."""
        if self._refresh > 0:
            self._looking.start(self._refresh / SECOND)
        else:
            self._look()

    def stop(self) -> None:
        """Ask no more."""
        if self._looking.running:
            self._looking.stop()
        if self._asking is not None:
            self._asking.cancel()

    def _look(self) -> Deferred[None]:
        self._asking = asking = Deferred.fromCoroutine(self._ask_all())

        def failed(failure: Failure) -> None:
            if not failure.check(CancelledError):
                log.failure("could not retrieve topic list", failure)

        return asking.addErrback(failed)

    async def _ask_all(self) -> None:
        for answer in await all_answers(lookup() for lookup in self._lookups):
            if isinstance(answer, ApiError):
                log.error("could not retrieve topic list: {error}", error=answer)
            else:
                self.take(sorted(answer))
