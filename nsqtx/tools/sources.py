"""Where tools consume from: addresses, and options of the client library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import attrs

from nsqtx.client.addresses import valid_address
from nsqtx.client.config import ClientConfig, ReaderConfig
from nsqtx.client.errors import ConfigError
from nsqtx.client.events import Connected, ConnectFailed, Event, OnEvent
from nsqtx.client.reader import Reader
from nsqtx.cluster.urls import DaemonUrl
from nsqtx.kinds import Kind
from nsqtx.version import NSQ_VERSION, __version__

__all__ = [
    "CONSUMER_OPTIONS",
    "ClientOption",
    "SourceOptions",
    "client_error",
    "client_options",
    "first_failure",
    "make_reader",
    "reader_config",
    "source_error",
    "user_agent",
]

#: Name and value; None: none was given.
ClientOption = tuple[str, str | None]


class SourceOptions(Protocol):
    """Options of a tool that consumes."""

    channel: str
    max_in_flight: int
    nsqd_tcp_address: list[str]
    lookupd_http_address: list[str]
    consumer_opt: list[ClientOption]


def _no_file(value: Any) -> Any:
    raise ValueError("tools have no configuration file")


def client_options(config: type[ClientConfig]) -> Kind:
    """The kind of ``name,value``; without a comma there is no value (apps section 1.4)."""

    def parse(text: str) -> list[ClientOption]:
        name, comma, value = text.partition(",")
        option = name, value if comma else None
        try:
            config.read_option(*option)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return [option]

    return Kind(parse, _no_file, "value", many=True)


CONSUMER_OPTIONS = client_options(ReaderConfig)


def user_agent(tool: str) -> str:
    """How a tool calls itself to nsqd."""
    return f"{tool}/{NSQ_VERSION} nsqtx/{__version__}"


def reader_config(options: SourceOptions, tool: str) -> ReaderConfig:
    """The settings of a tool's Reader.

    Unless ``max_attempts`` is given there is no limit: a tool that gives a message up has lost it.

    :raises ConfigError: they do not go together.
    """
    config = ReaderConfig(max_attempts=0).with_options(options.consumer_opt)
    own: list[ClientOption] = [
        ("user_agent", user_agent(tool)),
        ("max_in_flight", str(options.max_in_flight)),
    ]
    return config.with_options(own)


def source_error(options: SourceOptions, end: str = "") -> str | None:
    """Where to consume from is not clear; ``end`` is a full stop where the original has it."""
    if not options.nsqd_tcp_address and not options.lookupd_http_address:
        return f"--nsqd-tcp-address or --lookupd-http-address required{end}"
    if options.nsqd_tcp_address and options.lookupd_http_address:
        return "use --nsqd-tcp-address or --lookupd-http-address not both"
    return None


def client_error(options: SourceOptions) -> str | None:
    """What the client library would refuse."""
    try:
        for address in options.nsqd_tcp_address:
            valid_address(address)
        for address in options.lookupd_http_address:
            DaemonUrl.parse(address, 4161)
        reader_config(options, "")
    except ValueError as error:
        return str(error)
    return None


def make_reader(
    options: SourceOptions,
    tool: str,
    topic: str,
    handler: Callable[[Any], Any],
    reactor: Any,
    on_event: OnEvent | None = None,
    concurrency: int = 0,
) -> Reader:
    """The Reader of a topic. ``concurrency`` 0: no limit of handlers but ``--max-in-flight``."""
    config = reader_config(options, tool)
    if concurrency:
        config = attrs.evolve(config, concurrency=concurrency)
    return Reader(
        topic,
        options.channel,
        handler,
        reactor=reactor,
        nsqd_tcp_addresses=options.nsqd_tcp_address,
        lookupd_http_addresses=options.lookupd_http_address,
        config=config,
        on_event=on_event,
    )


def first_failure(addresses: Sequence[str], failed: Callable[[str], None]) -> OnEvent:
    """For `make_reader`: a nsqd that was named and is not there from the start is an error.

    Later it may come and go. ``failed`` is told once of each.
    """
    waiting = set(addresses)

    def told(event: Event) -> None:
        if isinstance(event, Connected):
            waiting.discard(event.address)
        elif isinstance(event, ConnectFailed) and event.address in waiting:
            waiting.discard(event.address)
            failed(f"{event.address}: {event.reason}")

    return told
