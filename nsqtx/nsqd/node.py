"""One nsqd, as its TCP sessions and its HTTP API see it: options, broker, clients, health."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet.interfaces import IReactorTime

from nsqtx.broker.broker import Broker
from nsqtx.broker.turn import Turn
from nsqtx.kinds import LOG_LEVEL
from nsqtx.nsqd.metrics import nsqd_exposition
from nsqtx.nsqd.options import NsqdOptions
from nsqtx.nsqd.statsd import expand_prefix
from nsqtx.options import config_value
from nsqtx.storage.volume import Counters
from nsqtx.tls import ServerTls
from nsqtx.web.lag import ReactorLag
from nsqtx.web.metrics import Exposition
from nsqtx.wire import gojson

if TYPE_CHECKING:
    from nsqtx.nsqd.admission import Admission
    from nsqtx.nsqd.session import Session

__all__ = ["Node"]


@attrs.define(eq=False)
class Node:
    """The parts of a running nsqd. Ports are those bound: -1 Unix socket, 0 off."""

    options: NsqdOptions
    broker: Broker
    clock: IReactorTime
    start_time: float
    hostname: str = attrs.Factory(socket.gethostname)
    tcp_port: int = 0
    http_port: int = 0
    https_port: int = 0
    #: Makes TLS connections; None without a certificate.
    tls: ServerTls | None = None
    #: Every TCP session, in the order of connecting.
    sessions: dict[Session, None] = attrs.Factory(dict)
    #: What is put off to the end of a turn of the reactor; None: it has no such end, do it at once.
    turn: Turn | None = None
    #: Keeps a new session to what auth servers allow; None: there are none.
    admit: Callable[[], Admission] | None = None
    #: The last thing that the disk refused, None when it works.
    store_health: Callable[[], str | None] = lambda: None
    #: Told when ``nsqd.dat`` is no longer true and nothing came or went: something was paused.
    metadata_changed: Callable[[], None] = lambda: None
    #: Makes a level of ``log_level`` take effect.
    set_log_level: Callable[[str], None] = lambda level: None
    #: Makes a list of ``nsqlookupd_tcp_addresses`` take effect.
    set_lookupds: Callable[[list[str]], None] = lambda addresses: None
    #: Whether publishes are refused, until nsqd is empty and stops (`nsqtx.nsqd.drain`).
    draining: bool = False
    #: Begins to drain, or takes messages again.
    set_draining: Callable[[bool], None] = lambda draining: None
    #: What the disk did so far.
    counters: Counters = attrs.Factory(Counters)
    lag: ReactorLag = attrs.field(init=False)
    #: Makes ``/metrics``.
    exposition: Exposition = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.lag = ReactorLag(self.clock)
        self.exposition = nsqd_exposition(self)

    @property
    def health(self) -> str:
        """``OK``, or ``NOK - `` and why (nsqd-engine section 9); while draining never OK."""
        failure = self.store_health()
        if failure is None and self.draining:
            failure = "draining"
        return "OK" if failure is None else f"NOK - {failure}"

    def config_get(self, name: str) -> Any:
        """What ``/config/<name>`` shows (nsqd-http section 10): str for text, else JSON.

        :raises KeyError: there is no such option.
        """
        if name == "statsd_prefix":
            return self.statsd_prefix
        if name == "drain":
            return self.draining
        return config_value(self.options, name)

    def config_set(self, name: str, body: bytes) -> Any:
        """Change an option at run time; its new value.

        :raises KeyError: it cannot be changed, or does not exist.
        :raises ValueError: it can, but not to this.
        """
        if name == "log_level":
            self.change("log_level", LOG_LEVEL.parse(body.decode("utf-8", "replace")))
        elif name == "drain":
            self.set_draining(_true_or_false(body))
        elif name == "nsqlookupd_tcp_addresses":
            addresses = gojson.decode(body)
            if addresses is not None and (
                not isinstance(addresses, list)
                or not all(isinstance(each, str) for each in addresses)
            ):
                raise ValueError("not an array of strings")
            self.change("lookupd_tcp_address", addresses or [])
            return addresses
        else:
            raise KeyError(name)
        return self.config_get(name)

    def change(self, name: str, value: Any) -> None:
        """Give an option, by its name, another value that is valid, and let it take effect."""
        setattr(self.options, name, value)
        if name == "log_level":
            self.set_log_level(value)
        elif name == "lookupd_tcp_address" and not self.draining:
            self.set_lookupds(value)

    @property
    def statsd_prefix(self) -> str:
        """The prefix of statsd with the host in it, as it goes out (nsqd-engine section 11)."""
        options = self.options
        return expand_prefix(
            options.statsd_prefix, options.broadcast_address, options.broadcast_http_port
        )

    def producers(self, topic: str = "") -> list[dict[str, Any]]:
        """The ``producers`` of ``/stats``: every session that has published."""
        return [session.stats(topic) for session in self.sessions if session.published]


def _true_or_false(body: bytes) -> bool:
    if body not in (b"true", b"false"):
        raise ValueError("neither true nor false")
    return body == b"true"
