"""Messages by ``async for``, in place of a handler (client 12.2, pull style)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred

from nsqtx.client.message import Message

__all__ = ["MessageStream"]


class MessageStream:
    """What arrives, one after the other, for as many coroutines as iterate.

    A message is finished when the same loop asks for the next one, unless it was answered or
    deferred. A loop that ends by an exception has not finished its message; see `MessageLoop`.
    """

    def __init__(self, wanted: Callable[[bool], None]) -> None:
        #: Told whether anybody iterates: RDY is 0 as long as nobody does.
        self._wanted = wanted
        self._arrived: deque[Message] = deque()
        self._waiting: deque[Deferred[Message | None]] = deque()
        self._loops = 0
        self._over = False

    def __call__(self, message: Message) -> None:
        """The handler of the Reader: answers are the loop's business."""
        if self._waiting:
            self._waiting.popleft().callback(message)
        else:
            self._arrived.append(message)

    def _waits_no_more(self, waiting: Deferred[Message | None]) -> None:
        """A loop is cancelled."""
        if waiting in self._waiting:
            self._waiting.remove(waiting)

    def next(self) -> Deferred[Message | None]:
        """The next message, when there is one; None: there will be no more."""
        waiting: Deferred[Message | None] = Deferred(self._waits_no_more)
        arrived = self._arrived
        if self._over:
            waiting.callback(None)
            return waiting
        while arrived:
            message = arrived.popleft()
            if not message.answered and not lost(message):
                waiting.callback(message)
                return waiting
        self._waiting.append(waiting)
        return waiting

    def loop(self) -> MessageLoop:
        """Iterate."""
        self._loops += 1
        if self._loops == 1:
            self._wanted(True)
        return MessageLoop(self)

    def ended(self) -> None:
        """One loop less; with the last one, what it did not take goes back."""
        self._loops -= 1
        if not self._loops:
            self._wanted(False)
            self._give_back()

    def read_done(self) -> None:
        """Nothing waits for that."""

    def abandon(self) -> None:
        """Loops are their owners' business."""

    def stop(self) -> None:
        """There will be no more."""
        self._over = True
        self._give_back()
        waiting, self._waiting = self._waiting, deque()
        for each in waiting:
            if not each.called:
                each.callback(None)

    def _give_back(self) -> None:
        arrived, self._arrived = self._arrived, deque()
        for message in arrived:
            if not message.answered and not lost(message):
                message.source.return_unhandled(message)


def lost(message: Message) -> bool:
    """Whether the connection of a message is gone, so that nsqd delivers it again."""
    return message.source.connection.closed


class MessageLoop:
    """One ``async for``. Used as ``async with``, too, a message that an exception left is
    requeued, and the Reader pauses when the block is left."""

    def __init__(self, stream: MessageStream) -> None:
        self._stream = stream
        self._current: Message | None = None
        self._ended = False

    def __aiter__(self) -> MessageLoop:
        return self

    async def __anext__(self) -> Message:
        self._finish()
        if self._ended:
            raise StopAsyncIteration
        message = await self._stream.next()
        if message is None:
            self.close()
            raise StopAsyncIteration
        self._current = message
        return message

    def _finish(self) -> None:
        message, self._current = self._current, None
        if message is not None and not message.answered and not message.deferred:
            message.finish()

    async def __aenter__(self) -> MessageLoop:
        return self

    async def __aexit__(self, kind: object, error: object, traceback: object) -> None:
        message, self._current = self._current, None
        if message is not None and not message.answered and not message.deferred:
            if error is None:
                message.finish()
            else:
                message.requeue()
        self.close()

    def close(self) -> None:
        """Ask for no more messages."""
        if not self._ended:
            self._ended = True
            self._stream.ended()
