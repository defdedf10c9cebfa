"""The options of nsqlookupd: each of the original's, and ours (nsqlookupd section 2)."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from nsqtx.logs import NsqLogObserver
from nsqtx.nsqlookupd.options import NsqlookupdOptions, start_error
from nsqtx.nsqlookupd.service import NsqlookupdService
from nsqtx.options import ConfigError, declared, read_file, read_flags, read_options

SECOND = 10**9
#: Flag, key, default, a text, its value.
TABLE: list[tuple[str, str | None, Any, str, Any]] = [
    ("version", None, False, "true", True),
    ("config", None, "", "/c", "/c"),
    ("log-level", "log_level", "info", "WARN", "warn"),
    ("log-prefix", "log_prefix", "[nsqlookupd] ", "x ", "x "),
    ("log-format", "log_format", "text", "json", "json"),
    ("verbose", None, False, "true", True),
    ("tcp-address", "tcp_address", "0.0.0.0:4160", ":1", ":1"),
    ("http-address", "http_address", "0.0.0.0:4161", ":1", ":1"),
    ("broadcast-address", "broadcast_address", socket.gethostname(), "h", "h"),
    (
        "inactive-producer-timeout",
        "inactive_producer_timeout",
        300 * SECOND,
        "1m",
        60 * SECOND,
    ),
    ("tombstone-lifetime", "tombstone_lifetime", 45 * SECOND, "1s", SECOND),
    ("max-registrations", "max_registrations", 250_000, "7", 7),
    ("max-names", "max_names", 1_000_000, "7", 7),
    ("max-waiting", "max_waiting", 10_000, "0", 0),
]


def test_these_are_the_options() -> None:
    """Flag, key and default, in this order."""
    found = [(each.flag, each.key, each.default) for each in declared(NsqlookupdOptions)]
    assert found == [row[:3] for row in TABLE]


@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
def test_each_flag_and_key_is_read(row: tuple[Any, ...], tmp_path: Path) -> None:
    """The file knows those with a key, and no others."""
    flag, key, _, text, value = row
    name = flag.replace("-", "_")
    assert read_flags(NsqlookupdOptions, [f"--{flag}={text}"]) == {name: value}
    file = tmp_path / "c.toml"
    given = text if text.isdigit() else f'"{text}"'
    file.write_text(f"{name} = {given}\n")
    assert read_file(NsqlookupdOptions, str(file)) == ({name: value} if key else {})


def test_durations_in_a_file_may_be_milliseconds(tmp_path: Path) -> None:
    """A level that is none is refused in few words (section 2.3)."""
    file = tmp_path / "c.toml"
    file.write_text("tombstone_lifetime = 1500\n")
    assert read_file(NsqlookupdOptions, str(file)) == {"tombstone_lifetime": 1_500_000_000}
    file.write_text("log_level = 5\n")
    with pytest.raises(ConfigError, match="failed parsing log_level 5"):
        read_file(NsqlookupdOptions, str(file))


@pytest.mark.parametrize(
    ("flag", "reason"),
    [
        ("--max-registrations=0", "--max-registrations must be positive"),
        ("--max-names=-1", "--max-names must be positive"),
        ("--max-waiting=-1", "--max-waiting must not be negative"),
    ],
)
def test_limits_that_make_no_sense(flag: str, reason: str) -> None:
    """Nsqlookupd does not start with them; nobody waiting at all makes sense."""
    flags = read_flags(NsqlookupdOptions, [flag])
    assert start_error(read_options(NsqlookupdOptions, flags, {})) == reason
    assert start_error(NsqlookupdOptions(max_waiting=0)) is None


def test_sighup_may_change_the_log_level() -> None:
    """Nothing else of a running nsqlookupd."""
    observer = NsqLogObserver(None, "")
    service = NsqlookupdService(NsqlookupdOptions(), Clock(), observer)
    assert service.changeable == {"log_level"}
    service.change("log_level", "debug")
    assert (service.node.options.log_level, observer.level) == ("debug", "debug")
