"""What a client asks nsqlookupd with, by its settings."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.client import Agent
from twisted.web.iweb import IAgent

from nsqtx.client.config import ClientConfig
from nsqtx.client.errors import ConfigError
from nsqtx.cluster.lookupd import LookupdClient
from nsqtx.cluster.producers import Lookup

__all__ = ["Nodes", "lookupd_agent", "lookupd_client"]


def lookupd_agent(reactor: Any, config: ClientConfig) -> IAgent:
    """What makes the requests, unless the program has its own."""
    return Agent(reactor, connectTimeout=config.lookupd_poll_timeout)


def lookupd_client(
    address: str, agent: IAgent, reactor: Any, config: ClientConfig
) -> LookupdClient:
    """A client of the nsqlookupd at this address.

    :raises ConfigError: it is no address, or there is no secret where one is to be sent.
    """
    token = _token(config)
    try:
        return LookupdClient(
            address, agent, reactor, timeout=config.lookupd_poll_timeout, token=token
        )
    except ValueError as error:
        raise ConfigError(f"{address!r} is no address of a nsqlookupd: {error}") from None


def _token(config: ClientConfig) -> str:
    if not config.lookupd_authorization:
        return ""
    secret = config.auth_secret
    if isinstance(secret, bytes):
        return secret.decode()
    if isinstance(secret, str):
        return secret
    raise ConfigError("lookupd_authorization needs an auth_secret that is text")


class Nodes:
    """Asks for every nsqd there is, whatever topics it has: where a Writer can publish."""

    def __init__(self, lookupd: LookupdClient) -> None:
        self._lookupd = lookupd

    def lookup(self, topic: str, wait: float = 0.0, index: int | None = None) -> Deferred[Lookup]:
        """All nsqd; nobody can wait for news of them."""
        return self._lookupd.nodes().addCallback(lambda nodes: Lookup(producers=list(nodes)))
