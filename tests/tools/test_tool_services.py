"""The services of tools, with the client library and nsqd in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, maybeDeferred, succeed

from nsqtx.testing import FakeNsqd, MemoryReactor
from nsqtx.tools.nsq_tail.options import NsqTailOptions
from nsqtx.tools.nsq_tail.service import NsqTailService
from nsqtx.tools.nsq_to_file import service as to_file
from nsqtx.tools.nsq_to_file.options import NsqToFileOptions
from nsqtx.tools.nsq_to_nsq.options import NsqToNsqOptions
from nsqtx.tools.nsq_to_nsq.service import NsqToNsqService
from nsqtx.tools.to_nsq.options import ToNsqOptions
from nsqtx.tools.to_nsq.service import ToNsqService
from tests.support.logged import Logged


class End:
    """How a tool ended by itself, if it did."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def finish(self) -> None:
        """All is done."""
        self.said.append("done")

    def fail(self, text: str) -> None:
        """It cannot go on."""
        self.said.append(text)


class Cluster:
    """A source and a destination."""

    def __init__(self) -> None:
        self.reactor = MemoryReactor()
        self.source = FakeNsqd(self.reactor)
        self.target = FakeNsqd(self.reactor, "127.0.0.1:4250")
        self.end: Any = End()

    def run(self, service: Any) -> None:
        """Start it, and let it connect."""
        service.startService()
        self.reactor.advance(0.1)

    def stop(self, service: Any) -> None:
        """Stop it; no timer is left."""
        self.reactor.wait_for(maybeDeferred(service.stopService))


@pytest.fixture
def cluster() -> Cluster:
    """One of them."""
    return Cluster()


QUICK: list[tuple[str, str | None]] = [
    ("default_requeue_delay", "100ms"),
    ("backoff_multiplier", "100ms"),
    ("max_backoff_duration", "500ms"),
]


def forwarding(cluster: Cluster, **options: Any) -> NsqToNsqService:
    """nsq_to_nsq from the one to the other."""
    return NsqToNsqService(
        NsqToNsqOptions(
            topic=["t"],
            nsqd_tcp_address=[cluster.source.address],
            destination_nsqd_tcp_address=[cluster.target.address],
            consumer_opt=QUICK,
            producer_opt=[("max_reconnect_delay", "100ms")],
            **options,
        ),
        cluster.reactor,
        cluster.end,
    )


def test_nsq_to_nsq_moves_messages(cluster: Cluster) -> None:
    """To the topic of the same name, unless another is said; then they are finished."""
    service = forwarding(cluster)
    cluster.source.put("t", b"one", b"two")
    cluster.run(service)
    cluster.source.put("t", b"three")
    cluster.reactor.advance(1)
    assert sorted(cluster.target.bodies("t")) == sorted([b"one", b"two", b"three"])
    channel = cluster.source.channel("t", "nsq_to_nsq")
    assert sorted(channel.finished) == sorted([b"one", b"two", b"three"])
    cluster.stop(service)
    assert cluster.end.said == []


def test_nsq_to_nsq_keeps_what_its_destination_does_not_take(cluster: Cluster) -> None:
    """It is requeued while that is away or refuses, and published when it is back."""
    service = forwarding(cluster, destination_topic="out")
    cluster.run(service)
    cluster.target.stop()
    cluster.reactor.advance(1)
    channel = cluster.source.channel("t", "nsq_to_nsq")
    with Logged() as said:
        cluster.source.put("t", b"one", b"two")
        cluster.reactor.advance(3)
        assert channel.finished == []
        assert {each.body for each in channel.requeued} == {b"one", b"two"}
        cluster.target.start()
        cluster.target.refuse("PUB", "E_PUB_FAILED PUB failed disk full")
        # Hosts that failed are left alone for 30 s, if there are others; here there are none.
        cluster.reactor.advance(60)
    assert any(line.startswith("E ERROR: 127.0.0.1:4250: ") for line in said.lines)
    assert sorted(channel.finished) == [b"one", b"two"]
    assert sorted(cluster.target.bodies("out")) == [b"one", b"two"]
    cluster.stop(service)


def test_a_source_that_is_not_there_from_the_start_ends_it(cluster: Cluster) -> None:
    """Once, however often it is tried again. Later it may go and come back."""
    cluster.source.stop()
    service = forwarding(cluster)
    cluster.run(service)
    cluster.reactor.advance(60)
    (why,) = cluster.end.said
    assert why.startswith("127.0.0.1:4150: ")
    cluster.stop(service)


