"""Syncs of many logs."""

from __future__ import annotations

import pytest

from tests.support.disk import SimulatedDisk
from tests.support.storage import Answers, Threads, append, make_store

#: More than are synced at a time.
NAMES = [f"t{number}" for number in range(40)]
AT_ONCE = 16


@pytest.mark.parametrize(("open_files", "at_once"), [(1, 1), (2, 1), (20, 10), (512, AT_ONCE)])
def test_a_few_logs_are_synced_at_a_time(open_files: int, at_once: int) -> None:
    """Each sync keeps files open; the others wait, and open theirs when it is their turn."""
    disk = SimulatedDisk()
    threads = Threads()
    store = make_store(disk, "fsync", threads=threads, open_files=open_files)
    answers = Answers()
    most = syncing = 0
    for name in NAMES:
        log = store.open(name)
        append(log, b"x")
        log.commit(answers.to(name))
        append(log, b"y")
        log.commit(answers.to(name + " again"))
    while threads.jobs:
        syncing = max(syncing, len(threads.jobs))
        most = max(most, disk.open_files)
        threads.run_one()
    assert syncing == at_once
    assert most <= max(open_files, at_once + 1)
    assert sorted(answers.got) == sorted(
        (answer, None) for name in NAMES for answer in (name, name + " again")
    )


def test_who_waits_for_a_turn_shares_it() -> None:
    """All commits of a log before its sync begins are answered by that sync."""
    disk = SimulatedDisk()
    threads = Threads()
    store = make_store(disk, "fsync", threads=threads)
    answers = Answers()
    for name in NAMES:
        log = store.open(name)
        for number in range(3):
            append(log, b"x")
            log.commit(answers.to(f"{name} {number}"))
    synced = 0
    while threads.jobs:
        synced += 1
        threads.run_one()
    assert len(answers.got) == 3 * len(NAMES)
    # Of the first ones a sync began at the first commit.
    assert synced == len(NAMES) + AT_ONCE


def test_a_log_that_goes_while_it_waits() -> None:
    """Its publishers are told, and the others get their turn."""
    disk = SimulatedDisk()
    threads = Threads()
    store = make_store(disk, "fsync", threads=threads)
    answers = Answers()
    for name in NAMES:
        log = store.open(name)
        append(log, b"x")
        log.commit(answers.to(name))
    store.delete(NAMES[-2])
    assert answers.got == [(NAMES[-2], "exiting")]
    store.open(NAMES[-3]).close()
    assert answers.got[1:] == [(NAMES[-3], None)]
    threads.run()
    assert sorted(name for name, _ in answers.got) == sorted(NAMES)
    assert {error for _, error in answers.got[1:]} == {None}
