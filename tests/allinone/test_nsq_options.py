"""What the options of nsq mean for its parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from nsqtx.allinone.options import NsqOptions, parts, start_error


def test_usual_ports_on_this_machine() -> None:
    """Nobody else is let in unless that is asked for."""
    found = parts(NsqOptions())
    assert found.nsqd.tcp_address == "127.0.0.1:4150"
    assert found.nsqd.http_address == "127.0.0.1:4151"
    assert found.nsqlookupd.tcp_address == "127.0.0.1:4160"
    assert found.nsqlookupd.http_address == "127.0.0.1:4161"
    assert found.nsqadmin.http_address == "127.0.0.1:4171"
    assert found.nsqd.data_path == "nsq.data"
    assert found.nsqd.broadcast_address == found.nsqlookupd.broadcast_address == "127.0.0.1"


def test_another_host() -> None:
    """Of IPv6, too; by which name others come is another matter."""
    found = parts(NsqOptions(host="::1", broadcast_address="nsq.example"))
    assert found.nsqd.tcp_address == "[::1]:4150"
    assert found.nsqadmin.http_address == "[::1]:4171"
    assert found.nsqd.broadcast_address == "nsq.example"


def test_each_address_can_be_said() -> None:
    """And then the host does not matter for it."""
    found = parts(
        NsqOptions(
            nsqd_tcp_address="h:1",
            nsqd_http_address="h:2",
            lookupd_tcp_address="h:3",
            lookupd_http_address="h:4",
            admin_http_address="h:5",
        )
    )
    assert (found.nsqd.tcp_address, found.nsqd.http_address) == ("h:1", "h:2")
    assert (found.nsqlookupd.tcp_address, found.nsqlookupd.http_address) == ("h:3", "h:4")
    assert found.nsqadmin.http_address == "h:5"


def test_files_of_the_parts(tmp_path: Path) -> None:
    """They say what nsq has no option for; where it has one, that counts."""
    file = tmp_path / "nsqd.toml"
    file.write_text('mem_queue_size = 7\ndata_path = "elsewhere"\nlog_level = "debug"\n')
    found = parts(NsqOptions(nsqd_config=str(file)))
    assert found.nsqd.mem_queue_size == 7
    assert found.nsqd.data_path == "nsq.data"
    assert found.nsqd.log_level == "info"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (NsqOptions(), None),
        (NsqOptions(host=""), "--host must not be empty"),
        (NsqOptions(nsqd_tcp_address="x"), "--nsqd-tcp-address: x is not host:port"),
        (NsqOptions(admin_http_address="x"), "--admin-http-address: x is not host:port"),
        (
            NsqOptions(nsqd_config="/nonexistent"),
            "failed to load config file /nonexistent - open /nonexistent: no such file or "
            "directory",
        ),
    ],
)
def test_what_cannot_be(options: NsqOptions, reason: str | None) -> None:
    """It is said before anything starts."""
    assert start_error(options) == reason


def test_a_part_is_asked_as_well(tmp_path: Path) -> None:
    """What it refuses by itself is refused, with its name."""
    file = tmp_path / "nsqd.toml"
    file.write_text("sync_every = 0\n")
    reason = start_error(NsqOptions(nsqd_config=str(file)))
    assert reason == "nsqd: --sync-every must be positive"
