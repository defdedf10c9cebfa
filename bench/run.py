"""All that is measured of nsqd, in one command, beside the ceiling; or of any other nsqd.

``python -m bench.run [--only TEXT]... [--scale 1.0] [--repeat 3] [--server COMMAND] [--json FILE]``

Each case runs several times, on a fresh server each time, and its median is shown. Take the
ratios: absolute figures are those of the machine and of the hour, for which the first line has a
measure (the price of a Python call; 32 ns on the reference machine). To compare two servers, give
``--server`` twice: each round of a case then has both, one after the other; ``ours`` is this one.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from bench.case import Case, Place
from bench.cases import cases
from bench.measure import REFERENCE_CALL_NS, Result, call_nanoseconds
from bench.server import start
from tests.support.certificates import authority

__all__ = ["main"]

OURS = "ours"
CEILING = "ceiling"


def once(case: Case, server: str, parent: Path, extra: Sequence[str]) -> Result:
    """Run a case on a fresh server."""
    command = "" if server == OURS else server
    flags = [*case.flags, *extra]
    path = Path(tempfile.mkdtemp(prefix="nsqd-bench-", dir=parent))
    try:
        starting = partial(start, command, flags=flags, ours=case.ours, theirs=case.theirs or ())
        return case.run(Place(starting, path))
    finally:
        shutil.rmtree(path, ignore_errors=True)


def repeated(
    case: Case, servers: Sequence[str], repeat: int, parent: Path, extra: Sequence[str]
) -> dict[str, list[Result]]:
    """The results by server, and those of the ceiling."""
    results: dict[str, list[Result]] = {}
    for _ in range(repeat):
        for server in servers:
            if server == OURS or case.theirs is not None:
                results.setdefault(server, []).append(once(case, server, parent, extra))
        if case.ceiling is not None:
            results.setdefault(CEILING, []).append(case.ceiling())
    return results


def summary(results: Sequence[Result]) -> dict[str, Any]:
    """Medians, and for the rate the extremes."""
    rates = [each.rate for each in results]
    found: dict[str, Any] = {
        "messages": results[0].messages,
        "rate": median(rates),
        "rate_min": min(rates),
        "rate_max": max(rates),
        "cpu_us": median(each.microseconds for each in results),
    }
    for field in ("latency", "notes"):
        dicts = [getattr(each, field) for each in results]
        found[field] = {name: median(each[name] for each in dicts) for name in dicts[0]}
    return found


def line(name: str, figures: dict[str, Any], ceiling: dict[str, Any] | None) -> str:
    """A line of the table."""
    text = f"{name:44}{figures['rate']:12,.0f}"
    text += f"{figures['rate_min']:12,.0f}{figures['rate_max']:12,.0f}{figures['cpu_us']:9.2f}"
    if ceiling is None:
        text += " " * 17
    else:
        text += f"{ceiling['cpu_us']:9.2f}{figures['rate'] / ceiling['rate']:8.2f}"
    latency = figures["latency"]
    for quantile in ("p50", "p99", "p99.9"):
        text += f"{latency[quantile]:9,.0f}" if latency else " " * 9
    notes = "  ".join(f"{note} {value:.4g}" for note, value in figures["notes"].items())
    return f"{text}  {notes}"


def wanted(name: str, only: Sequence[str], exactly: bool) -> bool:
    """Whether a case was asked for."""
    return not only or (name in only if exactly else any(text in name for text in only))


def revision() -> str:
    """What was measured, as git says it."""
    git = shutil.which("git")
    if git is None:
        return ""
    asked = [git, "describe", "--always", "--dirty"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--scale", type=float, default=1.0, help="how many messages")
    parser.add_argument("--repeat", type=int, default=3, help="how often each case runs")
    parser.add_argument(
        "--only", action="append", default=[], help="cases with this in their name; may be repeated"
    )
    parser.add_argument("--exactly", action="store_true", help="--only gives whole names")
    parser.add_argument("--list", action="store_true", help="print the names of all cases")
    parser.add_argument(
        "--server", action="append", default=[], help="the command of an nsqd, or 'ours'"
    )
    parser.add_argument(
        "--flag", action="append", default=[], help="one more flag for each server, as --flag=--x=y"
    )
    parser.add_argument("--json", default="", help="write the figures to this file too")
    parser.add_argument("--data", type=Path, help="where data paths are made; default: /tmp")
    options = parser.parse_args(arguments)
    servers = options.server or [OURS]
    with tempfile.TemporaryDirectory(prefix="nsqd-bench-") as name:
        parent = options.data or Path(name)
        authority().write(Path(name), "server", "localhost")
        chosen = [
            case
            for case in cases(options.scale, Path(name))
            if wanted(case.name, options.only, options.exactly)
        ]
        if options.list:
            sys.stdout.writelines(f"{case.name}\n" for case in chosen)
            return 0
        report = measure_all(chosen, servers, options.repeat, parent, options.flag)
    if options.json:
        report |= {"scale": options.scale, "repeat": options.repeat, "revision": revision()}
        Path(options.json).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


def measure_all(
    chosen: Sequence[Case], servers: Sequence[str], repeat: int, parent: Path, extra: Sequence[str]
) -> dict[str, Any]:
    """All cases, a line each as it is done, and the report for the JSON."""
    price = call_nanoseconds()
    print(f"a Python call: {price:.0f} ns ({REFERENCE_CALL_NS:.0f} on the reference machine)")
    print("CPU in us of the server per message; latency in us; ratio: rate to that of the ceiling")
    heads = f"{'':44}{'msg/s':>12}{'min':>12}{'max':>12}{'CPU':>9}{'ceiling':>9}{'ratio':>8}"
    print(heads + f"{'p50':>9}{'p99':>9}{'p99.9':>9}")
    report: dict[str, Any] = {}
    for case in chosen:
        results = repeated(case, servers, repeat, parent, extra)
        figures = {server: summary(each) for server, each in results.items()}
        report[case.name] = figures
        for server in servers:
            if server in figures:
                name = case.name if server == servers[0] else f"  {Path(server.split()[0]).name}"
                print(line(name, figures[server], figures.get(CEILING)), flush=True)
    return {"call_ns": price, "cases": report}


if __name__ == "__main__":
    sys.exit(main())
