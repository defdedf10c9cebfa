"""Settings of Readers and Writers, with the names of the original's client library (client 2.1).

Times are in seconds, sizes in bytes. `ClientConfig` has what both need for a connection,
`ReaderConfig` and `WriterConfig` the rest. All are frozen, and checked when they are made. The
tools' ``--consumer-opt`` and ``--producer-opt`` set them by name from text, see `with_option`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import Any, Self

import attrs
from attrs import field, frozen

from nsqtx.client.errors import ConfigError
from nsqtx.durations import MILLISECOND, SECOND, parse_duration
from nsqtx.kinds import BOOL
from nsqtx.version import __version__
from nsqtx.wire.codecs import SNAPPY_AVAILABLE

__all__ = ["ClientConfig", "ReaderConfig", "WriterConfig"]

MINUTE = 60.0
HOUR = 3600.0

Check = Callable[[Any, "attrs.Attribute[Any]", Any], None]


def _between(least: float, most: float | None = None) -> Check:
    def check(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        # Not a number is neither.
        if not value >= least or (most is not None and not value <= most):
            upper = "" if most is None else f" and at most {most:g}"
            raise ConfigError(
                f"{attribute.name} is {value!r}: it must be at least {least:g}{upper}"
            )

    return check


def _off_or(check: Check) -> Check:
    """-1 turns it off."""
    return lambda self, attribute, value: None if value == -1 else check(self, attribute, value)


def _zero_or(check: Check) -> Check:
    """0 leaves it to the server."""
    return lambda self, attribute, value: None if value == 0 else check(self, attribute, value)


def _one_of(*names: str) -> Check:
    def check(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value not in names:
            raise ConfigError(
                f"{attribute.name} is {value!r}: it must be one of {', '.join(names)}"
            )

    return check


def seconds(default: float, check: Check | None = None) -> Any:
    """A field that is a time."""
    return field(default=default, converter=float, validator=check, metadata={"kind": "time"})


def number(default: int, check: Check | None = None) -> Any:
    return field(default=default, converter=int, validator=check, metadata={"kind": "number"})


def ratio(default: float) -> Any:
    return field(
        default=default, converter=float, validator=_between(0, 1), metadata={"kind": "ratio"}
    )


def _truth(value: Any) -> bool:
    if isinstance(value, str):
        # "false" would be true.
        raise ConfigError(f"{value!r} is text: a switch is True or False")
    return bool(value)


def switch(default: bool) -> Any:
    return field(default=default, converter=_truth, metadata={"kind": "switch"})


def text(default: str, check: Check | None = None) -> Any:
    return field(default=default, validator=check, metadata={"kind": "text"})


def host_name() -> str:
    return socket.gethostname()


@frozen(kw_only=True)
class ClientConfig:
    """What every connection to a nsqd needs.

    :raises ConfigError: a value is out of bounds.
    """

    #: Until TCP is connected.
    dial_timeout: float = seconds(1.0, _between(0.001))
    #: From there until the connection can be used: IDENTIFY, TLS, compression, AUTH, SUB. (ours)
    handshake_timeout: float = seconds(10.0, _between(0.001))
    #: Without any byte from nsqd for so long, it is taken for dead.
    read_timeout: float = seconds(60.0, _between(0.1, 5 * MINUTE))
    #: With bytes for nsqd that the network does not take for so long, likewise. The original's
    #: default is 1 s, which large publishes on slow links exceed.
    write_timeout: float = seconds(10.0, _between(0.1, 5 * MINUTE))
    #: Address to connect from.
    local_addr: str = text("")

    #: How nsqd and its statistics call us; by default the host's short name.
    client_id: str = field(factory=lambda: host_name().partition(".")[0], metadata={"kind": "text"})
    hostname: str = field(factory=host_name, metadata={"kind": "text"})
    user_agent: str = text(f"nsqtx/{__version__}")
    topology_region: str = text("")
    topology_zone: str = text("")
    #: -1 turns heartbeats off, which a connection that subscribes may not.
    heartbeat_interval: float = seconds(30.0, _off_or(_between(1.0)))
    #: -1 turns the buffer off, 0 leaves it to nsqd.
    output_buffer_size: int = number(16384, _off_or(_zero_or(_between(64))))
    #: -1 turns it off, 0 leaves it to nsqd.
    output_buffer_timeout: float = seconds(0.25, _off_or(_zero_or(_between(0.001))))

    tls_v1: bool = switch(False)
    #: Go on without TLS where nsqd does not offer it. (ours)
    tls_optional: bool = switch(False)
    #: Options made by `twisted.internet.ssl.optionsForClientTLS`, or a function that is given the
    #: host name and makes them; then no other ``tls_`` setting counts.
    tls_config: Any = field(default=None, repr=False)
    tls_root_ca_file: str = text("")
    tls_insecure_skip_verify: bool = switch(False)
    tls_cert: str = text("")
    tls_key: str = text("")
    tls_min_version: str = text("tls1.2", _one_of("tls1.0", "tls1.1", "tls1.2", "tls1.3"))
    deflate: bool = switch(False)
    deflate_level: int = number(6, _between(1, 9))
    snappy: bool = switch(False)
    #: Sent by AUTH when nsqd asks for it, and never else. Text, bytes, or a function (a coroutine
    #: function, too) that gives it.
    auth_secret: Any = field(default="", repr=False, metadata={"kind": "text"})

    #: Largest frame taken from nsqd, in bytes. The original has no limit unless one is given.
    max_msg_size: int = number(64 * 1024 * 1024, _zero_or(_between(64)))

    lookupd_poll_interval: float = seconds(60.0, _between(0.01, 5 * MINUTE))
    lookupd_poll_jitter: float = ratio(0.3)
    lookupd_poll_timeout: float = seconds(60.0, _between(0.001))
    #: Send the secret to nsqlookupd as a bearer token. (The original does so by default, by an
    #: option whose name says the reverse.)
    lookupd_authorization: bool = switch(False)
    #: Ask nsqlookupd to answer when something changes, where it can. (ours)
    lookupd_long_poll: bool = switch(True)

    #: Longest time between two attempts to connect to an address that is down. (ours)
    max_reconnect_delay: float = seconds(30.0, _between(0.001, HOUR))

    def __attrs_post_init__(self) -> None:
        if self.heartbeat_interval > self.read_timeout:
            raise ConfigError(
                f"heartbeat_interval is {self.heartbeat_interval:g}: it must not exceed "
                f"read_timeout, {self.read_timeout:g}"
            )
        if self.deflate and self.snappy:
            raise ConfigError("deflate and snappy exclude each other")
        if self.snappy and not SNAPPY_AVAILABLE:
            raise ConfigError("snappy needs python-snappy: pip install 'nsqtx[snappy]'")
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ConfigError("tls_cert and tls_key go together")

    def with_option(self, name: str, value: str | None = None) -> Self:
        """The same settings with one more, given as text: how options of tools have it.

        The names are the original's, ``-`` may stand for ``_``. Times are Go's (``90s``), or
        milliseconds without a unit. Without a value a switch is turned on.

        :raises ConfigError: there is no such setting, or the text is no value for it.
        """
        return self.with_options([(name, value)])

    def with_options(self, options: Iterable[tuple[str, str | None]]) -> Self:
        """The same for several, which need to be right only all together."""
        changes = {}
        for name, value in options:
            changes.update(self.read_option(name, value))
        return attrs.evolve(self, **changes)

    @classmethod
    def read_option(cls, name: str, value: str | None = None) -> dict[str, Any]:
        """The field that such an option is for, and its value: checked, but by itself alone.

        It is empty for an option of the other role.

        :raises ConfigError: as `with_option`.
        """
        name = name.replace("-", "_")
        if name == "skip_lookupd_authorization":
            # By its effect there, not by its name.
            return {"lookupd_authorization": _switched(name, value)}
        for each in attrs.fields(cls):
            if each.name == name and "kind" in each.metadata:
                found = _value(name, each.metadata["kind"], value)
                if each.validator is not None:
                    each.validator(None, each, found)
                return {name: found}
        if name in _ALL_NAMES:
            return {}
        raise ConfigError(f"there is no setting {name!r}")


@frozen(kw_only=True)
class ReaderConfig(ClientConfig):
    """Settings of a Reader."""

    #: Messages that all nsqd together may have under way to us. 0 pauses.
    max_in_flight: int = number(1, _between(0))
    #: How many handlers run at once, those that return a Deferred or a coroutine; 0: no limit
    #: but ``max_in_flight``. (ours)
    concurrency: int = number(0, _between(0))
    #: More deliveries than this and a message is given up; 0: never.
    max_attempts: int = number(5, _between(0, 65535))
    #: Where messages go that are given up: published there, and finished only then. (ours)
    dead_letter_topic: str = text("")
    #: A requeue without a delay of its own waits attempts times this long,
    default_requeue_delay: float = seconds(90.0, _between(0, HOUR))
    #: but no longer than this.
    max_requeue_delay: float = seconds(15 * MINUTE, _between(0, HOUR))
    #: Asked of nsqd; 0 leaves it to nsqd.
    msg_timeout: float = seconds(0.0, _zero_or(_between(1.0)))
    #: 1 to 99: receive about that many of a hundred, the others are lost to the channel.
    sample_rate: int = number(0, _between(0, 99))
    #: Cancel a handler, which is a failure, after so long; 0: never. (ours)
    handler_timeout: float = seconds(0.0, _between(0))
    #: Send TOUCH while a handler runs, up to nsqd's ``--max-msg-timeout``. (ours)
    auto_touch: bool = switch(False)

    #: Whether failures make the Reader slow down at all. (ours)
    backoff: bool = switch(True)
    #: ``exponential`` or ``full_jitter``, or an object as in `nsqtx.client.backoff`.
    backoff_strategy: Any = field(default="exponential", metadata={"kind": "text"})
    #: Longest time without messages. 0 turns backoff off, too.
    max_backoff_duration: float = seconds(2 * MINUTE, _between(0, HOUR))
    backoff_multiplier: float = seconds(1.0, _between(0, HOUR))
    #: Whether `Message.requeue` counts as a failure unless it says so itself. (ours)
    backoff_on_requeue: bool = switch(True)
    #: Whether an answer that came too late for nsqd counts as a failure. (ours)
    backoff_on_timeout: bool = switch(False)

    low_rdy_idle_timeout: float = seconds(10.0, _between(1.0, 5 * MINUTE))
    low_rdy_timeout: float = seconds(30.0, _between(1.0, 5 * MINUTE))
    rdy_redistribute_interval: float = seconds(5.0, _between(0.001, 5.0))
    #: Lend what an idle connection may have to busy ones. (ours)
    lend_idle_rdy: bool = switch(False)

    #: How long `stopService` waits for handlers; then they are cancelled. (ours)
    drain_timeout: float = seconds(30.0, _between(0))
    #: Leave an nsqd that so many complete rounds of asking nsqlookupd did not name; 0: stay while
    #: it is connected, as the original does. (ours)
    drop_after_rounds: int = number(0, _between(0))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.heartbeat_interval == -1:
            raise ConfigError("heartbeat_interval is -1: a consumer must have heartbeats")
        if isinstance(self.backoff_strategy, str) and self.backoff_strategy not in (
            "exponential",
            "full_jitter",
        ):
            raise ConfigError(f"there is no backoff_strategy {self.backoff_strategy!r}")


@frozen(kw_only=True)
class WriterConfig(ClientConfig):
    """Settings of a Writer. All of this class are ours: the original's has none of its own."""

    #: Publishes that may wait for an answer, on one connection and in all; the next one waits.
    max_outstanding_per_connection: int = number(10_000, _between(1))
    max_outstanding: int = number(50_000, _between(1))
    #: Bytes of messages that may wait for an answer, in all.
    max_outstanding_bytes: int = number(64 * 1024 * 1024, _between(1))
    #: What happens at those limits: ``wait``, or ``fail`` at once.
    when_full: str = text("wait", _one_of("wait", "fail"))
    #: From the call until nsqd's answer, all attempts together; 0: no limit.
    publish_timeout: float = seconds(30.0, _between(0))
    #: How often a publish is tried, on another nsqd if there is one.
    max_publish_attempts: int = number(5, _between(1))
    #: Try again also when the first nsqd may have stored it: duplicates rather than loss.
    retry_unknown: bool = switch(True)
    #: Which nsqd gets a publish: ``round_robin``, ``random``, ``least_outstanding``, ``first`` (in
    #: the order given, the others when it is down), ``sticky`` (by ``key``, or else the topic).
    strategy: str = text(
        "round_robin",
        _one_of("round_robin", "random", "least_outstanding", "first", "sticky"),
    )
    #: Connect when the service starts, or with the first publish.
    lazy: bool = switch(False)
    #: As nsqd's ``--max-msg-size``, ``--max-body-size`` and ``--max-req-timeout``: what is larger
    #: is refused here, since nsqd would close the connection.
    max_message_size: int = number(1024 * 1024, _between(1))
    max_body_size: int = number(5 * 1024 * 1024, _between(1))
    max_defer: float = seconds(HOUR, _between(0))
    #: Collect single messages of a topic for so long, and send them as one MPUB; 0: do not. Comes
    #: on top of ``publish_timeout``.
    batch_linger: float = seconds(0.0, _between(0))
    #: Send them sooner when there are so many messages or bytes.
    batch_count: int = number(200, _between(1))
    batch_bytes: int = number(256 * 1024, _between(1))
    #: To how many nsqd each publish goes, and how many of them must have said OK; 0: all.
    replicas: int = number(1, _between(1))
    replica_answers: int = number(0, _between(0))
    #: How long `stopService` waits for answers.
    drain_timeout: float = seconds(30.0, _between(0))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.replica_answers > self.replicas:
            raise ConfigError(
                f"replica_answers is {self.replica_answers}: there are {self.replicas} replicas"
            )


_ALL_NAMES = {
    each.name
    for cls in (ReaderConfig, WriterConfig)
    for each in attrs.fields(cls)
    if "kind" in each.metadata
} | {"backoff_strategy"}


def _value(name: str, kind: str, text: str | None) -> Any:
    if kind == "switch":
        return _switched(name, text)
    if text is None:
        raise ConfigError(f"{name} needs a value")
    try:
        if kind == "number":
            return int(text)
        if kind == "ratio":
            return float(text)
        if kind == "time":
            return _time(text)
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from None
    return text


def _time(text: str) -> float:
    """Seconds, of a duration or a number of milliseconds; -1 is off."""
    bare = text.removeprefix("-")
    if bare.isdigit():
        return -1 if text == "-1" else int(text) * MILLISECOND / SECOND
    return parse_duration(text) / SECOND


def _switched(name: str, text: str | None) -> bool:
    try:
        return text is None or bool(BOOL.parse(text))
    except ValueError:
        raise ConfigError(f"{name} is {text!r}: it must be true or false") from None
