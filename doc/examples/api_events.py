"""The scenario NSQ was announced with: API events for metrics and for an archive.

A web service POSTs each event as a line of JSON to the nsqd beside it. Two channels of the topic
each get every event: ``metrics`` counts them, ``archive`` writes them to a file. Either may be
down, slow or failing without the other noticing, and nothing is lost when nsqd is killed.

Plain sockets and the standard library only, to show what is on the wire::

    nsqd --data-path=/tmp &
    python doc/examples/api_events.py archive events.log &
    python doc/examples/api_events.py metrics &
    python doc/examples/api_events.py publish some.jsonl
"""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

TOPIC = "api_requests"

#: A message body in, True for FIN, False for REQ, None for neither (it will time out).
Handle = Callable[[bytes], bool | None]


def publish(host: str, port: int, lines: Iterable[bytes], batch: int = 1) -> int:
    """POST lines to nsqd, ``batch`` at a time, and wait for each OK; how many there were."""
    connection = http.client.HTTPConnection(host, port)
    left = iter(lines)
    count = 0
    while events := list(islice(left, batch)):
        path = "/put" if batch == 1 else "/mput"
        connection.request("POST", f"{path}?topic={TOPIC}", b"\n".join(events))
        response = connection.getresponse()
        answer = response.read()
        if (response.status, answer) != (200, b"OK"):
            raise RuntimeError(f"nsqd refused event {count}: {response.status} {answer!r}")
        count += len(events)
    connection.close()
    return count


def frames(connection: socket.socket) -> Iterator[tuple[int, bytes]]:
    """The frames that nsqd sends: type (0 response, 1 error, 2 message) and data."""
    stream = connection.makefile("rb", buffering=1 << 18)
    while head := stream.read(8):
        size, kind = struct.unpack(">II", head)
        yield kind, stream.read(size - 4)


def consume(
    host: str, port: int, channel: str, handle: Handle, ready: int = 100, msg_timeout: int = 0
) -> None:
    """Consume a channel until nsqd closes the connection.

    ``msg_timeout`` in milliseconds is how long nsqd waits for FIN or REQ; 0: its default.
    """
    with socket.create_connection((host, port)) as connection:
        identify = json.dumps({"client_id": channel, "msg_timeout": msg_timeout}).encode()
        connection.sendall(
            b"  V2"
            + b"IDENTIFY\n"
            + struct.pack(">I", len(identify))
            + identify
            + f"SUB {TOPIC} {channel}\nRDY {ready}\n".encode()
        )
        for kind, data in frames(connection):
            if kind == 2:
                id, body = data[10:26], data[26:]
                outcome = handle(body)
                if outcome is not None:
                    connection.sendall(b"%b %b%b\n" % (*answer(outcome, id),))
            elif kind == 1:
                raise RuntimeError(f"nsqd says {data.decode()}")
            elif data == b"_heartbeat_":
                connection.sendall(b"NOP\n")


def answer(done: bool, id: bytes) -> tuple[bytes, bytes, bytes]:
    """FIN, or REQ to get the message again at once: word, id, rest of the line."""
    return (b"FIN", id, b"") if done else (b"REQ", id, b" 0")


def archive(path: Path) -> Handle:
    """Write every event to a file before saying FIN."""
    file = path.open("ab")

    def handle(body: bytes) -> bool:
        file.write(body + b"\n")
        file.flush()
        return True

    return handle


def metrics(fail: int, ignore: int, report: Callable[[str], None]) -> Handle:
    """Count events by path. The first ``fail`` are given back, the next ``ignore`` forgotten,
    as by a consumer whose database is down and then hangs."""
    counts: Counter[str] = Counter()
    seen = 0

    def handle(body: bytes) -> bool | None:
        nonlocal seen
        seen += 1
        if seen <= fail:
            return False
        if seen <= fail + ignore:
            return None
        event = json.loads(body)
        counts[event["path"]] += 1
        total = counts.total()
        if total % 1000 == 0:
            report(f"{total} events, most often {counts.most_common(1)[0][0]}")
        return True

    return handle


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--http-port", type=int, default=4151)
    parser.add_argument("--tcp-port", type=int, default=4150)
    commands = parser.add_subparsers(dest="command", required=True)
    publishing = commands.add_parser("publish", help="POST the lines of a file")
    publishing.add_argument("file", type=Path)
    publishing.add_argument("--batch", type=int, default=1, help="lines of one request")
    commands.add_parser("archive", help="append to a file").add_argument("file", type=Path)
    counting = commands.add_parser("metrics", help="count events by path")
    counting.add_argument("--fail", type=int, default=0, help="give so many events back first")
    counting.add_argument("--ignore", type=int, default=0, help="then let so many time out")
    counting.add_argument("--msg-timeout", type=int, default=0, help="milliseconds")
    options = parser.parse_args()
    if options.command == "publish":
        with options.file.open("rb") as lines:
            started = time.monotonic()
            stripped = (line.rstrip(b"\n") for line in lines)
            count = publish(options.host, options.http_port, stripped, options.batch)
        print(f"{count} events in {time.monotonic() - started:.1f} s")
    elif options.command == "archive":
        consume(options.host, options.tcp_port, "archive", archive(options.file))
    else:
        handle = metrics(options.fail, options.ignore, lambda text: print(text, flush=True))
        consume(options.host, options.tcp_port, "metrics", handle, msg_timeout=options.msg_timeout)


if __name__ == "__main__":
    try:
        main()
    except (OSError, RuntimeError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)


__all__ = ["TOPIC", "archive", "consume", "metrics", "publish"]
