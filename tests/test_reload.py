"""Reading the configuration file again: what changes, what waits for a restart, what is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import attrs
import pytest

from nsqtx.nsqd.options import CHANGEABLE, NsqdOptions, start_error
from nsqtx.options import declared, read_file, read_flags, read_options
from nsqtx.reload import Reload
from nsqtx.signals import SteeredService
from tests.support.logged import Logged


class RecordingService(SteeredService):
    """Keeps what it is told to change."""

    changeable = CHANGEABLE

    def __init__(self) -> None:
        self.changes: list[tuple[str, Any]] = []

    def change(self, name: str, value: Any) -> None:
        self.changes.append((name, value))


class Running:
    """A service that runs with the options of a file and a command line."""

    def __init__(self, path: Path, text: str, *flags: str) -> None:
        self.file = path / "nsqd.toml"
        self.file.write_text(text)
        self.arguments = [f"--config={self.file}", *flags]
        values = read_flags(NsqdOptions, self.arguments)
        options = read_options(NsqdOptions, values, read_file(NsqdOptions, str(self.file)))
        self.service = RecordingService()
        self.reload = Reload(self.arguments, attrs.evolve(options), start_error, self.service)

    def again(self, text: str) -> tuple[list[tuple[str, Any]], list[str]]:
        """Reload with another file: what was changed, and what was said."""
        self.file.write_text(text)
        self.service.changes.clear()
        with Logged() as said:
            self.reload()
        return self.service.changes, said.lines


def test_what_may_change_changes(tmp_path: Path) -> None:
    """And only what is another than before."""
    running = Running(tmp_path, 'log_level = "info"\nmax_rdy_count = 5\n')
    changes, said = running.again('log_level = "debug"\nmax_rdy_count = 5\n')
    assert changes == [("log_level", "debug")]
    assert said == [
        f"SIGHUP: read {running.file} again",
        "SIGHUP: --log-level is changed",
    ]
    assert running.again('log_level = "debug"\nmax_rdy_count = 5\n')[0] == []


def test_a_flag_beats_the_file(tmp_path: Path) -> None:
    """As at the start."""
    running = Running(tmp_path, "", "--log-level=warn")
    assert running.again('log_level = "debug"\n')[0] == []


def test_what_only_a_restart_changes_is_named(tmp_path: Path) -> None:
    """Each time, until the file is put right; the rest of the file counts."""
    running = Running(tmp_path, "")
    text = 'tcp_address = "x:1"\ndurability = "fsync"\nlog_level = "warn"\n'
    named = "W SIGHUP: only a restart changes --tcp-address, --durability"
    changes, said = running.again(text)
    assert (changes, said[-1]) == ([("log_level", "warn")], named)
    changes, said = running.again(text)
    assert (changes, said[-1]) == ([], named)
    assert len(running.again('log_level = "warn"')[1]) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("log_level = 'debug'\nx = [", "failed to load config file {file} - toml: "),
        ("log_level = 'loud'", "failed parsing log_level loud"),
        ("log_level = 'debug'\nmsg_timeout = 'x'", "Resolve failed to coerce value x"),
        ("log_level = 'debug'\nmax_deflate_level = 99", "--max-deflate-level must be [1,9]"),
    ],
)
def test_a_bad_file_changes_nothing(tmp_path: Path, text: str, reason: str) -> None:
    """It says why; the next good one counts."""
    running = Running(tmp_path, "")
    changes, (said,) = running.again(text)
    expected = f"E SIGHUP: the options stay as they are - {reason.format(file=running.file)}"
    assert (changes, said[: len(expected)]) == ([], expected)
    assert running.again("log_level = 'debug'")[0] == [("log_level", "debug")]


def test_a_file_that_is_gone_changes_nothing(tmp_path: Path) -> None:
    """As a bad one."""
    running = Running(tmp_path, "")
    os.unlink(running.file)
    with Logged() as said:
        running.reload()
    (line,) = said.lines
    assert line.endswith(f"open {running.file}: no such file or directory")


def test_the_file_is_found_from_any_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path is meant from where the daemon was started."""
    monkeypatch.chdir(tmp_path)
    Path("c.toml").write_text('log_level = "debug"\n')
    service = RecordingService()
    reload = Reload(["--config=c.toml"], NsqdOptions(config="c.toml"), start_error, service)
    monkeypatch.chdir("/")
    reload()
    assert service.changes == [("log_level", "debug")]


def test_without_a_file_there_is_nothing_to_do() -> None:
    """That is said, too."""
    service = RecordingService()
    with Logged() as said:
        Reload([], NsqdOptions(), start_error, service)()
    assert said.lines == ["SIGHUP: there is no configuration file to read again"]
    assert service.changes == []


def test_what_may_change_is_declared() -> None:
    """The names are those of options."""
    assert {each.name for each in declared(NsqdOptions)} > CHANGEABLE
