"""The original's bench_reader: consumes and finishes, on one connection for each CPU.

``python -m bench.bench_reader -runfor=10s -rdy=2500``
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

import attrs

from bench.original import Connection, identify, read_arguments, run_program
from nsqtx.durations import SECOND
from nsqtx.kinds import DURATION, INT, STRING
from nsqtx.options import option

__all__ = ["ReaderBench", "main"]

PROGRAM = "bench_reader"


@attrs.define
class ReaderBench:
    """Its options."""

    runfor: int = option(DURATION, 10 * SECOND, "time to run")
    nsqd_tcp_address: str = option(STRING, "127.0.0.1:4150", "nsqd to consume from")
    topic: str = option(STRING, "sub_bench", "topic to consume")
    channel: str = option(STRING, "ch", "channel to consume")
    size: int = option(INT, 200, "bytes of a message, for the figure of mb/s alone")
    rdy: int = option(INT, 2500, "messages that may be in flight, of each connection")
    deadline: str = option(STRING, "", "time to start at, YYYY-MM-DD HH:MM:SS in UTC")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; the exit code."""
    options = read_arguments(ReaderBench, PROGRAM, arguments)

    def work() -> Callable[[float], int]:
        connection = Connection(options.nsqd_tcp_address)

        def run(seconds: float) -> int:
            end = time.perf_counter() + seconds
            subscribe = f"SUB {options.topic} {options.channel}\nRDY {options.rdy}\n"
            connection.send(identify("reader", PROGRAM) + subscribe.encode())
            messages = 0
            while (left := end - time.perf_counter()) > 0:
                connection.socket.settimeout(left)
                try:
                    ids = [content[10:26] for kind, content in connection.frames() if kind == 2]
                except TimeoutError:
                    break
                if ids:
                    connection.send(b"FIN " + b"\nFIN ".join(ids) + b"\n")
                    messages += len(ids)
            connection.socket.close()
            return messages

        return run

    return run_program(PROGRAM, work, options.runfor, options.deadline, options.size)


if __name__ == "__main__":
    sys.exit(main())
