"""Syncs of many logs."""

from __future__ import annotations

import pytest

from nsqtx.storage.store import Store
from tests.support.disk import SimulatedDisk
from tests.support.storage import Answers, Threads, append, make_store

#: More than are synced at a time.
NAMES = [f"t{number}" for number in range(40)]
AT_ONCE = 16


class Case:
    """A store at durability ``fsync``; ``publish`` appends to each log, and waits for a sync."""

    def __init__(self, open_files: int = 512) -> None:
        self.disk = SimulatedDisk()
        self.threads = Threads()
        self.store: Store = make_store(
            self.disk, "fsync", threads=self.threads, open_files=open_files
        )
        self.answers = Answers()

    def publish(self, times: int) -> None:
        """So often to each, before any sync has ended."""
        for name in NAMES:
            log = self.store.open(name)
            for _ in range(times):
                append(log, b"x")
                log.commit(self.answers.to(name))


@pytest.mark.parametrize(("open_files", "at_once"), [(1, 1), (2, 1), (20, 10), (512, AT_ONCE)])
def test_a_few_logs_are_synced_at_a_time(open_files: int, at_once: int) -> None:
    """Each sync keeps files open; the others wait, and open theirs when it is their turn."""
    case = Case(open_files)
    case.publish(2)
    most = syncing = 0
    while case.threads.jobs:
        syncing = max(syncing, len(case.threads.jobs))
        most = max(most, case.disk.open_files)
        case.threads.run_one()
    assert syncing == at_once
    assert most <= max(open_files, at_once + 1)
    assert sorted(case.answers.got) == sorted((name, None) for name in NAMES * 2)


def test_who_waits_for_a_turn_shares_it() -> None:
    """All commits of a log before its sync begins are answered by that sync."""
    case = Case()
    case.publish(3)
    synced = 0
    while case.threads.jobs:
        synced += 1
        case.threads.run_one()
    assert len(case.answers.got) == 3 * len(NAMES)
    # Of the first ones a sync began at the first commit.
    assert synced == len(NAMES) + AT_ONCE


def test_a_log_that_goes_while_it_waits() -> None:
    """Its publishers are told, and the others get their turn."""
    case = Case()
    case.publish(1)
    answers = case.answers.got
    case.store.delete(NAMES[-2])
    assert answers == [(NAMES[-2], "exiting")]
    case.store.open(NAMES[-3]).close()
    assert answers[1:] == [(NAMES[-3], None)]
    case.threads.run()
    assert sorted(name for name, _ in answers) == sorted(NAMES)
    assert {error for _, error in answers[1:]} == {None}
