"""What topics cost that nobody uses: CPU, memory and time to start again.

``python -m bench.idle [--topics 1000] [--seconds 5]`` makes so many topics with a channel each,
leaves them alone, and starts nsqd again on the same data path.
"""

from __future__ import annotations

import argparse
import http.client
import tempfile
import time
from pathlib import Path

from bench.measure import cpu_seconds, resident_bytes
from tests.support.daemon import Daemon

# Time for what the last request caused (checkpoints, metadata) to be over.
SETTLE_SECONDS = 3.0


def make_pairs(nsqd: Daemon, count: int) -> None:
    """A topic with a channel each, with one message published to it."""
    connection = http.client.HTTPConnection("127.0.0.1", nsqd.http_port)
    for number in range(count):
        for target, body in (
            (f"/topic/create?topic=idle_{number}", b""),
            (f"/channel/create?topic=idle_{number}&channel=c", b""),
            (f"/pub?topic=idle_{number}", b"x"),
        ):
            connection.request("POST", target, body)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise SystemExit(f"{target}: {answer.status}")
    connection.close()


def main() -> None:
    """Measure and report."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    arguments.add_argument("--topics", type=int, default=1000)
    arguments.add_argument("--seconds", type=float, default=5.0, help="how long to watch")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="nsqd-idle-") as name:
        path = Path(name)
        with Daemon(path, "--log-level=info") as nsqd:
            empty = resident_bytes(nsqd.pid)
            started = time.monotonic()
            make_pairs(nsqd, options.topics)
            made = time.monotonic() - started
            time.sleep(SETTLE_SECONDS)
            per_pair = (resident_bytes(nsqd.pid) - empty) / options.topics
            before = cpu_seconds(nsqd.pid)
            time.sleep(options.seconds)
            busy = (cpu_seconds(nsqd.pid) - before) / options.seconds
            stopped = time.monotonic()
            code = nsqd.stop(timeout=60)
            stopped = time.monotonic() - stopped
        with Daemon(path / "nothing", "--log-level=info") as fresh:
            alone = fresh.start_seconds
        with Daemon(path, "--log-level=info", start_timeout=60) as again:
            restart = again.start_seconds
        print(f"{options.topics} topics with a channel and a message each, made in {made:.1f} s")
        print(f"idle CPU        {busy * 100:8.2f} %")
        print(
            f"memory per pair {per_pair / 1024:8.1f} KB (process without topics {empty >> 20} MB)"
        )
        print(f"clean stop      {stopped:8.2f} s, exit code {code}")
        print(f"restart         {restart:8.2f} s, of which an empty nsqd takes {alone:.2f} s")


if __name__ == "__main__":
    main()
