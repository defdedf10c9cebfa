"""The options of nsq_to_file (apps section 2.1), and what is wrong with some (2.2)."""

from __future__ import annotations

import os
from collections.abc import Sequence

import attrs

from nsqtx.durations import MINUTE, SECOND
from nsqtx.kinds import BOOL, DURATION, INT, LEVELS, STRING, STRINGS
from nsqtx.options import option
from nsqtx.tools.patterns import PatternError, TopicPattern
from nsqtx.tools.sources import CONSUMER_OPTIONS, ClientOption, client_error, source_error
from nsqtx.wire.names import valid_name

__all__ = ["NsqToFileOptions", "early_error", "start_error"]


@attrs.define
class NsqToFileOptions:
    """All options. Durations in ns, sizes in bytes."""

    version: bool = option(BOOL, False, "print the version and exit")
    log_level: str = option(STRING, "info", "log level: debug, info, warn, error or fatal")
    log_prefix: str = option(STRING, "[nsq_to_file] ", "prefix of log lines")
    log_format: str = "text"

    channel: str = option(STRING, "nsq_to_file", "channel to consume, of every topic")
    max_in_flight: int = option(INT, 200, "messages that may be in flight, of each topic")

    output_dir: str = option(STRING, "/tmp", "directory of the files")  # noqa: S108
    work_dir: str = option(
        STRING, "", "directory of files in progress, if they shall come to -output-dir finished"
    )
    datetime_format: str = option(
        STRING, "%Y-%m-%d_%H", "what <DATETIME> stands for, with strftime's conversions"
    )
    filename_format: str = option(
        STRING,
        "<TOPIC>.<HOST><REV>.<DATETIME>.log",
        "name of the files, in which <TOPIC>, <HOST>, <PID>, <DATETIME> and <REV> are replaced; "
        "<REV> grows when there is such a file",
    )
    host_identifier: str = option(
        STRING,
        "",
        "what <HOST> stands for, if not the short host name: may have <SHORT_HOST> "
        "and <HOSTNAME> in it",
    )
    gzip: bool = option(BOOL, False, "compress the files with gzip")
    gzip_level: int = option(INT, 6, "how hard gzip tries, 1 to 9")
    skip_empty_files: bool = option(BOOL, False, "make no file before there is a message for it")

    topic: list[str] = option(STRINGS, (), "topic to consume (may be given several times)")
    topic_pattern: str = option(
        STRING, "", "regular expression: consume the topics in which it is found"
    )
    topic_refresh: int = option(DURATION, MINUTE, "time after which topics are looked for again")

    rotate_size: int = option(INT, 0, "bytes, before compression, after which a new file begins")
    rotate_interval: int = option(DURATION, 0, "time after which a new file begins")
    sync_interval: int = option(
        DURATION, 30 * SECOND, "time after which lines are synced and their messages finished"
    )

    http_client_connect_timeout: int = option(
        DURATION, 2 * SECOND, "time that a connection to nsqlookupd may take"
    )
    http_client_request_timeout: int = option(
        DURATION, 5 * SECOND, "time that an answer of nsqlookupd may take"
    )
    nsqd_tcp_address: list[str] = option(
        STRINGS, (), "nsqd to consume from, host:port (may be given several times)"
    )
    lookupd_http_address: list[str] = option(
        STRINGS, (), "nsqlookupd to find nsqd by, host:port (may be given several times)"
    )
    consumer_opt: list[ClientOption] = option(
        CONSUMER_OPTIONS,
        (),
        "option of the client library, as name,value (may be given several times)",
    )

    def __attrs_post_init__(self) -> None:
        self.work_dir = self.work_dir or self.output_dir
        self.log_level = self.log_level.lower()

    @property
    def moves(self) -> bool:
        """Whether files are made elsewhere, and moved when they are finished."""
        return os.path.normpath(self.work_dir) != os.path.normpath(self.output_dir)

    @property
    def exclusive(self) -> bool:
        """Whether a file that is there already is left alone."""
        return self.gzip or self.rotate_interval > 0

    @property
    def numbered(self) -> bool:
        """Whether there can be several files of one name, so that they need a number."""
        return self.exclusive or self.rotate_size > 0 or self.moves


def start_error(options: NsqToFileOptions) -> str | None:
    """What keeps nsq_to_file from starting with these options."""
    if not options.channel:
        return "--channel is required"
    if not valid_name(options.channel):
        return "--channel is invalid"
    for name in ("http_client_connect_timeout", "http_client_request_timeout", "sync_interval"):
        if getattr(options, name) <= 0:
            return f"--{name.replace('_', '-')} should be positive"
    reason = source_error(options, ".")
    if reason is not None:
        return reason
    if not 1 <= options.gzip_level <= 9:
        return f"invalid --gzip-level value ({options.gzip_level}), should be 1-9"
    if not options.topic and not options.topic_pattern:
        return "--topic or --topic-pattern required"
    if not options.topic and not options.lookupd_http_address:
        return "--lookupd-http-address must be specified when no --topic specified"
    return _never_works(options) or client_error(options)


def _never_works(options: NsqToFileOptions) -> str | None:
    """What the original would only say in its log, and then do nothing for ever."""
    for topic in options.topic:
        if not valid_name(topic):
            return f"--topic is invalid: {topic}"
    try:
        TopicPattern(options.topic_pattern)
    except PatternError as error:
        return f"--topic-pattern is invalid: {error}"
    if options.numbered and "<REV>" not in options.filename_format:
        return "missing <REV> in --filename-format when gzip, rotation, or work dir enabled"
    return None


def early_error(options: NsqToFileOptions, left: Sequence[str]) -> str | None:
    """What is said before ``--version`` is looked at; ``left`` is what is no flag."""
    if left:
        return f"unknown arguments: [{' '.join(left)}]"
    return None if options.log_level in LEVELS else "--log-level is invalid"
