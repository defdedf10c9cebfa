"""``python -m tests.simulation --seeds 0-200``: simulate, and say how to repeat what failed.

With ``--bug NAME`` nsqd has that bug, and the first seed that notices ends it.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import attrs
from twisted.logger import globalLogBeginner

from tests.simulation.bugs import BUGS, FOUND
from tests.simulation.cluster import Cluster, profile_of, simulate
from tests.simulation.history import Counts
from tests.simulation.profiles import PROFILES


def seeds_of(text: str) -> Iterator[int]:
    """``7`` or ``0-200``, the last not included."""
    first, dash, last = text.partition("-")
    yield from range(int(first), int(last) if dash else int(first) + 1)


def tell(cluster: Cluster, seed: int, arguments: argparse.Namespace, profile: str) -> None:
    """Say what went wrong, and how to repeat it."""
    for promise, text in cluster.history.violations:
        print(f"seed {seed} ({profile}): {promise}: {text}")
    bug = f" --bug {arguments.bug}" if arguments.bug else ""
    print(f"repeat it: python -m tests.simulation --seeds {seed} --profile {profile}{bug}")
    sys.stdout.flush()


def main() -> int:
    """Run the seeds of the command line; 1 when one failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", default="0-200", help="one seed, or FIRST-END")
    parser.add_argument("--profile", choices=list(PROFILES), help="instead of the seed's own")
    parser.add_argument(
        "--bug", choices=[bug.name for bug in (*BUGS, *FOUND)], help="a deliberate bug in nsqd"
    )
    parser.add_argument("--trace", action="store_true", help="print the trace of each")
    arguments = parser.parse_args()
    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)
    total = Counts()
    failed: list[int] = []
    began = time.process_time()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run(arguments, total, failed)
    except KeyboardInterrupt:
        pass  # the figures of what was done so far
    for name, value in attrs.asdict(total).items():
        print(f"{name:>12} {value:,.0f}")
    print(f"{time.process_time() - began:.1f} s of CPU, {len(failed)} seeds failed {failed[:50]}")
    return 1 if failed else 0


def run(arguments: argparse.Namespace, total: Counts, failed: list[int]) -> None:
    """Run all seeds, or up to the first that notices the bug."""
    bugs = {bug.name: bug for bug in (*BUGS, *FOUND)}
    for seed in seeds_of(arguments.seeds):
        profile = arguments.profile or profile_of(seed)
        with_bug: AbstractContextManager[None] = nullcontext()
        if arguments.bug:
            profile = arguments.profile or bugs[arguments.bug].profile
            with_bug = bugs[arguments.bug].applied()
        with with_bug:
            cluster = simulate(seed, profile, keep_trace=arguments.trace)
        total.add(cluster.history.counts)
        if arguments.trace:
            print("\n".join(cluster.world.lines or []))
            print("trace", cluster.world.trace_hash)
        if cluster.history.violations:
            failed.append(seed)
            tell(cluster, seed, arguments, profile)
            if arguments.bug:
                break
        if not total.simulations % 100:
            print(f"{total.simulations} simulations, {len(failed)} failed", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
