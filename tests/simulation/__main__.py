"""``python -m tests.simulation --seeds 0-200``: simulate, and say how to repeat what failed.

The figures come at the end, also at the end by SIGINT or SIGTERM, and every `PROGRESS` simulations.
With ``--bug NAME`` nsqd has that bug, and the first seed that notices ends it.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from multiprocessing import get_context

import attrs
from twisted.logger import globalLogBeginner

from tests.simulation.bugs import BUGS, FOUND
from tests.simulation.cluster import profile_of, simulate
from tests.simulation.ledger import Counts, Violation
from tests.simulation.profiles import PROFILES

#: The figures so far are printed after so many simulations.
PROGRESS = 500
#: A process simulates so many at most, so that nothing that it leaves behind adds up.
MOST_OF_A_PROCESS = 500
_BUGS = {bug.name: bug for bug in (*BUGS, *FOUND)}


@attrs.frozen
class Outcome:
    """What one simulation came to. ``cpu`` is in seconds; ``trace`` is empty unless wanted."""

    seed: int
    profile: str
    counts: Counts
    violations: list[Violation]
    cpu: float
    trace: str = ""


@attrs.define
class Report:
    """The sums of many simulations, by profile, and the seeds that failed."""

    jobs: int
    began: float = attrs.Factory(time.monotonic)
    sums: dict[str, Counts] = attrs.Factory(lambda: {name: Counts() for name in PROFILES})
    failed: dict[str, list[int]] = attrs.Factory(lambda: {name: [] for name in PROFILES})
    cpu: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Add one more."""
        self.cpu += outcome.cpu
        self.sums[outcome.profile].add(outcome.counts)
        if outcome.violations:
            self.failed[outcome.profile].append(outcome.seed)

    @property
    def seeds_failed(self) -> list[int]:
        """All of them."""
        return sorted(seed for seeds in self.failed.values() for seed in seeds)

    @property
    def total(self) -> Counts:
        """Of all profiles."""
        total = Counts()
        for each in self.sums.values():
            total.add(each)
        return total

    def lines(self) -> Iterator[str]:
        """A table with a column for each profile, then what it took."""
        used = [name for name, counts in self.sums.items() if counts.simulations]
        columns = [(name, attrs.asdict(self.sums[name])) for name in used]
        columns.append(("all", attrs.asdict(self.total)))
        yield " " * 12 + "".join(f"{name:>14}" for name, _ in columns)
        for field in attrs.fields(Counts):
            values = "".join(f"{counts[field.name]:>14,.0f}" for _, counts in columns)
            yield f"{field.name:>12}{values}"
        every = [len(self.failed[name]) for name in used]
        yield f"{'failed':>12}" + "".join(f"{count:>14,}" for count in (*every, sum(every)))
        yield (
            f"{self.cpu:,.1f} s of CPU, {time.monotonic() - self.began:,.1f} s on the clock,"
            f" {self.jobs} processes; {len(self.seeds_failed)} seeds failed {self.seeds_failed}"
        )

    def print(self) -> None:
        """Print `lines`."""
        print("\n".join(self.lines()), flush=True)


def seeds_of(text: str) -> range:
    """``7`` or ``0-200``, the last not included."""
    first, dash, last = text.partition("-")
    return range(int(first), int(last) if dash else int(first) + 1)


def run_one(seed: int, profile: str | None, bug: str | None, trace: bool) -> Outcome:
    """Simulate one seed. A simulation that breaks down is one that fails."""
    wanted = profile or (_BUGS[bug].profile if bug else profile_of(seed))
    with_bug: AbstractContextManager[None] = _BUGS[bug].applied() if bug else nullcontext()
    began = time.process_time()
    try:
        with with_bug:
            cluster = simulate(seed, wanted, keep_trace=trace)
    except Exception:
        violations = [Violation("BROKEN", traceback.format_exc())]
        return Outcome(seed, wanted, Counts(1), violations, time.process_time() - began)
    history, world = cluster.history, cluster.world
    lines = "\n".join([*(world.lines or []), f"trace {world.trace_hash}"]) if trace else ""
    cpu = time.process_time() - began
    return Outcome(seed, wanted, history.counts, history.violations, cpu, lines)


def tell(outcome: Outcome, bug: str | None) -> None:
    """Say what went wrong, and how to repeat it."""
    for promise, text in outcome.violations:
        print(f"seed {outcome.seed} ({outcome.profile}): {promise}: {text}")
    with_bug = f" --bug {bug}" if bug else ""
    where = f"--seeds {outcome.seed} --profile {outcome.profile}{with_bug}"
    print(f"repeat it: python -m tests.simulation {where}", flush=True)


def _begin_process(nice: int) -> None:
    """A process of several: the first one decides when they end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.nice(nice)


@contextmanager
def outcomes(arguments: argparse.Namespace) -> Iterator[Iterable[Outcome]]:
    """The outcomes of all seeds as they come, by so many processes."""
    simulation = partial(
        run_one, profile=arguments.profile, bug=arguments.bug, trace=arguments.trace
    )
    seeds = seeds_of(arguments.seeds)
    if arguments.jobs == 1:
        os.nice(arguments.nice)
        yield map(simulation, seeds)
        return
    processes = get_context("fork").Pool(
        arguments.jobs, _begin_process, (arguments.nice,), MOST_OF_A_PROCESS
    )
    try:
        yield processes.imap_unordered(simulation, seeds)
    finally:
        processes.terminate()
        processes.join()


def run(arguments: argparse.Namespace, report: Report) -> None:
    """Run all seeds, or up to the first that notices the bug."""
    with outcomes(arguments) as found:
        for outcome in found:
            report.add(outcome)
            if outcome.trace:
                print(outcome.trace)
            if outcome.violations:
                tell(outcome, arguments.bug)
                if arguments.bug:
                    break
            if not report.total.simulations % arguments.progress:
                report.print()


def main() -> int:
    """Run the seeds of the command line; 1 when one failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", default="0-200", help="one seed, or FIRST-END")
    parser.add_argument("--profile", choices=list(PROFILES), help="instead of the seed's own")
    parser.add_argument("--bug", choices=list(_BUGS), help="a deliberate bug in nsqd")
    parser.add_argument("--trace", action="store_true", help="print the trace of each")
    parser.add_argument("--jobs", type=int, default=1, help="so many processes")
    parser.add_argument("--nice", type=int, default=0, help="of these processes")
    parser.add_argument(
        "--progress", type=int, default=PROGRESS, help="print the figures after so many"
    )
    arguments = parser.parse_args()
    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)
    report = Report(arguments.jobs)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # What is run in the background by a shell ignores SIGINT unless it says otherwise.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run(arguments, report)
    except KeyboardInterrupt:
        print("ended by a signal; what was done so far:")
    report.print()
    return 1 if report.seeds_failed else 0


if __name__ == "__main__":
    sys.exit(main())
