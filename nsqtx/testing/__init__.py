"""NSQ in memory, for tests of programs that use `nsqtx.client`.

No socket, no thread, no waiting: a `MemoryReactor` stands for the reactor, a `FakeNsqd` for nsqd,
and time passes when the test says so::

    from nsqtx.client import Reader
    from nsqtx.testing import FakeNsqd, MemoryReactor

    def test_orders_are_stored() -> None:
        reactor = MemoryReactor()
        nsqd = FakeNsqd(reactor)
        reader = Reader("orders", "billing", handle, reactor=reactor,
                        nsqd_tcp_addresses=[nsqd.address])
        reader.startService()
        nsqd.put("orders", b"one", b"bad")
        reactor.advance(1)
        channel = nsqd.channel("orders", "billing")
        assert channel.finished == [b"one"]
        assert [each.body for each in channel.requeued] == [b"bad"]
        reactor.wait_for(reader.stopService())

Nothing moves before `MemoryReactor.advance`, `settle` (which takes no time) or `wait_for` (a
Deferred). What a Writer has published is in `FakeNsqd.published`. To see how a program gets along
with trouble: `FakeNsqd.refuse`, `ignore`, `stalled`, `stop` and `start`, `FakeConnection.drop`,
`send_raw` and more; with ``scripted=True`` the test gives every answer by hand. `FakeLookupd` is an
nsqlookupd; a Reader that is given its address finds it by itself, since its connections, too, are
made on the `MemoryReactor`.
"""

from nsqtx.testing.channels import FakeChannel, FakeMessage, FakeTopic, Published, Requeued
from nsqtx.testing.connection import Command, FakeConnection
from nsqtx.testing.lookupd import FakeLookupd
from nsqtx.testing.nsqd import FakeNsqd
from nsqtx.testing.reactor import MemoryReactor
from nsqtx.testing.transport import MemoryTransport

__all__ = [
    "Command",
    "FakeChannel",
    "FakeConnection",
    "FakeLookupd",
    "FakeMessage",
    "FakeNsqd",
    "FakeTopic",
    "MemoryReactor",
    "MemoryTransport",
    "Published",
    "Requeued",
]
