"""From a TCP connection to a usable one: IDENTIFY, TLS, compression, AUTH, SUB (client section 3).

A conversation in a row, so a coroutine. nsqd's answer to IDENTIFY decides what follows. TLS that
was asked for and is not in it is an error, unless `ClientConfig.tls_optional`; without compression
that nsqd does not offer it goes on. The answer to SUB is waited for, so that a refusal is the
failure of `connect` and not a later disconnection.
"""

from __future__ import annotations

import inspect
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory

from nsqtx.client.addresses import endpoint_for, host_of
from nsqtx.client.config import ClientConfig, ReaderConfig
from nsqtx.client.connection import NsqdConnection
from nsqtx.client.errors import CommandFailed, ConnectError, NsqError
from nsqtx.client.security import tls_options
from nsqtx.wire import gojson
from nsqtx.wire.codecs import make_deflate, make_snappy
from nsqtx.wire.identify import Negotiated

__all__ = ["connect"]


def connect(
    reactor: Any,
    address: str,
    config: ClientConfig,
    subscribe: tuple[str, str] | None = None,
) -> Deferred[NsqdConnection]:
    """A connection that can be used; with ``subscribe`` to that topic and channel.

    Takes at most ``dial_timeout`` and then ``handshake_timeout`` seconds. Fails with
    `ConnectError`. Can be cancelled, which leaves nothing behind.
    """
    return Deferred.fromCoroutine(_connect(reactor, address, config, subscribe))


async def _connect(
    reactor: Any, address: str, config: ClientConfig, subscribe: tuple[str, str] | None
) -> NsqdConnection:
    connection = NsqdConnection(address, config, reactor)
    timeout = config.handshake_timeout

    def too_late(_: Any, __: float) -> Any:
        raise NsqError(f"no connection after {timeout:g} s of handshake")

    try:
        where = endpoint_for(reactor, address, config.dial_timeout, config.local_addr)
        await where.connect(_Once(connection))
        talking = Deferred.fromCoroutine(_talk(connection, config, subscribe))
        await talking.addTimeout(timeout, reactor, onTimeoutCancel=too_late)
    except CancelledError:
        _abandon(connection)
        raise
    except CommandFailed as error:
        _abandon(connection)
        raise ConnectError(address, str(error.error)) from error.error
    except Exception as error:
        _abandon(connection)
        raise ConnectError(address, _reason(error)) from error
    connection.handshaken()
    return connection


class _Once(Factory):
    """For one connection, whose beginning and end are told by others."""

    noisy = False

    def __init__(self, connection: NsqdConnection) -> None:
        self._connection = connection

    def buildProtocol(self, addr: Any) -> NsqdConnection:
        return self._connection


def _abandon(connection: NsqdConnection) -> None:
    if connection.transport is not None and not connection.closed:
        connection.fail(NsqError("the handshake failed"))


def _reason(error: Exception) -> str:
    text = str(error)
    return text or type(error).__name__


async def _talk(
    connection: NsqdConnection, config: ClientConfig, subscribe: tuple[str, str] | None
) -> None:
    answer = await _identify(connection, config)
    connection.negotiated = answer
    if config.tls_v1 and not answer.tls_v1 and not config.tls_optional:
        raise NsqError("nsqd does not offer TLS, which tls_v1 asks for")
    if answer.tls_v1 and config.tls_v1:
        await connection.start_tls(tls_options(config, host_of(connection.address)))
        await connection.expect()
    if answer.snappy and config.snappy:
        connection.start_codec(make_snappy())
        await connection.expect()
    elif answer.deflate and config.deflate:
        connection.start_codec(make_deflate(config.deflate_level))
        await connection.expect()
    if answer.auth_required:
        await _authenticate(connection, config)
    if subscribe is not None:
        topic, channel = subscribe
        await connection.request(f"SUB {topic} {channel}\n".encode())


async def _identify(connection: NsqdConnection, config: ClientConfig) -> Negotiated:
    body = gojson.encode(_asked(config))
    data = await connection.request(b"IDENTIFY\n" + _sized(body))
    if data == b"OK":
        # An nsqd from before negotiation (client 3.3).
        return Negotiated()
    try:
        fields = gojson.decode(data)
        if not isinstance(fields, dict):
            raise ValueError("it is no object")
        answer = Negotiated()
        for each in attrs.fields(Negotiated):
            value = fields.get(each.name)
            if value is None:
                continue
            if type(value) is not type(getattr(answer, each.name)):
                raise ValueError(f"{each.name} is {value!r}")
            setattr(answer, each.name, value)
        return answer
    except ValueError as error:
        raise NsqError(f"the answer to IDENTIFY cannot be read: {error}") from None


def _asked(config: ClientConfig) -> dict[str, Any]:
    """The body of IDENTIFY; ``short_id`` and ``long_id`` are for servers before 1.0."""
    fields: dict[str, Any] = {
        "client_id": config.client_id,
        "hostname": config.hostname,
        "short_id": config.client_id,
        "long_id": config.hostname,
        "user_agent": config.user_agent,
        "feature_negotiation": True,
        "heartbeat_interval": _milliseconds(config.heartbeat_interval),
        "tls_v1": config.tls_v1,
        "deflate": config.deflate,
        "deflate_level": config.deflate_level,
        "snappy": config.snappy,
        "output_buffer_size": config.output_buffer_size,
        "output_buffer_timeout": _milliseconds(config.output_buffer_timeout),
        "topology_region": config.topology_region,
        "topology_zone": config.topology_zone,
    }
    if isinstance(config, ReaderConfig):
        fields["sample_rate"] = config.sample_rate
        fields["msg_timeout"] = _milliseconds(config.msg_timeout)
    return fields


def _milliseconds(seconds: float) -> int:
    return -1 if seconds == -1 else round(seconds * 1000)


async def _authenticate(connection: NsqdConnection, config: ClientConfig) -> None:
    secret = config.auth_secret
    if callable(secret):
        secret = secret()
        if inspect.isawaitable(secret):
            secret = await secret
    if not secret:
        raise NsqError("nsqd asks for a secret, and there is no auth_secret")
    body = secret.encode() if isinstance(secret, str) else bytes(secret)
    await connection.request(b"AUTH\n" + _sized(body))


def _sized(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body
