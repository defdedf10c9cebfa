"""IDENTIFY: what a client says of itself and asks for, and what the server makes of it."""

from __future__ import annotations

import attrs

from nsqtx.wire import gojson
from nsqtx.wire.errors import ProtocolError
from nsqtx.wire.limits import (
    MIN_HEARTBEAT_INTERVAL,
    MIN_MSG_TIMEOUT,
    MIN_OUTPUT_BUFFER_SIZE,
    Limits,
)

__all__ = [
    "DEFAULT_DEFLATE_LEVEL",
    "Identify",
    "Negotiated",
    "Settings",
    "check",
    "deflate_level",
    "negotiation_response",
    "parse_identify",
]

#: Used unless the client asks for another one and gets deflate.
DEFAULT_DEFLATE_LEVEL = 6
_MAX_SAMPLE_RATE = 99


@attrs.define
class Identify:
    """The body of an IDENTIFY (nsqd-tcp section 7.2), with what the original takes for absent.

    Times are in milliseconds, sizes in bytes. 0 leaves a time or size as it is, -1 turns it off.
    """

    client_id: str = ""
    hostname: str = ""
    user_agent: str = ""
    feature_negotiation: bool = False
    heartbeat_interval: int = 0
    output_buffer_size: int = 0
    output_buffer_timeout: int = 0
    sample_rate: int = 0
    msg_timeout: int = 0
    tls_v1: bool = False
    deflate: bool = False
    deflate_level: int = 0
    snappy: bool = False
    topology_region: str = ""
    topology_zone: str = ""


def parse_identify(body: bytes) -> Identify:
    """Read the body. The values still have to pass `check`.

    :raises ProtocolError: ``E_BAD_BODY``, it is not JSON or a value has the wrong type.
    """
    try:
        fields = gojson.decode_fields(body)
        return Identify(
            client_id=fields.text("client_id"),
            hostname=fields.text("hostname"),
            user_agent=fields.text("user_agent"),
            feature_negotiation=fields.flag("feature_negotiation"),
            heartbeat_interval=fields.integer("heartbeat_interval"),
            output_buffer_size=fields.integer("output_buffer_size"),
            output_buffer_timeout=fields.integer("output_buffer_timeout"),
            sample_rate=fields.integer("sample_rate", bits=32),
            msg_timeout=fields.integer("msg_timeout"),
            tls_v1=fields.flag("tls_v1"),
            deflate=fields.flag("deflate"),
            deflate_level=fields.integer("deflate_level"),
            snappy=fields.flag("snappy"),
            topology_region=fields.text("topology_region"),
            topology_zone=fields.text("topology_zone"),
        )
    except ValueError as error:
        raise ProtocolError("E_BAD_BODY", "IDENTIFY failed to decode JSON body") from error


def check(identify: Identify, limits: Limits) -> None:
    """Compare the values with the limits, in the order of nsqd-tcp section 7.1 step 7.

    :raises ProtocolError: ``E_BAD_BODY``, for the first value out of range.
    """
    _check(
        "heartbeat interval",
        identify.heartbeat_interval,
        MIN_HEARTBEAT_INTERVAL,
        limits.max_heartbeat_interval,
        unless=(-1, 0),
    )
    _check(
        "output buffer timeout",
        identify.output_buffer_timeout,
        limits.min_output_buffer_timeout,
        limits.max_output_buffer_timeout,
        unless=(-1, 0),
    )
    _check(
        "output buffer size",
        identify.output_buffer_size,
        MIN_OUTPUT_BUFFER_SIZE,
        limits.max_output_buffer_size,
        unless=(-1, 0),
    )
    _check("sample rate", identify.sample_rate, 0, _MAX_SAMPLE_RATE)
    _check(
        "msg timeout",
        identify.msg_timeout,
        MIN_MSG_TIMEOUT,
        limits.max_msg_timeout,
        unless=(0,),
    )


def _check(what: str, value: int, least: int, most: int, unless: tuple[int, ...] = ()) -> None:
    if value not in unless and not least <= value <= most:
        raise ProtocolError("E_BAD_BODY", f"IDENTIFY {what} ({value}) is invalid")


@attrs.define
class Settings:
    """What IDENTIFY sets, as it stands for a connection (defaults: nsqd-tcp section 1).

    Times are in milliseconds, sizes in bytes. An interval or timeout of 0 is turned off.
    """

    heartbeat_interval: int = 30_000
    output_buffer_size: int = 16384
    output_buffer_timeout: int = 250
    sample_rate: int = 0
    msg_timeout: int = 60_000

    def apply(self, identify: Identify) -> None:
        """Take over what was asked for and has passed `check` (nsqd-tcp section 7.2)."""
        if identify.heartbeat_interval:
            self.heartbeat_interval = max(0, identify.heartbeat_interval)
        if identify.output_buffer_timeout:
            self.output_buffer_timeout = max(0, identify.output_buffer_timeout)
        if identify.output_buffer_size > 0:
            self.output_buffer_size = identify.output_buffer_size
        elif identify.output_buffer_size < 0:
            self.output_buffer_size = 1
            self.output_buffer_timeout = 0
        if identify.msg_timeout:
            self.msg_timeout = identify.msg_timeout
        self.sample_rate = identify.sample_rate


def deflate_level(granted: bool, requested: int, maximum: int) -> int:
    """The level in effect (nsqd-tcp section 7.2).

    A request counts only if deflate is granted and it is above 0; ``maximum`` always counts.
    """
    level = requested if granted and requested > 0 else DEFAULT_DEFLATE_LEVEL
    return min(level, maximum)


@attrs.define
class Negotiated:
    """The answer to an IDENTIFY that negotiates; the fields stand in the order of the answer.

    Times are in milliseconds, sizes in bytes; values are those in effect for the connection. The
    topology is the server's own (nsqd-tcp section 7.3). By default it is what holds with an nsqd
    that says nothing of it.
    """

    max_rdy_count: int = 2500
    version: str = ""
    max_msg_timeout: int = 900_000
    msg_timeout: int = 60_000
    tls_v1: bool = False
    deflate: bool = False
    deflate_level: int = DEFAULT_DEFLATE_LEVEL
    max_deflate_level: int = 6
    snappy: bool = False
    sample_rate: int = 0
    auth_required: bool = False
    output_buffer_size: int = 16384
    output_buffer_timeout: int = 250
    topology_region: str = ""
    topology_zone: str = ""


def negotiation_response(negotiated: Negotiated) -> bytes:
    """The data of the response frame, JSON.

    :raises ProtocolError: ``E_IDENTIFY_FAILED``, both compressions would be on.
    """
    if negotiated.deflate and negotiated.snappy:
        raise ProtocolError(
            "E_IDENTIFY_FAILED", "cannot enable both deflate and snappy compression"
        )
    return gojson.encode(attrs.asdict(negotiated))
