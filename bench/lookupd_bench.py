"""nsqlookupd with many topics, asked while nodes come and go.

``python -m bench.lookupd_bench [--topics 10000] [--channels 5] [--nodes 50] [--copies 5]
[--seconds 20]`` registers so many topics, each at ``copies`` of the nodes, and asks ``/lookup`` for
random topics over one connection, ``--rate`` times a second, while all the time one node leaves,
comes back and registers all it has. The nodes are a process of their own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import socket
import time
from multiprocessing.synchronize import Event

from bench.measure import REFERENCE_CALL_NS, call_nanoseconds, cpu_seconds, resident_bytes
from tests.support.daemon import Daemon
from tests.support.v1client import V1Client

#: How many commands are sent before their answers are read: nsqd of ours do not wait for each.
WINDOW = 500


def topics_of(node: int, options: argparse.Namespace) -> list[int]:
    """The topics that a node has: each is at ``copies`` nodes in a row."""
    nodes, copies = options.nodes, options.copies
    return [topic for topic in range(options.topics) if (node - topic) % nodes < copies]


def register(node: int, address: tuple[str, int], options: argparse.Namespace) -> V1Client:
    """Connect as that node and register everything it has."""
    client = V1Client(address, timeout=120.0)
    client.identify(broadcast_address=f"node-{node}", hostname=f"node-{node}")
    lines = [
        f"REGISTER topic_{topic} channel_{channel}\n"
        for topic in topics_of(node, options)
        for channel in range(options.channels)
    ]
    for first in range(0, len(lines), WINDOW):
        some = lines[first : first + WINDOW]
        client.send("".join(some).encode())
        for _ in some:
            assert client.read() == b"OK"
    return client


def be_nodes(
    address: tuple[str, int],
    options: argparse.Namespace,
    ready: Event,
    stop: Event,
    leave: Event,
) -> None:
    """All nodes; once they are there, one after the other leaves and comes back, until a stop."""
    clients = [register(node, address, options) for node in range(options.nodes)]
    ready.set()
    node = 0
    while not stop.wait(options.pause):
        clients[node].socket.close()
        time.sleep(options.pause)
        clients[node] = register(node, address, options)
        node = (node + 1) % options.nodes
    ready.set()
    leave.wait()


def lookup(connection: socket.socket, topic: int) -> tuple[float, int]:
    """Ask once: seconds, and how many producers were named."""
    request = f"GET /lookup?topic=topic_{topic} HTTP/1.1\r\nHost: lookupd\r\n\r\n".encode()
    started = time.perf_counter()
    connection.sendall(request)
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += connection.recv(1 << 16)
    size = int(data[:end].lower().partition(b"content-length: ")[2].split(b"\r", 1)[0])
    while len(data) < end + 4 + size:
        data += connection.recv(1 << 16)
    elapsed = time.perf_counter() - started
    return elapsed, len(json.loads(data[end + 4 :])["producers"])


def ask(lookupd: Daemon, options: argparse.Namespace) -> list[float]:
    """Seconds of each answer, in order of length."""
    chance = random.Random(1)
    taken = []
    with socket.create_connection(lookupd.http) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(int(options.seconds * options.rate)):
            elapsed, producers = lookup(connection, chance.randrange(options.topics))
            assert options.copies - 1 <= producers <= options.copies, producers
            taken.append(elapsed)
            time.sleep(max(0.0, 1 / options.rate - elapsed))
    return sorted(taken)


def report(name: str, taken: list[float], call: float) -> None:
    """Percentiles in ms, as measured and where a call costs what it did for the aim."""
    for quantile in (0.5, 0.9, 0.99, 1.0):
        value = taken[min(int(len(taken) * quantile), len(taken) - 1)] * 1000
        there = value * REFERENCE_CALL_NS / call
        print(f"{name} p{quantile * 100:<4g} {value:8.2f} ms {there:8.2f} ms")


def main() -> None:
    """Measure and report."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    arguments.add_argument("--topics", type=int, default=10_000)
    arguments.add_argument("--channels", type=int, default=5)
    arguments.add_argument("--nodes", type=int, default=50)
    arguments.add_argument("--copies", type=int, default=5, help="nodes that have a topic")
    arguments.add_argument("--seconds", type=float, default=20.0, help="how long to ask")
    arguments.add_argument("--rate", type=float, default=100.0, help="questions a second")
    arguments.add_argument("--pause", type=float, default=0.5, help="between coming and going")
    arguments.add_argument("--log-level", default="info")
    options = arguments.parse_args()
    call = call_nanoseconds()
    print(
        f"a Python call costs {call:.0f} ns; the right-hand column is for {REFERENCE_CALL_NS:g} ns"
    )
    registrations = options.topics * (1 + options.channels) * options.copies
    flags = [f"--log-level={options.log_level}"]
    with Daemon(None, *flags, program="nsqlookupd") as lookupd:
        empty, before = resident_bytes(lookupd.pid), cpu_seconds(lookupd.pid)
        started = time.monotonic()
        ready, stop, leave = (multiprocessing.Event() for _ in range(3))
        nodes = multiprocessing.Process(
            target=be_nodes, args=(lookupd.tcp, options, ready, stop, leave), daemon=True
        )
        nodes.start()
        ready.wait()
        ready.clear()
        spent = cpu_seconds(lookupd.pid) - before
        print(
            f"{registrations} registrations in {time.monotonic() - started:.1f} s, "
            f"{spent / registrations * 1e6:.1f} us CPU and "
            f"{(resident_bytes(lookupd.pid) - empty) / registrations:.0f} bytes each"
        )
        report("/lookup", ask(lookupd, options), call)
        stop.set()
        ready.wait()
        before = cpu_seconds(lookupd.pid)
        taken = ask(lookupd, argparse.Namespace(**{**vars(options), "seconds": 5.0}))
        report("alone  ", taken, call)
        leave.set()
        print(f"CPU of a /lookup {(cpu_seconds(lookupd.pid) - before) / len(taken) * 1e6:.0f} us")


if __name__ == "__main__":
    main()
