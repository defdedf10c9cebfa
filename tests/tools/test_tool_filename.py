"""What the files of nsq_to_file are called."""

from __future__ import annotations

import time
from typing import Any

import pytest

from nsqtx.tools.nsq_to_file.filename import (
    FileNameError,
    file_name,
    format_time,
    with_revision,
)
from nsqtx.tools.nsq_to_file.options import NsqToFileOptions

AT = time.mktime((2024, 1, 31, 15, 4, 5, 0, 0, -1))


def named(topic: str = "events", host: str = "web1.example.com", **options: Any) -> str:
    """The name of a file, with its number."""
    name = file_name(NsqToFileOptions(**options), topic, host, 77)
    return with_revision(name.at(AT), 3)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "events.web1.2024-01-31_15.log"),
        ({"rotate_size": 1}, "events.web1-000003.2024-01-31_15.log"),
        ({"rotate_interval": 1}, "events.web1-000003.2024-01-31_15.log"),
        ({"work_dir": "/w"}, "events.web1-000003.2024-01-31_15.log"),
        ({"gzip": True}, "events.web1-000003.2024-01-31_15.log.gz"),
        ({"gzip": True, "filename_format": "<REV>.gz"}, "-000003.gz"),
        (
            {"host_identifier": "<SHORT_HOST>+<HOSTNAME>"},
            "events.web1+web1.example.com.2024-01-31_15.log",
        ),
        ({"filename_format": "<PID>/<TOPIC>/<TOPIC>"}, "77/events/events"),
        ({"filename_format": "<DATETIME>", "datetime_format": "%Y/%m/%d"}, "2024/01/31"),
        ({"filename_format": "/a//b/<TOPIC>"}, "a/b/events"),
    ],
)
def test_placeholders(options: dict[str, Any], expected: str) -> None:
    """All are replaced; <REV> is only there where files can have the same name."""
    assert named(**options) == expected


def test_a_placeholder_in_a_value_is_text() -> None:
    """What was put in is not looked at again."""
    assert named(host_identifier="<TOPIC>", filename_format="<HOST>") == "<TOPIC>"


def test_conversions_of_times() -> None:
    """Sixteen are known; others stay as they are, and so do words and digits."""
    known = "%A %a %B %b %d %H %I %M %m %p %S %Y %y %%"
    assert format_time(known, AT) == "Wednesday Wed January Jan 31 15 03 04 01 PM 05 2024 24 %"
    assert format_time("%j %s %e % %", AT) == "%j %s %e % %"
    assert format_time("Jan 2 15 MST", AT) == "Jan 2 15 MST"
    assert format_time("%Z%z", AT) == time.strftime("%Z%z", time.localtime(AT))


@pytest.mark.parametrize("form", ["<TOPIC>/x/../..", "<TOPIC>/a", "<TOPIC>"])
def test_no_topic_leads_out_of_the_directory(form: str) -> None:
    """A topic may be called '..'."""
    name = file_name(NsqToFileOptions(filename_format=form), "..", "h", 1)
    with pytest.raises(FileNameError):
        name.at(AT)


def test_the_pattern_knows_our_files() -> None:
    """Of any time, number and process, and of this topic alone."""
    options = NsqToFileOptions(gzip=True, filename_format="<TOPIC>/<HOST><REV>.<PID>.<DATETIME>")
    pattern = file_name(options, "a.b", "h", 1).pattern()
    match = pattern.fullmatch("a.b/h-000012.99.2020-01-01_00.gz")
    assert match is not None
    assert match[1] == "000012"
    assert pattern.fullmatch("a.b/h-000012.99.2020-01-01_00") is None
    assert pattern.fullmatch("axb/h-000012.99.2020-01-01_00.gz") is None
    assert pattern.fullmatch("a.b/h.99.2020-01-01_00.gz") is None
