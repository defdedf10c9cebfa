"""The options of nsq_to_http."""

from __future__ import annotations

import attrs

from nsqtx.durations import SECOND
from nsqtx.kinds import BOOL, DURATION, INT, STRING, STRINGS, Kind
from nsqtx.options import option
from nsqtx.tools.sources import CONSUMER_OPTIONS, ClientOption, client_error, source_error
from nsqtx.wire.names import valid_name

__all__ = ["NsqToHttpOptions", "header_of", "start_error"]

CONTENT_TYPE = "application/octet-stream"


def _parse_float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("parse error") from None


_FLOAT = Kind(_parse_float, float, "float", default_text=lambda value: f"{value:g}")


@attrs.define
class NsqToHttpOptions:
    """All options. Durations in ns."""

    version: bool = option(BOOL, False, "print the version and exit")
    topic: str = option(STRING, "", "topic to consume")
    channel: str = option(STRING, "nsq_to_http", "channel to consume")
    max_in_flight: int = option(INT, 200, "messages that may be in flight")
    n: int = option(INT, 100, "requests at the same time")
    mode: str = option(
        STRING,
        "hostpool",
        "which address gets a message: round-robin, hostpool, epsilon-greedy, or all of them: all",
    )
    sample: float = option(_FLOAT, 1.0, "part of the messages to send, 0.0 to 1.0")
    http_client_connect_timeout: int = option(
        DURATION, 2 * SECOND, "time that a connection may take"
    )
    http_client_request_timeout: int = option(
        DURATION, 20 * SECOND, "time that all of a request may take"
    )
    status_every: int = option(
        INT, 250, "requests between two log lines about how long they took; 0 for none"
    )
    content_type: str = option(STRING, CONTENT_TYPE, "Content-Type of POST requests")
    get: list[str] = option(
        STRINGS, (), "URL to GET, with %s where the message goes (may be given several times)"
    )
    post: list[str] = option(STRINGS, (), "URL to POST to (may be given several times)")
    header: list[str] = option(
        STRINGS, (), "header of requests, as Name: value (may be given several times)"
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

    @property
    def addresses(self) -> list[str]:
        """Where requests go."""
        return self.get or self.post


def header_of(text: str) -> tuple[str, str] | None:
    """Name and value of ``Name: value``; None: it is not that."""
    name, colon, value = (part.strip() for part in text.partition(":"))
    return (name, value) if name and colon and value else None


def start_error(options: NsqToHttpOptions) -> str | None:
    """What keeps nsq_to_http from starting with these options."""
    if not all(map(header_of, options.header)):
        return "--header value format should be 'Name: value'"
    if not options.topic or not options.channel:
        return "--topic and --channel are required"
    if options.content_type != CONTENT_TYPE and not options.post:
        return "--content-type only used with --post"
    if not options.content_type:
        return "--content-type requires a value when used"
    reason = source_error(options)
    if reason is not None:
        return reason
    if not options.get and not options.post:
        return "--get or --post required"
    if options.get and options.post:
        return "use --get or --post not both"
    if any(url.count("%s") != 1 for url in options.get):
        return "invalid GET address - must be a printf string"
    if not 0.0 <= options.sample <= 1.0:
        return "ERROR: --sample must be between 0.0 and 1.0"
    return _never_works(options)


def _never_works(options: NsqToHttpOptions) -> str | None:
    for name in ("http_client_connect_timeout", "http_client_request_timeout", "n"):
        if getattr(options, name) <= 0:
            return f"--{name.replace('_', '-')} should be positive"
    for url in options.addresses:
        if not url.startswith(("http://", "https://")):
            return f"{url} is no URL of http or https"
    if not valid_name(options.topic):
        return "invalid topic name"
    if not valid_name(options.channel):
        return "invalid channel name"
    return client_error(options)
