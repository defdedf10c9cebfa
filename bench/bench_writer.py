"""The original's bench_writer: MPUBs, each awaited, on one connection for each CPU.

``python -m bench.bench_writer -runfor=10s -size=200 -batch-size=200``
"""

from __future__ import annotations

import struct
import sys
import time
from collections.abc import Callable, Sequence

import attrs

from bench.original import Connection, identify, read_arguments, run_program
from nsqtx.durations import SECOND
from nsqtx.kinds import DURATION, INT, STRING
from nsqtx.options import option

__all__ = ["WriterBench", "main"]

PROGRAM = "bench_writer"


@attrs.define
class WriterBench:
    """Its options."""

    runfor: int = option(DURATION, 10 * SECOND, "time to run")
    nsqd_tcp_address: str = option(STRING, "127.0.0.1:4150", "nsqd to publish to")
    topic: str = option(STRING, "sub_bench", "topic to publish to")
    size: int = option(INT, 200, "bytes of a message")
    batch_size: int = option(INT, 200, "messages of an MPUB")
    deadline: str = option(STRING, "", "time to start at, YYYY-MM-DD HH:MM:SS in UTC")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; the exit code."""
    options = read_arguments(WriterBench, PROGRAM, arguments)

    def work() -> Callable[[float], int]:
        message = struct.pack(">I", options.size) + bytes(options.size)
        body = struct.pack(">I", options.batch_size) + message * options.batch_size
        batch = f"MPUB {options.topic}\n".encode() + struct.pack(">I", len(body)) + body
        connection = Connection(options.nsqd_tcp_address)

        size: int = options.batch_size

        def run(seconds: float) -> int:
            end = time.perf_counter() + seconds
            connection.send(identify("writer", PROGRAM))
            connection.expect_ok()
            messages = 0
            while True:
                connection.send(batch)
                connection.expect_ok()
                messages += size
                if time.perf_counter() > end:
                    return messages

        return run

    return run_program(PROGRAM, work, options.runfor, options.deadline, options.size)


if __name__ == "__main__":
    sys.exit(main())
