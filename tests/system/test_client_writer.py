"""The Writer with nsqds that run: all layers, a server that is not trusted, one that is killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from nsqtx.client import Outcome, PublishFailed, Writer, WriterConfig
from nsqtx.client.events import ConnectFailed, Event
from tests.support.certificates import authority
from tests.support.daemon import Daemon
from tests.support.reacting import reacting
from tests.support.wireclient import WireClient


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the certificate of nsqd and that of its authority are."""
    path = tmp_path_factory.mktemp("certificates")
    authority().write(path, "server", "localhost")
    (path / "ca.pem").write_bytes(authority().pem)
    return path


@pytest.fixture(scope="module")
def nsqd(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[Daemon]:
    """One nsqd that offers everything."""
    flags = (f"--tls-cert={certificates}/server.pem", f"--tls-key={certificates}/server.key")
    with Daemon(tmp_path_factory.mktemp("nsqd"), *flags) as running:
        yield running


def consumed(nsqd: Daemon, topic: str, count: int) -> list[bytes]:
    """So many messages of a topic."""
    with WireClient(nsqd.tcp) as client:
        client.subscribe(topic, "c")
        client.ready(count)
        return [each.body for each in client.read_messages(count)]


@pytest.mark.parametrize(
    "layers",
    [
        {},
        {"deflate": True},
        {"snappy": True},
        {"tls_v1": True},
        {"tls_v1": True, "deflate": True},
        {"tls_v1": True, "snappy": True},
    ],
    ids="+".join,
)
@reacting
async def test_every_layer(nsqd: Daemon, certificates: Path, layers: dict[str, Any]) -> None:
    """Messages of all three commands arrive as they were published, also large ones."""
    config = WriterConfig(tls_root_ca_file=str(certificates / "ca.pem"), **layers)
    writer = Writer([f"localhost:{nsqd.tcp_port}"], reactor=reactor, config=config)
    writer.startService()
    topic = "_".join(["layers", *layers])
    large = bytes(range(256)) * 4000
    results = await gatherResults(
        [
            writer.publish(topic, b"one"),
            writer.publish(topic, large),
            writer.multi_publish(topic, [b"two", b"three"]),
            writer.publish(topic, b"later", defer=0.01),
        ]
    )
    assert results == [b"OK"] * 4
    await writer.stopService()
    bodies = consumed(nsqd, topic, 5)
    assert sorted(bodies) == sorted([b"one", b"two", b"three", b"later", large])


@reacting
async def test_a_server_that_is_not_trusted(nsqd: Daemon) -> None:
    """Without the authority's certificate there is no connection, and the reason is told."""
    events: list[Event] = []
    writer = Writer(
        [f"localhost:{nsqd.tcp_port}"],
        reactor=reactor,
        config=WriterConfig(tls_v1=True, publish_timeout=0.5),
        on_event=events.append,
    )
    writer.startService()
    with pytest.raises(PublishFailed, match="certificate verify failed") as caught:
        await writer.publish("untrusted", b"x")
    assert caught.value.outcome is Outcome.NOT_EXECUTED
    assert {type(event) for event in events} == {ConnectFailed}
    await writer.stopService()


@reacting
async def test_an_nsqd_is_killed(tmp_path: Path) -> None:
    """Every publish ends well on the other nsqd, what was answered and what was not."""
    with Daemon(tmp_path / "a") as first, Daemon(tmp_path / "b") as second:
        writer = Writer(
            [f"127.0.0.1:{first.tcp_port}", f"127.0.0.1:{second.tcp_port}"], reactor=reactor
        )
        writer.startService()
        count, window = 600, 64
        done: Deferred[None] = Deferred()
        sent = answered = 0

        def send() -> None:
            nonlocal sent
            sent += 1
            writer.publish("t", b"%d" % sent).addCallbacks(ok, done.errback)

        def ok(answer: bytes) -> None:
            nonlocal answered
            assert answer == b"OK"
            answered += 1
            if answered == count // 3:
                first.kill()
            if sent < count:
                send()
            elif answered == count:
                done.callback(None)

        for _ in range(window):
            send()
        await done
        stats = writer.stats()
        assert stats.published == count
        assert stats.failed == 0
        mine = stats.nsqds[1].published
        assert mine >= count // 2
        assert len(set(consumed(second, "t", mine))) == mine
        await writer.stopService()
