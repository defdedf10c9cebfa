"""What tools have in common: flags, options of the client, log lines, the end."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from twisted.logger import Logger, LogPublisher
from twisted.python.failure import Failure

from nsqtx.client.events import Connected, ConnectFailed
from nsqtx.options import read_flags
from nsqtx.tools.destinations import writer_config
from nsqtx.tools.lines import ToolLines
from nsqtx.tools.nsq_tail.options import NsqTailOptions, start_error
from nsqtx.tools.nsq_to_file import options as file_options
from nsqtx.tools.nsq_to_file.options import NsqToFileOptions
from nsqtx.tools.sources import first_failure, reader_config
from nsqtx.tools.tool import Ending, read_tool_options


def read(*arguments: str) -> Any:
    """The options of nsq_tail."""
    return read_tool_options(NsqTailOptions, "nsq_tail", arguments, start_error)


def test_options_that_are_right() -> None:
    """What is no flag is passed over."""
    options = read("-topic", "t", "--nsqd-tcp-address=h:1", "-n=5", "-print-topic", "more")
    assert options.topic == ["t"]
    assert options.n == 5
    assert options.print_topic


@pytest.mark.parametrize(
    ("arguments", "code", "out", "err"),
    [
        (["--version"], 0, r"nsq_tail v1\.3\.0\n", ""),
        (["-h"], 0, "", r"Usage of nsq_tail:\n  -channel string\n(?s:.*)"),
        (["-x"], 2, "", r"flag provided but not defined: -x\nUsage of nsq_tail:\n(?s:.*)"),
        (["--topic=t"], 1, "", r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d --nsqd-tcp-address or .*\n"),
    ],
)
def test_command_lines_that_end_it(
    arguments: list[str], code: int, out: str, err: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code, and what is said where."""
    with pytest.raises(SystemExit) as ended:
        read(*arguments)
    said = capsys.readouterr()
    assert ended.value.code == code
    assert re.fullmatch(out, said.out)
    assert re.fullmatch(err, said.err)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nope,1", "there is no setting 'nope'"),
        ("max_attempts,x", "max_attempts: "),
        ("max_attempts,65536", "max_attempts is 65536: "),
        ("heartbeat_interval,x", "heartbeat_interval: "),
        ("max_attempts", "max_attempts needs a value"),
        ("tls_v1,maybe", "tls_v1 is 'maybe'"),
    ],
)
def test_options_of_the_client_are_checked(
    text: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Like any other flag."""
    with pytest.raises(SystemExit) as ended:
        read(f"--consumer-opt={text}")
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f'invalid value "{text}" for flag -consumer-opt: {reason}')


def test_options_of_the_client_reach_it() -> None:
    """Dashes are as good as underscores, a value may have commas, together they must be right."""
    given = [
        "max-attempts,7",
        "tls_v1",
        "tls_cert,a,b.pem",
        "tls_key,c.pem",
        "read_timeout,2s",
        "heartbeat_interval,1500ms",
        "max_in_flight,3",
        "user_agent,me",
        "lookupd_poll_jitter,0.5",
        "default_requeue_delay,1m30s",
    ]
    flags = read_flags(NsqTailOptions, [f"--consumer-opt={each}" for each in given])
    config = reader_config(NsqTailOptions(**flags), "nsq_tail")
    assert (config.max_attempts, config.tls_v1, config.tls_cert) == (7, True, "a,b.pem")
    assert (config.read_timeout, config.heartbeat_interval) == (2.0, 1.5)
    assert (config.lookupd_poll_jitter, config.default_requeue_delay) == (0.5, 90.0)
    # These are the tool's own.
    assert config.max_in_flight == 200
    assert config.user_agent.startswith("nsq_tail/1.3.0 nsqtx/")


def test_tools_do_not_give_up_unless_told_to() -> None:
    """What is given up is lost."""
    assert reader_config(NsqTailOptions(), "nsq_tail").max_attempts == 0


def test_sizes_are_for_nsqd_to_refuse() -> None:
    """It may take more than its default."""
    config = writer_config([("deflate", None), ("deflate_level", "9")], "to_nsq")
    assert (config.deflate, config.deflate_level) == (True, 9)
    assert config.max_message_size > 2**27


def test_an_nsqd_that_is_not_there_from_the_start() -> None:
    """Later it may come and go; those that nsqlookupd named may, too."""
    failed: list[str] = []
    told = first_failure(["a", "b"], failed.append)
    told(Connected("a"))
    told(ConnectFailed("a", "gone", 1.0))
    told(ConnectFailed("found", "gone", None))
    assert failed == []
    told(ConnectFailed("b", "refused", 1.0))
    assert failed == ["b: refused"]


def test_log_lines() -> None:
    """A tool's own have no level, the client's have; debug is left out."""
    out = io.StringIO()
    publisher = LogPublisher(ToolLines(out))
    Logger("nsqtx.tools.nsq_tail", observer=publisher).info("own {n}", n=1)
    client = Logger("nsqtx.client", observer=publisher)
    client.info("connected\nforged")
    client.warn("hm")
    client.error("no")
    client.debug("never")
    Logger("twisted", observer=publisher).info("noise")
    stamp = r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d "
    lines = ["own 1", r"INF connected\\nforged", "WRN hm", "ERR no"]
    assert re.fullmatch("".join(f"{stamp}{line}\n" for line in lines), out.getvalue())


class Reactor:
    """Counts how often it is stopped."""

    stops = 0

    def stop(self) -> None:
        """Count."""
        self.stops += 1


def test_an_end_is_one_end() -> None:
    """The first reason counts; a signal may have been first."""
    reactor = Reactor()
    ending = Ending(reactor)
    ending.fail("no")
    ending.finish()
    ending.crash(Failure(ValueError()))
    assert (reactor.stops, ending.code) == (1, 1)
    ending = Ending(reactor)
    ending.begun()
    ending.fail("late")
    assert (reactor.stops, ending.code) == (1, 0)


GOOD: dict[str, Any] = {"topic": ["t"], "nsqd_tcp_address": ["h:1"]}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, None),
        ({"channel": ""}, "--channel is required"),
        ({"channel": "a:b"}, "--channel is invalid"),
        ({"http_client_connect_timeout": 0}, "--http-client-connect-timeout should be positive"),
        ({"http_client_request_timeout": 0}, "--http-client-request-timeout should be positive"),
        ({"sync_interval": 0}, "--sync-interval should be positive"),
        ({"nsqd_tcp_address": []}, "--nsqd-tcp-address or --lookupd-http-address required."),
        (
            {"lookupd_http_address": ["h:1"]},
            "use --nsqd-tcp-address or --lookupd-http-address not both",
        ),
        ({"gzip_level": 0}, "invalid --gzip-level value (0), should be 1-9"),
        ({"topic": []}, "--topic or --topic-pattern required"),
        (
            {"topic": [], "topic_pattern": "x"},
            "--lookupd-http-address must be specified when no --topic specified",
        ),
        ({"topic": ["a:b"]}, "--topic is invalid: a:b"),
        ({"topic_pattern": "("}, "--topic-pattern is invalid: missing ): ("),
        (
            {"gzip": True, "filename_format": "x"},
            "missing <REV> in --filename-format when gzip, rotation, or work dir enabled",
        ),
        ({"filename_format": "x"}, None),
    ],
)
def test_options_of_nsq_to_file(options: dict[str, Any], reason: str | None) -> None:
    """What cannot be is said, also what the original only says in its log."""
    assert file_options.start_error(NsqToFileOptions(**{**GOOD, **options})) == reason


def test_what_nsq_to_file_says_before_its_version() -> None:
    """Words that are no flags, a level that there is not."""
    assert file_options.early_error(NsqToFileOptions(), ["a", "b"]) == "unknown arguments: [a b]"
    assert file_options.early_error(NsqToFileOptions(log_level="x"), []) == (
        "--log-level is invalid"
    )
    assert file_options.early_error(NsqToFileOptions(log_level="WARN"), []) is None
