"""How nsqadmin connects to nsqlookupd, nsqd, graphite and who is notified."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IPolicyForHTTPS, IResponse
from zope.interface import implementer

from nsqtx.clienttls import ClientTls
from nsqtx.nsqadmin.options import NsqadminOptions

__all__ = ["AdminAgent", "client_tls"]


def client_tls(options: NsqadminOptions) -> ClientTls:
    """What the options say of TLS."""
    return ClientTls(
        cert=options.http_client_tls_cert,
        key=options.http_client_tls_key,
        root_ca=options.http_client_tls_root_ca_file,
        skip_verify=options.http_client_tls_insecure_skip_verify,
    )


@implementer(IPolicyForHTTPS)
@attrs.frozen
class _Policy:
    tls: ClientTls

    def creatorForNetloc(self, hostname: bytes, port: int) -> Any:
        return self.tls.options(hostname.decode("ascii"))


@implementer(IAgent)
class AdminAgent:
    """Keeps connections open for what only asks; what changes something gets a fresh one.

    A connection that the other side is just closing costs a GET a second try, which is made by
    itself; a POST may not be tried again.
    """

    def __init__(self, reactor: Any, options: NsqadminOptions) -> None:
        self._pool = HTTPConnectionPool(reactor)
        timeout = options.http_client_connect_timeout / 1e9
        policy = _Policy(client_tls(options))
        self._asking = Agent(reactor, policy, timeout, pool=self._pool)
        self._telling = Agent(reactor, policy, timeout)

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        agent = self._asking if method == b"GET" else self._telling
        return agent.request(method, uri, headers, bodyProducer)

    def stop(self) -> Deferred[Any]:
        """Close what is kept open."""
        closing: Deferred[Any] = self._pool.closeCachedConnections()
        return closing
