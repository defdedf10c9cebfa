"""doc/examples/go publishes and consumes, with other clients, and whatever happens to nsqd."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.golden.forked import ForkServer
from tests.interop.clientrun import ClientRun
from tests.support.blockinghttp import get, post
from tests.support.daemon import Daemon
from tests.support.toolruns import ToolRun
from tests.support.waiting import eventually

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]


def run(program: Path, directory: Path, *arguments: str) -> ClientRun:
    """The example, at work."""
    name = "-".join(word for word in arguments if word.isalpha())
    return ClientRun(directory / name, [program, *arguments])


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """A process that has imported our programs, and forks them."""
    with ForkServer(tmp_path_factory.mktemp("forks")) as server:
        yield server


def channel_of(nsqd: Daemon, channel: str) -> dict[str, Any]:
    """A channel of the orders as /stats shows it; nothing if there is none."""
    _, body = get(nsqd.http, f"/stats?format=json&topic=orders&channel={channel}")
    topics = json.loads(body)["topics"]
    channels = topics[0]["channels"] if topics else []
    return dict(channels[0]) if channels else {}


def has_consumer(nsqd: Daemon, channel: str) -> bool:
    """Whether somebody is there."""
    return bool(channel_of(nsqd, channel).get("clients"))


def orders(start: int, end: int) -> list[bytes]:
    """Messages that differ."""
    return [b"order %d of tea" % number for number in range(start, end)]


def test_from_go_to_python_and_back(go_example: Path, forks: ForkServer, tmp_path: Path) -> None:
    """What one publishes, singly or many together, the other one gets, each message once."""
    wanted = orders(0, 500)
    with Daemon(tmp_path / "data", launch=forks.launch) as nsqd:
        address = f"127.0.0.1:{nsqd.tcp_port}"
        with run(go_example, tmp_path, "publish", address, "orders") as publisher:
            publisher.give(wanted[0])
            publisher.give(*wanted[1:])
            assert publisher.finish() == 0, publisher.log
        with ToolRun(
            forks,
            "nsq_tail",
            [f"--nsqd-tcp-address={address}", "--topic=orders", "--channel=python", "-n=500"],
        ) as tail:
            assert tail.wait() == 0, tail.err
            assert Counter(tail.out.splitlines()) == Counter(wanted)
        with run(go_example, tmp_path, "consume", address, "back", "go") as consumer:
            text = b"".join(line + b"\n" for line in wanted)
            flags = [f"--nsqd-tcp-address={address}", "--topic=back"]
            with ToolRun(forks, "to_nsq", flags, stdin=text) as writer:
                assert writer.wait() == 0, writer.err
            eventually(lambda: len(consumer.lines) >= len(wanted), lambda: consumer.log)
            assert consumer.stop() == 0, consumer.log
            assert Counter(consumer.lines) == Counter(wanted)


def test_what_it_cannot_treat_comes_again(
    go_example: Path, forks: ForkServer, tmp_path: Path
) -> None:
    """Requeued, while nothing else comes for a time; nothing is left when it is stopped."""
    with (
        Daemon(tmp_path / "data", launch=forks.launch) as nsqd,
        run(
            go_example, tmp_path, "consume", f"127.0.0.1:{nsqd.tcp_port}", "orders", "go"
        ) as consumer,
    ):
        eventually(lambda: has_consumer(nsqd, "go"), lambda: consumer.log)

        def client() -> dict[str, Any]:
            (found,) = channel_of(nsqd, "go")["clients"]
            return dict(found)

        eventually(lambda: client()["ready_count"] == 10)
        assert client()["user_agent"] == "nsqexample/1"
        assert post(nsqd.http, "/pub?topic=orders", b"\xff\xfe")[0] == 200
        eventually(lambda: "attempt 1 of" in consumer.log, lambda: consumer.log)
        # It blocks: what is published now waits.
        eventually(lambda: client()["ready_count"] == 0)
        assert post(nsqd.http, "/pub?topic=orders", b"later")[0] == 200
        eventually(lambda: channel_of(nsqd, "go")["requeue_count"] == 1)
        eventually(lambda: consumer.lines == [b"later"], lambda: consumer.log)
        eventually(lambda: "attempt 2 of" in consumer.log, lambda: consumer.log)
        assert consumer.stop() == 0
        assert consumer.lines == [b"later"]
        left = channel_of(nsqd, "go")
        assert (left["in_flight_count"], left["timeout_count"]) == (0, 0)
        assert left["depth"] + left["deferred_count"] == 1


def test_nsqd_is_killed_under_both(go_example: Path, forks: ForkServer, tmp_path: Path) -> None:
    """They connect again by themselves, and all that was published arrives."""
    data = tmp_path / "data"
    with Daemon(data, launch=forks.launch) as nsqd:
        address = f"127.0.0.1:{nsqd.tcp_port}"
        with (
            run(go_example, tmp_path, "publish", address, "orders") as publisher,
            run(go_example, tmp_path, "consume", address, "orders", "go") as consumer,
        ):
            eventually(lambda: has_consumer(nsqd, "go"), lambda: consumer.log)
            # So many that some are still on their way.
            publisher.give(*orders(0, 5000))
            eventually(lambda: len(consumer.lines) > 10, lambda: consumer.log)
            nsqd.kill()
            publisher.give(*orders(5000, 5100))
            with Daemon(data, f"--tcp-address={address}", launch=forks.launch) as again:
                publisher.give(*orders(5100, 5200))
                assert publisher.finish() == 0, publisher.log
                wanted = set(orders(0, 5200))
                eventually(lambda: wanted <= set(consumer.lines), lambda: consumer.log, 60)
                assert set(consumer.lines) == wanted
                assert has_consumer(again, "go")
                assert consumer.stop() == 0


def test_both_stay_when_there_is_nothing_to_do(
    go_example: Path, forks: ForkServer, tmp_path: Path
) -> None:
    """Heartbeats are answered: after several of them the connections are the same."""
    with Daemon(tmp_path / "data", launch=forks.launch) as nsqd:
        address = f"127.0.0.1:{nsqd.tcp_port}"
        beat = "-heartbeat=3s"
        with (
            run(go_example, tmp_path, beat, "publish", address, "orders") as publisher,
            run(go_example, tmp_path, beat, "consume", address, "orders", "go") as consumer,
        ):
            publisher.give(b"first")
            eventually(lambda: consumer.lines == [b"first"], lambda: consumer.log)

            def clients() -> set[str]:
                stats = json.loads(get(nsqd.http, "/stats?format=json")[1])
                producers = stats["producers"]
                return {
                    each["remote_address"]
                    for each in [*producers, *channel_of(nsqd, "go")["clients"]]
                }

            before = clients()
            assert len(before) == 2
            # nsqd would have closed both after six seconds of silence, and they themselves as well.
            with pytest.raises(AssertionError, match="still the same"):
                eventually(lambda: clients() != before, lambda: "still the same", seconds=10)
            publisher.give(b"second")
            eventually(lambda: consumer.lines == [b"first", b"second"], lambda: consumer.log)
            assert publisher.finish() == 0
            assert consumer.stop() == 0
            assert consumer.log == publisher.log == ""


def test_a_name_that_cannot_be_is_the_end(
    go_example: Path, forks: ForkServer, tmp_path: Path
) -> None:
    """Nothing of it reaches nsqd, and it is not tried for ever."""
    with Daemon(tmp_path / "data", launch=forks.launch) as nsqd:
        address = f"127.0.0.1:{nsqd.tcp_port}"
        with run(go_example, tmp_path, "publish", address, "or ders") as publisher:
            publisher.give(b"x")
            assert publisher.finish() == 1
            assert "cannot be the name" in publisher.log
        with run(go_example, tmp_path, "publish", address, "orders") as publisher:
            publisher.give(b"x" * 1_100_000)
            assert publisher.finish() == 1
            assert "E_BAD_MESSAGE" in publisher.log
