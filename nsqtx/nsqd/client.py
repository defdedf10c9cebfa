"""What nsqd knows of a client: what it negotiated, and how ``/stats`` shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from twisted.logger import Logger

from nsqtx.broker.locality import Place, locality
from nsqtx.nsqd.options import NsqdOptions
from nsqtx.nsqd.upgrade import grant
from nsqtx.version import NSQ_VERSION
from nsqtx.wire.identify import (
    Negotiated,
    check,
    negotiation_response,
    parse_identify,
)
from nsqtx.wire.limits import Limits

if TYPE_CHECKING:
    from nsqtx.nsqd.session import Session

__all__ = ["CLOSING", "INIT", "SUBSCRIBED", "client_stats", "identify", "wire_limits"]

log = Logger(namespace="nsqd.tcp")

#: States of a session, with the numbers that ``/stats`` shows (nsqd-tcp section 4).
INIT, SUBSCRIBED, CLOSING = 0, 3, 4

_MS = 1_000_000


def wire_limits(options: NsqdOptions) -> Limits:
    """The options that limit what a client may ask for, in the units of the wire."""
    return Limits(
        max_msg_size=options.max_msg_size,
        max_body_size=options.max_body_size,
        max_rdy_count=options.max_rdy_count,
        max_req_timeout=options.max_req_timeout // _MS,
        max_msg_timeout=options.max_msg_timeout // _MS,
        max_heartbeat_interval=options.max_heartbeat_interval // _MS,
        max_output_buffer_size=options.max_output_buffer_size,
        min_output_buffer_timeout=options.min_output_buffer_timeout // _MS,
        max_output_buffer_timeout=options.max_output_buffer_timeout // _MS,
        max_deflate_level=options.max_deflate_level,
    )


def identify(session: Session, body: bytes) -> bytes:
    """Take over what an IDENTIFY says; the data of the answer (nsqd-tcp section 7).

    :raises ProtocolError: the body is not valid, or asks for what cannot be.
    """
    identity = parse_identify(body)
    log.info(
        "[{address}] IDENTIFY: {who.client_id} {who.hostname} {who.user_agent}",
        address=session.address,
        who=identity,
    )
    options = session.node.options
    check(identity, session.parser.limits)
    session.identity = identity
    if not session.identified:
        session.settings.apply(identity)
        session.delivery = attrs.evolve(session.settings)
        session.identified = True
        if options.topology_aware:
            session.locality = locality(
                Place(options.topology_zone, options.topology_region),
                Place(identity.topology_zone, identity.topology_region),
            )
    else:
        session.settings.apply(identity)
    if not identity.feature_negotiation:
        return b"OK"
    settings = session.settings
    granted = grant(session, identity)
    response = negotiation_response(
        Negotiated(
            max_rdy_count=options.max_rdy_count,
            version=NSQ_VERSION,
            max_msg_timeout=options.max_msg_timeout // _MS,
            msg_timeout=settings.msg_timeout,
            tls_v1=granted.tls,
            deflate=granted.deflate,
            deflate_level=granted.level,
            max_deflate_level=options.max_deflate_level,
            snappy=granted.snappy,
            sample_rate=settings.sample_rate,
            auth_required=session.admission is not None,
            output_buffer_size=settings.output_buffer_size,
            output_buffer_timeout=settings.output_buffer_timeout,
            topology_region=options.topology_region,
            topology_zone=options.topology_zone,
        )
    )
    if granted.adds_to(session.layering):
        session.upgrade = granted
    return response


def client_stats(session: Session, topic: str) -> dict[str, Any]:
    """A client in ``/stats``, keys in the order of nsqd-http section 8.1.

    ``pub_counts`` has the count of ``topic`` if that is given, else of any one topic.
    """
    identity, subscription, layering = session.identity, session.subscription, session.layering
    counters = {
        "ready_count": 0,
        "in_flight_count": 0,
        "message_count": 0,
        "finish_count": 0,
        "requeue_count": 0,
    }
    if subscription is not None:
        counters = subscription.stats()
    published = session.published
    if topic:
        published = {topic: published[topic]} if topic in published else {}
    auth = session.admission.stats() if session.admission is not None else {}
    counts = [{"topic": name, "count": count} for name, count in list(published.items())[:1]]
    return {
        "client_id": identity.client_id,
        "hostname": identity.hostname,
        "version": "V2",
        "remote_address": session.address,
        "state": session.state,
        **counters,
        "connect_ts": int(session.connect_time),
        "sample_rate": session.settings.sample_rate,
        "deflate": layering.deflate,
        "snappy": layering.snappy,
        "user_agent": identity.user_agent,
        **auth,
        "topology_zone": identity.topology_zone,
        "topology_region": identity.topology_region,
        **({"pub_counts": counts} if counts else {}),
        "tls": layering.tls,
        "tls_cipher_suite": layering.tls_cipher_suite,
        "tls_version": layering.tls_version,
        # There is no ALPN. Go calls that mutual.
        "tls_negotiated_protocol": "",
        "tls_negotiated_protocol_is_mutual": layering.tls,
    }