def test_nsq_tail_shows_topics(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it has shown so many; the rest goes back at once."""
    out: list[bytes] = []

    def write(self: object, data: bytes) -> Deferred[None]:
        out.append(data)
        return succeed(None)

    monkeypatch.setattr(NsqTailService, "_write", write)
    options = NsqTailOptions(
        topic=["a", "b"], channel="c", n=3, print_topic=True, nsqd_tcp_address=["127.0.0.1:4150"]
    )
    service = NsqTailService(options, cluster.reactor, cluster.end)
    cluster.source.put("a", b"1")
    cluster.source.channel("a", "c")
    cluster.run(service)
    cluster.source.put("a", b"2")
    cluster.reactor.advance(0.1)
    cluster.source.put("b", b"3", b"4")
    cluster.reactor.advance(0.1)
    shown = b"".join(out)
    assert shown.count(b"\n") == 3
    assert b"a | 2\n" in shown
    assert b"b | 3\n" in shown
    assert cluster.end.said == ["done"]
    cluster.stop(service)
    channels = [cluster.source.channel(topic, "c") for topic in "ab"]
    assert sum(len(channel.finished) for channel in channels) == 3
    assert sum(len(channel.requeued) for channel in channels) == 1


def feed(service: ToNsqService, *pieces: bytes) -> None:
    """Let these be its input, and then its end."""
    left = list(pieces)
    service._feeding._read = lambda: succeed(left.pop(0) if left else b"")


def test_to_nsq_publishes_to_all(cluster: Cluster) -> None:
    """What one read brought by one MPUB."""
    options = ToNsqOptions(topic="t", nsqd_tcp_address=["127.0.0.1:4150", "127.0.0.1:4250"])
    service = ToNsqService(options, cluster.reactor, cluster.end)
    feed(service, b"one\ntwo\nth", b"ree\n", b"four")
    cluster.run(service)
    for nsqd in (cluster.source, cluster.target):
        assert nsqd.bodies("t") == [b"one", b"two", b"three", b"four"]
        commands = [command.partition(" ")[0] for command in nsqd.connection.lines]
        assert [each for each in commands if each.endswith("PUB")] == ["MPUB", "PUB", "PUB"]
    assert cluster.end.said == ["done"]
    cluster.stop(service)


def test_to_nsq_ends_at_an_error(cluster: Cluster) -> None:
    """And says how much was published before it."""
    options = ToNsqOptions(topic="t", nsqd_tcp_address=["127.0.0.1:4150"])
    service = ToNsqService(options, cluster.reactor, cluster.end)
    feed(service, b"one\n", b"two\n")
    cluster.source.refuse("PUB", "E_PUB_FAILED PUB failed disk full")
    cluster.run(service)
    assert "E_PUB_FAILED" in cluster.end.said[0]
    assert cluster.end.said[0].endswith("; 0 messages were published")
    cluster.stop(service)


def at_once(reactor: object, pool: object, work: Callable[[], None]) -> Deferred[None]:
    """In place of a thread."""
    return maybeDeferred(work)


def test_nsq_to_file_and_an_nsqd_that_comes_and_goes(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It need not be there at the start; what was in flight when it went comes again."""
    monkeypatch.setattr(to_file, "deferToThreadPool", at_once)
    monkeypatch.setattr(cluster.reactor, "getThreadPool", lambda: None, raising=False)
    cluster.source.stop()
    options = NsqToFileOptions(
        topic=["t"],
        nsqd_tcp_address=[cluster.source.address],
        output_dir=str(tmp_path),
        filename_format="<TOPIC>",
        consumer_opt=[("max_reconnect_delay", "1s")],
    )
    service = to_file.make_service(options, cluster.reactor, None)
    cluster.run(service)
    cluster.source.start()
    cluster.reactor.advance(2)
    cluster.source.put("t", b"one")
    cluster.reactor.advance(0.1)
    cluster.source.put("t", b"two")
    cluster.reactor.advance(0.1)
    channel = cluster.source.channel("t", "nsq_to_file")
    # The first is synced at once, the second at the next tick.
    assert channel.finished == [b"one"]
    assert (tmp_path / "t").read_bytes() == b"one\ntwo\n"
    cluster.source.stop()
    cluster.source.start()
    cluster.reactor.advance(2)
    cluster.source.put("t", b"two")
    cluster.reactor.advance(40)
    assert channel.finished == [b"one", b"two"]
    assert (tmp_path / "t").read_bytes() == b"one\ntwo\ntwo\n"
    cluster.stop(service)
