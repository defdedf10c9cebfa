"""``python -m tests.simulation --seeds 0-200``: simulate, and say how to repeat what failed."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator

import attrs
from twisted.logger import globalLogBeginner

from tests.simulation.cluster import profile_of, simulate
from tests.simulation.history import Counts
from tests.simulation.profiles import PROFILES


def seeds_of(text: str) -> Iterator[int]:
    """``7`` or ``0-200``, the last not included."""
    first, dash, last = text.partition("-")
    yield from range(int(first), int(last) if dash else int(first) + 1)


def main() -> int:
    """Run the seeds of the command line; 1 when one failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", default="0-200", help="one seed, or FIRST-END")
    parser.add_argument("--profile", choices=list(PROFILES), help="instead of the seed's own")
    parser.add_argument("--trace", action="store_true", help="print the trace of each")
    arguments = parser.parse_args()
    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)
    total, failed = Counts(), []
    began = time.process_time()
    for seed in seeds_of(arguments.seeds):
        profile = arguments.profile or profile_of(seed)
        cluster = simulate(seed, profile, keep_trace=arguments.trace)
        total.add(cluster.history.counts)
        if arguments.trace:
            print("\n".join(cluster.world.lines or []))
            print("trace", cluster.world.trace_hash)
        if cluster.history.violations:
            failed.append(seed)
            for promise, text in cluster.history.violations:
                print(f"seed {seed} ({profile}): {promise}: {text}")
            print(f"repeat it: python -m tests.simulation --seeds {seed} --profile {profile}")
            sys.stdout.flush()
        if not total.simulations % 100:
            print(f"{total.simulations} simulations, {len(failed)} failed", file=sys.stderr)
    for name, value in attrs.asdict(total).items():
        print(f"{name:>12} {value:,.0f}")
    print(f"{time.process_time() - began:.1f} s of CPU, {len(failed)} seeds failed {failed[:50]}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
