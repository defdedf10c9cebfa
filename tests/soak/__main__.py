"""``python -m tests.soak --minutes 30``: a cluster at work, and what it uses, once a second.

A nsqlookupd, an nsqd at durability ``os`` and one at ``fsync``, and in this process Readers and
Writers of ``nsqtx.client``, with all that `tests.soak.traffic` does. It fails, with exit code 1,
when a message that was answered OK is not delivered, when memory, descriptors or disk grow, and
when anybody logs an error.
"""

from __future__ import annotations

import argparse
import csv
import re
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react
from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogBeginner
from twisted.python.failure import Failure
from zope.interface import implementer

from nsqtx.heap import Heap
from tests.soak.ledger import Ledger
from tests.soak.traffic import Traffic
from tests.soak.troubles import Troubles
from tests.soak.verdict import MORE_OBJECTS, Record, faults_of, figures_of
from tests.soak.vitals import disk_use, vitals
from tests.support.daemon import Daemon, run_in_process

#: What is logged as an error, as NSQ does, though it is the other side's doing: answers that come
#: too late, and that nsqd is gone.
EXPECTED = re.compile(r"E_(FIN|REQ|TOUCH)_FAILED|\[nsqlookupd\] .* client\(.*\) - EOF$")
SEGMENT = 1024 * 1024


@implementer(ILogObserver)
class Soak:
    """One run, and an observer of what its clients log."""

    def __init__(self, reactor: Any, arguments: argparse.Namespace, daemons: list[Daemon]) -> None:
        self._reactor = reactor
        self._arguments = arguments
        self._lookupd, *self._nsqds = daemons
        self._names = ["nsqlookupd", "nsqd (os)", "nsqd (fsync)"]
        self._daemons = dict(zip(self._names, daemons, strict=True))
        self.record = Record([*self._names, "clients"], self._names[1:])
        self.ledger = Ledger(time.time)
        self.faults: list[str] = []
        self._began = time.monotonic()
        self.troubles = Troubles(time.monotonic, time.process_time)
        #: By name of the daemon, how many lines of its log were seen that tell of errors.
        self._complaints = dict.fromkeys(self._names, 0)
        #: By name of the daemon, how many objects it had after the first third and at the end.
        self.live: dict[str, list[int]] = {name: [] for name in self._names}
        pace = arguments.pace or min(20.0, arguments.minutes * 60 / 8)
        self.traffic = Traffic(
            reactor,
            [(f"127.0.0.1:{each.tcp_port}", f"127.0.0.1:{each.http_port}") for each in self._nsqds],
            (f"127.0.0.1:{self._lookupd.tcp_port}", f"127.0.0.1:{self._lookupd.http_port}"),
            self.ledger,
            self.troubles,
            arguments.rate,
            pace,
        )

    def __call__(self, event: LogEvent) -> None:
        """What the clients log."""
        if event.get("log_level") in (LogLevel.error, LogLevel.critical):
            failure: Failure | None = event.get("log_failure")
            text = failure.getTraceback() if failure else str(event.get("log_format"))
            self.troubles.note(f"the clients log: {text}")

    def sample(self) -> list[Any]:
        """Record this moment; a line of the CSV."""
        processes = {name: vitals(daemon.pid) for name, daemon in self._daemons.items()}
        processes["clients"] = vitals("self")
        disk = {
            name: disk_use(daemon.data_path)
            for name, daemon in self._daemons.items()
            if daemon.data_path is not None
        }
        time, waiting = self._worked(), self.ledger.waiting()
        self.record.add(time, processes, disk, waiting)
        found: list[Any] = [round(time, 2)]
        for each in processes.values():
            found += [each.rss, each.fds, each.cpu]
        return [*found, *disk.values(), waiting, *tallies(self.ledger).values()]

    def _worked(self) -> float:
        """Seconds since the beginning, without those in which all stood still."""
        return time.monotonic() - self._began - self.troubles.stood_still

    def look(self) -> None:
        """Notice a stop of all, and what the daemons have logged."""
        self.troubles.look()
        for name, daemon in self._daemons.items():
            lines = daemon.complaints[self._complaints[name] :]
            self._complaints[name] += len(lines)
            for line in lines:
                if not EXPECTED.search(line):
                    self.troubles.note(f"{name} logs: {line}")

    async def run(self) -> None:
        """All of it."""
        self._began = time.monotonic()
        await self.traffic.start()
        with ExitStack() as stack:
            writer = None
            if self._arguments.csv:
                file = stack.enter_context(self._arguments.csv.open("w", newline="", buffering=1))
                writer = csv.writer(file)
                writer.writerow(columns(self.record, self.ledger))
            while (at := self._worked()) < self._arguments.minutes * 60:
                values = self.sample()
                if writer is not None:
                    writer.writerow(values)
                if at * 3 > self._arguments.minutes * 60 and not self.live[self._names[0]]:
                    await self._count_objects()
                await deferLater(self._reactor, max(0.0, int(at) + 1 - self._worked()))
                self.look()
        await self.traffic.stop(60.0)
        await self._look_at_the_end()

    async def _count_objects(self) -> None:
        for name, daemon in self._daemons.items():
            count = await self.traffic.live_objects(f"127.0.0.1:{daemon.http_port}")
            self.live[name].append(count)

    async def _look_at_the_end(self) -> None:
        await self._count_objects()
        for name, (before, after) in self.live.items():
            if after > before + MORE_OBJECTS:
                self.faults.append(f"{name}: had {before} objects, then {after}")
        missing = self.ledger.missing()
        if missing:
            self.faults.append(f"not delivered: {missing}")
        if self.ledger.tallies.early:
            self.faults.append(f"{self.ledger.tallies.early} deferred messages came early")
        for daemon in self._nsqds:
            stats = await self.traffic.stats(f"127.0.0.1:{daemon.http_port}")
            for topic in stats["topics"]:
                if topic["topic_name"] != "steady":
                    self.faults.append(f"{topic['topic_name']} was deleted and is there")
                for channel in topic["channels"]:
                    left = channel["depth"] + channel["in_flight_count"] + channel["deferred_count"]
                    if left:
                        self.faults.append(f"{left} are left in {channel['channel_name']}")
        self.faults += faults_of(self.record)

    def stop_daemons(self) -> None:
        """Stop them, nsqlookupd last, and look at their logs."""
        for name, daemon in reversed(self._daemons.items()):
            code = daemon.stop()
            if code:
                self.faults.append(f"{name} ended with {code}")
            if daemon.data_path is not None:
                use = disk_use(daemon.data_path)
                if use > 4 * SEGMENT:
                    self.faults.append(f"{name} keeps {use} bytes on disk of what is finished")
        self.look()
        self.faults += self.troubles.faults


