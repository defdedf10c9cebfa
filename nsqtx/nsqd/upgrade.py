"""From IDENTIFY to TLS and compression: what is granted, and the steps to it (nsqd-tcp 7.4).

The JSON answer goes out plain. Then comes the TLS handshake, and ``OK`` inside it; then ``OK``
inside the compression. Nothing waits between the steps. What a client has sent behind its IDENTIFY
belongs to the first of them.

An upgrade that is in place stays: asking for it again in a later IDENTIFY is granted, without a
second layer and without a second ``OK``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs
from OpenSSL import SSL
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from nsqtx.link import Link
from nsqtx.nsqd.layers import CodecLayer, LayerError, Layers, TlsLayer
from nsqtx.tls import cipher_suite, common_name, version_name
from nsqtx.wire import frames
from nsqtx.wire.codecs import SNAPPY_AVAILABLE, make_deflate, make_snappy
from nsqtx.wire.errors import ProtocolError
from nsqtx.wire.identify import Identify, deflate_level

if TYPE_CHECKING:
    from nsqtx.nsqd.session import Session

__all__ = ["HANDSHAKE_TIMEOUT", "Layering", "Upgrade", "Upgrades", "grant"]

log = Logger(namespace="nsqd.tcp")

#: How long a client may take for the whole TLS handshake (seconds).
HANDSHAKE_TIMEOUT = 5.0


@attrs.define
class Layering:
    """Which layers a connection has, as ``/stats`` shows them (nsqd-tcp section 9)."""

    tls: bool = False
    tls_version: str = ""
    tls_cipher_suite: str = ""
    #: Of the certificate that the client showed; empty without one.
    common_name: str = ""
    snappy: bool = False
    deflate: bool = False


@attrs.frozen
class Upgrade:
    """What a connection is to have. ``level`` is that of deflate."""

    tls: bool
    snappy: bool
    deflate: bool
    level: int

    def adds_to(self, layering: Layering) -> bool:
        """Whether there is anything to do."""
        return self.tls > layering.tls or self.compresses(layering)

    def compresses(self, layering: Layering) -> bool:
        """Whether a compression is to be added."""
        return self.snappy > layering.snappy or self.deflate > layering.deflate


def grant(session: Session, identity: Identify) -> Upgrade:
    """Everything that is asked for and on offer, or in place.

    :raises ProtocolError: TLS would have to go below a compression that is there already.
    """
    node, has = session.node, session.layering
    options = node.options
    tls = identity.tls_v1 and node.tls is not None
    if tls and not has.tls and (has.snappy or has.deflate):
        raise ProtocolError("E_IDENTIFY_FAILED", "IDENTIFY failed TLS must precede compression")
    deflate = identity.deflate and options.deflate
    return Upgrade(
        tls=has.tls or tls,
        snappy=has.snappy or (identity.snappy and options.snappy and SNAPPY_AVAILABLE),
        deflate=has.deflate or deflate,
        level=deflate_level(deflate, identity.deflate_level, options.max_deflate_level),
    )


class Upgrades:
    """Adds layers to one connection.

    :param link: the connection as it is.
    :param on_end: called when the client sends no more and all that it sent was decoded.
    """

    def __init__(self, session: Session, link: Link, on_end: Callable[[], None]) -> None:
        self._session = session
        self._link = link
        self._clock = session.node.clock
        self._on_end = on_end
        self._handshake: IDelayedCall | None = None
        #: What the session writes to from now on.
        self.layers = Layers(link, self._clock, session.receive, self._ended, self._failed)

    @property
    def shaking_hands(self) -> bool:
        """Whether a handshake is under way: nothing may be sent."""
        return self._handshake is not None

    def add(self, upgrade: Upgrade) -> None:
        """Take the first step, and all others if that is not a handshake."""
        rest = self._session.parser.take()
        if self._session.layering.tls or not upgrade.tls:
            self._compress(upgrade, rest)
            return
        tls = self._session.node.tls
        assert tls is not None
        self._handshake = self._clock.callLater(
            HANDSHAKE_TIMEOUT, self._refuse, "TLS handshake timed out"
        )
        connection = tls.connection()
        self.layers.add(
            TlsLayer(connection, rest, self._link.write, lambda: self._secured(connection, upgrade))
        )

    def _secured(self, connection: SSL.Connection, upgrade: Upgrade) -> None:
        self.stop()
        layering = self._session.layering
        layering.tls = True
        layering.tls_version = version_name(connection)
        layering.tls_cipher_suite = cipher_suite(connection)
        layering.common_name = common_name(connection)
        log.info(
            "[{address}] TLS: {has.tls_version} {has.tls_cipher_suite}",
            address=self._session.address,
            has=layering,
        )
        self.layers.write(frames.OK)
        self._compress(upgrade, b"")

    def _compress(self, upgrade: Upgrade, rest: bytes) -> None:
        layering = self._session.layering
        if upgrade.compresses(layering):
            codec = make_snappy() if upgrade.snappy else make_deflate(upgrade.level)
            self.layers.add(CodecLayer(codec, rest))
            layering.snappy, layering.deflate = upgrade.snappy, upgrade.deflate
            self.layers.write(frames.OK)
        self._session.upgraded()

    def stop(self) -> None:
        """No handshake any more."""
        if self._handshake is not None:
            if self._handshake.active():
                self._handshake.cancel()
            self._handshake = None

    def lost(self) -> None:
        """The connection is gone."""
        self.stop()
        self.layers.lost()

    def _ended(self) -> None:
        if self.shaking_hands:
            self._refuse("EOF")
        else:
            self._on_end()

    def _failed(self, error: LayerError) -> None:
        if self.shaking_hands:
            self._refuse(str(error))
        else:
            log.error("[{address}] - {error}", address=self._session.address, error=error)
            self._session.dropped()

    def _refuse(self, why: str) -> None:
        """The handshake failed: say so in plain text, after whatever alert went out."""
        self.stop()
        self.layers.unwrap()
        self._session.fail(ProtocolError("E_IDENTIFY_FAILED", f"IDENTIFY failed {why}"))
