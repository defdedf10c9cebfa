"""doc/examples/go publishes and consumes, with other clients, and whatever happens to nsqd."""

from __future__ import annotations

import json
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.golden.forked import ForkServer
from tests.support.blockinghttp import get, post
from tests.support.daemon import Daemon
from tests.support.toolruns import ToolRun
from tests.support.waiting import eventually

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]


class GoRun:
    """The example, at work: what it is given, and what it says, goes through files and a pipe."""

    def __init__(self, program: Path, directory: Path, *arguments: str) -> None:
        name = "-".join(word for word in arguments if word.isalpha())
        self._out, self._err = directory / f"{name}.out", directory / f"{name}.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                [program, *arguments], stdin=subprocess.PIPE, stdout=out, stderr=err
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()

    def give(self, *lines: bytes) -> None:
        """Write lines to its input."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"".join(line + b"\n" for line in lines))
        self._process.stdin.flush()

    def finish(self) -> int:
        """End its input; the exit code."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._process.wait(60)

    def stop(self) -> int:
        """Ask it to stop; the exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(60)

    @property
    def lines(self) -> list[bytes]:
        """What it has printed so far."""
        return self._out.read_bytes().splitlines()

    @property
    def log(self) -> str:
        """What it has said of troubles so far."""
        return self._err.read_text("utf-8")


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
        with GoRun(go_example, tmp_path, "publish", address, "orders") as publisher:
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
        with GoRun(go_example, tmp_path, "consume", address, "back", "go") as consumer:
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
        GoRun(
            go_example, tmp_path, "consume", f"127.0.0.1:{nsqd.tcp_port}", "orders", "go"
        ) as consumer,
    ):
        eventually(lambda: has_consumer(nsqd, "go"), lambda: consumer.log)
        (client,) = channel_of(nsqd, "go")["clients"]
        assert client["ready_count"] == 10
        assert client["user_agent"] == "nsqexample/1"
        assert post(nsqd.http, "/pub?topic=orders", b"\xff\xfe")[0] == 200
        eventually(lambda: "attempt 1 of" in consumer.log, lambda: consumer.log)
        # It blocks: what is published now waits.
        eventually(lambda: channel_of(nsqd, "go")["clients"][0]["ready_count"] == 0)
        assert post(nsqd.http, "/pub?topic=orders", b"later")[0] == 200
        assert channel_of(nsqd, "go")["requeue_count"] == 1
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
            GoRun(go_example, tmp_path, "publish", address, "orders") as publisher,
            GoRun(go_example, tmp_path, "consume", address, "orders", "go") as consumer,
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
        beat = "-heartbeat=1s"
        with (
            GoRun(go_example, tmp_path, beat, "publish", address, "orders") as publisher,
            GoRun(go_example, tmp_path, beat, "consume", address, "orders", "go") as consumer,
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
            # nsqd would have closed both after two seconds of silence.
            with pytest.raises(AssertionError, match="still the same"):
                eventually(lambda: clients() != before, lambda: "still the same", seconds=5)
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
        with GoRun(go_example, tmp_path, "publish", address, "or ders") as publisher:
            publisher.give(b"x")
            assert publisher.finish() == 1
            assert "cannot be the name" in publisher.log
        with GoRun(go_example, tmp_path, "publish", address, "orders") as publisher:
            publisher.give(b"x" * 1_100_000)
            assert publisher.finish() == 1
            assert "E_BAD_MESSAGE" in publisher.log
