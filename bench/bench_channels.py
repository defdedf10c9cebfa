"""The original's bench_channels: many connections, each on a topic of its own, until it is killed.

``python -m bench.bench_channels -num=10000``
"""

from __future__ import annotations

import selectors
import sys
import time
from collections.abc import Sequence

import attrs

from bench.original import Aborted, Connection, identify, read_arguments, say
from nsqtx.kinds import INT, STRING
from nsqtx.options import option
from nsqtx.run import raise_file_limit

__all__ = ["ChannelsBench", "main"]

PROGRAM = "bench_channels"
#: Seconds between two connections.
PAUSE = 0.005


@attrs.define
class ChannelsBench:
    """Its options."""

    num: int = option(INT, 10000, "connections, each on topic t<n>, channel ch")
    nsqd_tcp_address: str = option(STRING, "127.0.0.1:4150", "nsqd to connect to")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until something fails; the exit code."""
    options = read_arguments(ChannelsBench, PROGRAM, arguments)
    raise_file_limit()
    try:
        _run(options)
    except (OSError, Aborted) as error:
        say(PROGRAM, f"ERROR: {error}")
    return 2


def _run(options: ChannelsBench) -> None:
    with selectors.DefaultSelector() as selector:
        connections = []
        for _ in range(options.num):
            connection = Connection(options.nsqd_tcp_address)
            connections.append(connection)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            time.sleep(PAUSE)
        for number, connection in enumerate(connections):
            subscribe = f"SUB t{number} ch\nRDY 1\n"
            connection.send(identify("test", PROGRAM) + subscribe.encode())
        while True:
            for key, _ in selector.select():
                for kind, content in key.data.frames():
                    if kind == 2:
                        key.data.send(b"FIN " + content[10:26] + b"\nRDY 1\n")


if __name__ == "__main__":
    sys.exit(main())