def columns(record: Record, ledger: Ledger) -> list[str]:
    """Names of what `Soak.sample` gives."""
    names = ["seconds"]
    for name in record.processes:
        names += [f"{name} {what}" for what in ("rss", "fds", "cpu")]
    return [*names, *(f"{name} disk" for name in record.disks), "waiting", *tallies(ledger)]


def tallies(ledger: Ledger) -> dict[str, int]:
    """What was counted."""
    return attrs.asdict(ledger.tallies)


async def soak(reactor: Any, arguments: argparse.Namespace, path: Path) -> None:
    """Run it, and tell how it went."""
    with ExitStack() as stack:
        # Whoever stops or interrupts this process does so to its daemons as well.
        launch = partial(run_in_process, own_session=False)
        lookupd = stack.enter_context(Daemon(None, program="nsqlookupd", launch=launch))
        daemons = [lookupd] + [
            stack.enter_context(
                Daemon(
                    path / durability,
                    f"--durability={durability}",
                    f"--node-id={number}",
                    "--broadcast-address=127.0.0.1",
                    f"--lookupd-tcp-address=127.0.0.1:{lookupd.tcp_port}",
                    f"--max-bytes-per-file={SEGMENT}",
                    "--mem-queue-size=1000",
                    launch=launch,
                )
            )
            for number, durability in enumerate(("os", "fsync"), 1)
        ]
        run = Soak(reactor, arguments, daemons)
        globalLogBeginner.beginLoggingTo([run], redirectStandardIO=False)
        # As in the daemons: else what this process has freed is part of what it seems to use.
        heap = Heap(reactor)
        heap.settle()
        await run.run()
        heap.stop()
        run.stop_daemons()
    rows = [(name, f"{value:,}") for name, value in tallies(run.ledger).items()]
    rows += figures_of(run.record)
    stops = run.troubles.stops
    if stops:
        rows.append(("stood still", f"{len(stops)} times, {run.troubles.stood_still:.0f} s"))
        rows.append(("troubles of that", f"{run.troubles.explained}"))
    rows += [(f"objects of {name}", f"{counts}") for name, counts in run.live.items()]
    for name, value in rows:
        print(f"{name:>18}  {value}")
    for fault in run.faults:
        print(f"FAULT: {fault}")
    print("failed" if run.faults else "all is well")
    if run.faults:
        raise SystemExit(1)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument(
        "--minutes", type=float, default=30.0, help="without the time that all are stopped"
    )
    parser.add_argument("--rate", type=float, default=500.0, help="messages published per second")
    parser.add_argument("--pace", type=float, help="seconds that consumers, topics and lags take")
    parser.add_argument("--csv", type=Path, help="write what is seen once a second to this file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as path:
        react(lambda r: Deferred.fromCoroutine(soak(r, arguments, Path(path))))


if __name__ == "__main__":
    main()
