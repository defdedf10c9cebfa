"""How long nsqd keeps a publisher waiting while it has something large to do.

``python -m bench.pauses [--scale 1.0] [--only TEXT]`` brings nsqd into each situation, while a
process of its own publishes a message to another topic every 5 ms and waits for OK. What it waits
is shown in milliseconds: the median, the 99th percentile and the longest.
"""

from __future__ import annotations

import argparse
import multiprocessing
import selectors
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from bench.case import BATCH, create, fill
from bench.cases import Scale
from bench.measure import REFERENCE_CALL_NS, call_nanoseconds
from bench.server import Server, call, start
from bench.traffic import OK, bodies, pub, topic_names
from tests.support.wireclient import WireClient

__all__ = ["SITUATIONS", "main"]

#: Seconds between an OK and the next publish.
EVERY = 0.005
#: So many commands are sent before their answers are read.
WINDOW = 1000


def publish_and_wait(port: int, told: Connection) -> None:
    """Until something is said: publish, wait for OK, note how long that took."""
    took: list[float] = []
    with WireClient(("127.0.0.1", port), timeout=600.0) as client:
        while not told.poll(EVERY):
            begun = time.perf_counter()
            client.publish("probe", b"x")
            took.append(time.perf_counter() - begun)
    told.send(took)


@contextmanager
def watched(server: Server, waits: list[float]) -> Iterator[None]:
    """What a publisher waits meanwhile, in seconds."""
    mine, theirs = multiprocessing.Pipe()
    probe = multiprocessing.Process(target=publish_and_wait, args=(server.tcp_port, theirs))
    probe.start()
    try:
        yield
        mine.send(None)
        waits += mine.recv()
        probe.join()
    finally:
        probe.kill()


def send_all(client: WireClient, commands: Sequence[bytes]) -> None:
    """Pipelined; all of them are answered OK."""
    for first in range(0, len(commands), WINDOW):
        some = commands[first : first + WINDOW]
        client.send(b"".join(some))
        for _ in some:
            client.expect()


def topics_in_use(server: Server, scale: float, waits: list[float]) -> None:
    """5,000 messages a second, to each topic in turn."""
    (body,) = bodies(1, 200)
    commands = [pub(name, body) for name in topic_names("t", Scale(scale)(10_000, 1))]
    client = WireClient(("127.0.0.1", server.tcp_port), timeout=600.0)
    with client, watched(server, waits):
        send_all(client, commands)
        end = time.monotonic() + 10 * min(1.0, scale * 10)
        sent = 0
        while (now := time.monotonic()) < end:
            some = [commands[(sent + more) % len(commands)] for more in range(50)]
            send_all(client, some)
            sent += len(some)
            time.sleep(max(0.0, 0.01 - (time.monotonic() - now)))


def deferred(server: Server, scale: float, waits: list[float]) -> None:
    """A channel with many deferred messages, of which some are due all the time."""
    count = Scale(scale)(500_000, 1)
    create(server, ["t"], ["c0"])
    with WireClient(("127.0.0.1", server.tcp_port), timeout=600.0) as client:
        send_all(
            client, [b"DPUB t %d\n\0\0\0\1x" % (30_000 + n * 60_000 // count) for n in range(count)]
        )
    with watched(server, waits):
        time.sleep(15 * min(1.0, scale * 10))


def timeouts(server: Server, scale: float, waits: list[float]) -> None:
    """100 consumers of RDY 2500 whose messages all time out, three times."""
    ready = Scale(scale)(2500, 1)
    fill(server, "t", ["c0"], Scale(scale)(250_000, BATCH), 100)
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(100):
            client = stack.enter_context(WireClient(("127.0.0.1", server.tcp_port)))
            client.identify(msg_timeout=3000)
            client.subscribe("t", "c0", ready)
            selector.register(client.socket, selectors.EVENT_READ, client.socket)
        with watched(server, waits):
            end = time.monotonic() + 10
            while time.monotonic() < end:
                for key, _ in selector.select(0.1):
                    key.data.recv(1 << 20)


def statistics(server: Server, scale: float, waits: list[float]) -> None:
    """``/stats`` of many topics with a channel, as JSON and as text."""
    create(server, topic_names("t", Scale(scale)(10_000, 1)), ["c0"])
    time.sleep(3)
    with watched(server, waits):
        for _ in range(5):
            call(server, [("GET", "/stats?format=json", b""), ("GET", "/stats", b"")])
            time.sleep(0.1)


def deletions(server: Server, scale: float, waits: list[float]) -> None:
    """Many topics with a channel are deleted one after the other."""
    names = topic_names("t", Scale(scale)(3000, 1))
    create(server, names, ["c0"])
    with watched(server, waits):
        call(server, [("POST", f"/topic/delete?topic={name}", b"") for name in names])


def connections(server: Server, scale: float, waits: list[float]) -> None:
    """Thousands of consumers come, are there and go at the same moment."""
    socks = []
    with watched(server, waits):
        for _ in range(Scale(scale)(4000, 1)):
            sock = socket.create_connection(("127.0.0.1", server.tcp_port))
            sock.sendall(b"  V2SUB t c\nRDY 1\n")
            socks.append(sock)
        for sock in socks:
            sock.recv(len(OK))
        time.sleep(2)
        for sock in socks:
            sock.close()
        time.sleep(1)


class Situation(NamedTuple):
    """``run`` gets nsqd into it, and what a publisher waits in its last argument."""

    name: str
    run: Callable[[Server, float, list[float]], None]
    flags: tuple[str, ...] = ()


SITUATIONS = [
    Situation("10,000 topics are made and used", topics_in_use),
    Situation("500,000 deferred messages", deferred),
    Situation("250,000 messages time out together", timeouts),
    Situation("/stats of 10,000 topics", statistics),
    Situation("3,000 topics are deleted", deletions),
    Situation("4,000 consumers come and go", connections),
    Situation("10,000 topics, fsync", topics_in_use, ("--durability=fsync",)),
]


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, and run."""
    parser = argparse.ArgumentParser(prog="python -m bench.pauses", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="of the size of each situation")
    parser.add_argument("--data", type=Path, default=Path.cwd(), help="where data paths are made")
    parser.add_argument("--only", default="", help="situations with this in their name")
    options = parser.parse_args(arguments)
    print(
        f"a Python call: {call_nanoseconds():.0f} ns ({REFERENCE_CALL_NS} on the reference machine)"
    )
    print(f"{'ms':36}{'probes':>8}{'p50':>9}{'p99':>9}{'longest':>9}", flush=True)
    for situation in SITUATIONS:
        if options.only not in situation.name:
            continue
        waits: list[float] = []
        with (
            tempfile.TemporaryDirectory(dir=options.data) as directory,
            start("", Path(directory) / "data", situation.flags, (), ()) as server,
        ):
            situation.run(server, options.scale, waits)
        waits.sort()
        shown = (waits[len(waits) // 2], waits[len(waits) * 99 // 100], waits[-1])
        figures = "".join(f"{each * 1000:9.2f}" for each in shown)
        print(f"{situation.name:36}{len(waits):8,}{figures}", flush=True)


if __name__ == "__main__":
    main()
