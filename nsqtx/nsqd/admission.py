"""What one client may do, where nsqd has auth servers (nsqd-tcp section 8).

A check is passed, or raises what to answer, or raises `Later`: an auth server is being asked.
Then the session does nothing more of what the client sent until the answer is there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs
from twisted.logger import Logger
from twisted.python.failure import Failure

from nsqtx.nsqd.auth import PUBLISH, SUBSCRIBE, AuthError, AuthState
from nsqtx.nsqd.authendpoints import AuthEndpoints, load_authorities
from nsqtx.nsqd.authservers import AuthServers, Client
from nsqtx.nsqd.later import Later
from nsqtx.nsqd.options import NsqdOptions
from nsqtx.wire import frames, gojson
from nsqtx.wire.errors import ProtocolError, quote

if TYPE_CHECKING:
    from nsqtx.nsqd.session import Session

__all__ = ["Admission", "admission_by"]

log = Logger(namespace="nsqd.tcp")

_NANO = 1e9


def admission_by(options: NsqdOptions, reactor: Any) -> Callable[[], Admission]:
    """What makes the `Admission` of a new session, by the auth servers that the options name.

    :raises ValueError: ``--tls-root-ca-file`` cannot be used.
    """
    endpoints = AuthEndpoints(
        reactor,
        options.http_client_connect_timeout / _NANO,
        load_authorities(options.tls_root_ca_file),
        options.tls_min_version,
    )
    servers = AuthServers(
        options.auth_http_address,
        options.auth_http_request_method,
        endpoints,
        reactor,
        options.http_client_request_timeout / _NANO,
    )
    return lambda: Admission(servers)


@attrs.define(eq=False)
class Admission:
    """One client's secret, and what the auth servers last said of it.

    Its session is handed in: they would be a cycle if it was kept here.
    """

    servers: AuthServers
    state: AuthState | None = None
    _secret: bytes = attrs.field(default=b"", repr=False)
    #: When to ask again.
    _expires: float = 0.0
    #: The topics that may be published to until then.
    _topics: set[str] = attrs.Factory(set)

    def authenticate(self, session: Session, secret: bytes) -> None:
        """AUTH.

        :raises ProtocolError: the client has done that already.
        :raises Later: always else.
        """
        if self.state is not None:
            raise ProtocolError("E_INVALID", "AUTH already set")
        self._secret = secret
        raise self._ask(session, self._introduce, again=False)

    def check_publish(self, session: Session, word: str, topic: str) -> None:
        """PUB, MPUB or DPUB; see `_check`. What was allowed once is known until it expires."""
        if topic not in self._topics or self._expired(session):
            self._check(session, word, PUBLISH, topic)
            self._topics.add(topic)

    def check_subscribe(self, session: Session, topic: str, channel: str) -> None:
        """SUB; see `_check`."""
        self._check(session, "SUB", SUBSCRIBE, topic, channel)

    def stats(self) -> dict[str, Any]:
        """What ``/stats`` shows of it (nsqd-http section 8.1); what is empty is not shown."""
        state = self.state
        if state is None:
            return {}
        shown = {
            "authed": bool(state.authorizations),
            "auth_identity": state.identity,
            "auth_identity_url": state.identity_url,
        }
        return {key: value for key, value in shown.items() if value}

    def _check(
        self, session: Session, word: str, permission: str, topic: str, channel: str = ""
    ) -> None:
        """Section 8.3.

        :raises ProtocolError: the client may not do that.
        :raises Later: what it may do has to be asked again.
        """
        state = self.state
        if state is None:
            raise ProtocolError("E_AUTH_FIRST", f"AUTH required before {word}")
        if self._expired(session):
            raise self._ask(session, lambda _: None, again=True)
        if not state.allows(permission, topic.encode(), channel.encode()):
            what = f"AUTH failed for {word} on {quote(topic)} {quote(channel)}"
            raise ProtocolError("E_UNAUTHORIZED", what)

    def _expired(self, session: Session) -> bool:
        return session.node.clock.seconds() > self._expires

    def _ask(self, session: Session, then: Callable[[Session], None], again: bool) -> Later:
        """Ask an auth server, take over what it says, and do ``then``."""
        client = Client(self._secret, session.host, session.tls, session.common_name)
        asked = self.servers.ask(client)
        ready = asked.addCallbacks(
            self._learn, _failed, callbackArgs=(session, then), errbackArgs=(session,)
        )
        return Later(ready, again)

    def _learn(self, state: AuthState, session: Session, then: Callable[[Session], None]) -> None:
        self.state = state
        self._expires = session.node.clock.seconds() + state.ttl
        self._topics.clear()
        then(session)

    def _introduce(self, session: Session) -> None:
        """Answer an AUTH. That cannot fail, so there is no E_AUTH_ERROR."""
        state = self.state
        assert state is not None
        if not state.authorizations:
            raise ProtocolError("E_UNAUTHORIZED", "AUTH no authorizations found")
        log.info("[{address}] AUTH: {who}", address=session.address, who=state.identity)
        answer = {
            "identity": state.identity,
            "identity_url": state.identity_url,
            "permission_count": len(state.authorizations),
        }
        session.reply(frames.response(gojson.encode(answer)))


def _failed(failure: Failure, session: Session) -> Failure:
    if not isinstance(failure.value, AuthError):
        return failure
    address = session.address
    log.error("[{address}] - AUTH failed: {error}", address=address, error=failure.value)
    raise ProtocolError("E_AUTH_FAILED", "AUTH failed")
