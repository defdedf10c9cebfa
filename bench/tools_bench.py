"""to_nsq and nsq_to_file with one nsqd of ours: a file in, files out.

``python -m bench.tools_bench [--lines 1000000]``

Lines have 200 bytes. Rates are from the start of the process (``to_nsq``), or from the first file
there is to the last line delivered (``nsq_to_file``); CPU is the tool's, per line, its start
included.
"""

from __future__ import annotations

import argparse
import gzip
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.case import create
from bench.measure import JOB_SECONDS, REFERENCE_CALL_NS, ROOT, call_nanoseconds, cpu_seconds
from bench.server import call
from tests.support.daemon import Daemon

SIZE = 200
TOPIC = "lines"
#: Flags of nsq_to_file, each with a channel of its own.
ARCHIVES = {
    "default": [],
    "2500": ["--max-in-flight=2500"],
    "gzip": ["--max-in-flight=2500", "--gzip"],
}


def command(module: str, *flags: str) -> list[str]:
    """A tool, as its console script starts it."""
    return [
        sys.executable,
        "-c",
        f"import sys; from {module} import main; sys.exit(main())",
        *flags,
    ]


def written(folder: Path) -> int:
    """Lines in all files."""
    count = 0
    for path in folder.iterdir():
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            count += sum(1 for _ in lines)
    return count


def show(name: str, lines: int, seconds: float, cpu: float) -> None:
    """A line of the report."""
    print(f"{name:40}{lines / seconds:12,.0f}/s{cpu / lines * 1e6:8.1f} us")


def publish(nsqd: Daemon, source: Path, lines: int) -> None:
    """The file through to_nsq."""
    flags = [f"--topic={TOPIC}", f"--nsqd-tcp-address=127.0.0.1:{nsqd.tcp_port}"]
    began = time.monotonic()
    with source.open("rb") as stdin:
        process = subprocess.Popen(
            command("nsqtx.tools.to_nsq.command", *flags), stdin=stdin, cwd=ROOT
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"to_nsq failed with {process.returncode}")
    show("to_nsq", lines, time.monotonic() - began, usage.ru_utime + usage.ru_stime)


def archive(nsqd: Daemon, name: str, folder: Path, lines: int) -> None:
    """The channel through nsq_to_file."""
    folder.mkdir()
    flags = [
        f"--topic={TOPIC}",
        f"--channel={name}",
        f"--nsqd-tcp-address=127.0.0.1:{nsqd.tcp_port}",
        f"--output-dir={folder}",
        *ARCHIVES[name],
    ]
    process = subprocess.Popen(
        command("nsqtx.tools.nsq_to_file.tap", *flags), cwd=ROOT, stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + JOB_SECONDS

    def wait_for(true: Callable[[], bool]) -> None:
        while not true():
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"nsq_to_file ({name}) does not come to an end")
            time.sleep(0.02)

    try:
        wait_for(lambda: any(folder.iterdir()))
        first = time.monotonic()
        wait_for(lambda: not depth(nsqd, name))
        took = time.monotonic() - first
        cpu = cpu_seconds(process.pid)
    finally:
        process.terminate()
        process.wait()
    found = written(folder)
    if found < lines:
        raise SystemExit(f"{found} of {lines} lines are there")
    show(f"nsq_to_file {' '.join(ARCHIVES[name])}", lines, took, cpu)


def depth(nsqd: Daemon, name: str) -> int:
    """What is still to be delivered. The last few thousand are finished at a sync, later."""
    target = f"/stats?format=json&topic={TOPIC}&channel={name}"
    (stats,) = call(nsqd, [("GET", target, b"")])
    channel = stats["topics"][0]["channels"][0]
    return int(channel["depth"] + channel["deferred_count"])


def main() -> None:
    """Measure and report."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    arguments.add_argument("--lines", type=int, default=1_000_000)
    lines = arguments.parse_args().lines
    print(f"a Python call: {call_nanoseconds():.0f} ns ({REFERENCE_CALL_NS:.0f} for the design)")
    with (
        tempfile.TemporaryDirectory(prefix="tools-bench-") as temporary,
        Daemon(Path(temporary) / "data", "--log-level=info") as nsqd,
    ):
        source = Path(temporary) / "lines"
        with source.open("wb") as file:
            for number in range(lines):
                file.write(b"%09d " % number + b"x" * (SIZE - 10) + b"\n")
        create(nsqd, [TOPIC], list(ARCHIVES))
        publish(nsqd, source, lines)
        for name in ARCHIVES:
            archive(nsqd, name, Path(temporary) / name, lines)


if __name__ == "__main__":
    main()
