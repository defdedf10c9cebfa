"""All nsqlookupds of one nsqd: who is told, and who is asked about a new topic.

Facts: nsqd-engine sections 10.1 and 10.4. A topic that is made here may have channels on other
nodes already. Before its first message is released the nsqlookupds are asked for them, so that no
channel misses it; the wait is bounded, publishing goes on meanwhile, and nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any
from urllib.parse import quote_plus

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import Agent

from nsqtx.broker.channel import Channel
from nsqtx.broker.errors import BrokerError
from nsqtx.broker.topic import Topic
from nsqtx.cluster.errors import ApiError
from nsqtx.cluster.http import ApiClient
from nsqtx.interfaces import StorageError
from nsqtx.listen import address_text, split_address
from nsqtx.nsqd.lookup_peer import LookupPeer, registration
from nsqtx.nsqd.node import Node
from nsqtx.version import NSQ_VERSION
from nsqtx.wire.names import is_ephemeral, valid_name

__all__ = ["Lookups", "make_lookups"]

log = Logger(namespace="nsqd.lookup")

#: How long a connection may take to be made (seconds; nsqd-engine 10.1).
CONNECT_TIMEOUT = 1.0

_WORDS = {"made": "REGISTER", "gone": "UNREGISTER"}


class Lookups:
    """The nsqlookupds that ``--lookupd-tcp-address`` or ``/config`` name.

    ``endpoint(address)`` is where to connect; it raises ValueError for what is no address.
    ``ask(url)`` asks one for the channels of a topic and answers with their names, or fails.
    """

    def __init__(
        self,
        node: Node,
        clock: IReactorTime,
        endpoint: Callable[[str], IStreamClientEndpoint],
        ask: Callable[[str], Deferred[list[str]]],
        random: Random,
    ) -> None:
        self.peers: dict[str, LookupPeer] = {}
        self._node = node
        self._clock = clock
        self._endpoint = endpoint
        self._ask = ask
        self._random = random
        self._learning: dict[Deferred[None], None] = {}
        self._left = False

    def set_addresses(self, addresses: Iterable[str]) -> None:
        """Be connected to these, and to no others."""
        wanted = [] if self._left else list(dict.fromkeys(addresses))
        for address in [each for each in self.peers if each not in wanted]:
            log.info("LOOKUP({address}): removing peer", address=address)
            self._stop(self.peers.pop(address))
        for address in wanted:
            if address not in self.peers:
                self._add(address)
        # A topic that is made from now on waits for what they know of it.
        self._node.broker.autostart = not self.peers

    def _add(self, address: str) -> None:
        try:
            endpoint = self._endpoint(address)
        except ValueError as error:
            log.error("LOOKUP({address}): {error}", address=address, error=error)
            return
        peer = self.peers[address] = LookupPeer(
            address,
            endpoint,
            self._clock,
            self._identity,
            self._registrations,
            self._node.options.max_body_size,
            self._random,
        )
        peer.start()

    def _stop(self, peer: LookupPeer) -> Deferred[Any]:
        return peer.stop().addErrback(lambda failure: log.failure("LOOKUP: stop", failure))

    def leave(self) -> Deferred[Any]:
        """Be known to nobody any more; for good."""
        self._left = True
        log.info("LOOKUP: closing")
        for learning in list(self._learning):
            learning.cancel()
        peers, self.peers = self.peers, {}
        self._node.broker.autostart = True
        return DeferredList([self._stop(peer) for peer in peers.values()])

    def _identity(self) -> dict[str, Any]:
        """The data of IDENTIFY, keys in the order that the original sends them in."""
        options = self._node.options
        return {
            "broadcast_address": options.broadcast_address,
            "hostname": self._node.hostname,
            "http_port": options.broadcast_http_port,
            "tcp_port": options.broadcast_tcp_port,
            "topology_region": options.topology_region,
            "topology_zone": options.topology_zone,
            "version": NSQ_VERSION,
        }

    def _registrations(self) -> Iterator[tuple[str, str]]:
        """Topics and channels of now; a topic with channels is registered through them."""
        for topic in self._node.broker.topics.values():
            if topic.channels:
                for channel in topic.channels:
                    yield topic.name, channel
            else:
                yield topic.name, ""

    # What happens in the broker.

    def changed(self, kind: str, topic: Topic, channel: Channel | None) -> None:
        """See `nsqtx.broker.broker.Broker.on_change`."""
        what, event = kind.split()
        line = registration(_WORDS[event], topic.name, channel.name if channel is not None else "")
        for peer in self.peers.values():
            peer.tell(what, line)
        if kind == "topic made" and not topic.started:
            self._learn(topic)

    def _learn(self, topic: Topic) -> None:
        """Find the channels that a new topic has elsewhere, then let its messages go."""
        learning = Deferred.fromCoroutine(self._learnt(topic))
        self._learning[learning] = None
        learning.addErrback(lambda failure: failure.trap(CancelledError))
        learning.addErrback(lambda failure: log.failure("topic from nsqlookupd", failure))
        learning.addBoth(lambda _: self._learning.pop(learning, None))

    async def _learnt(self, topic: Topic) -> None:
        try:
            names = await self._channels_of(topic.name)
            if topic.exiting:
                return
            for name in names:
                topic.get_channel(name)
        except (BrokerError, StorageError) as error:
            log.error("TOPIC({topic}): {error}", topic=topic.name, error=error)
        finally:
            if not topic.exiting:
                topic.start()

    async def _channels_of(self, topic: str) -> list[str]:
        """The channels that the nsqlookupds know, but for those that only live while they are used
        (``#ephemeral``)."""
        await DeferredList([p.settled() for p in self.peers.values()], consumeErrors=True)
        if self._left:
            return []
        known = [p.info for p in self.peers.values() if p.info and p.info.broadcast_address]
        if not known:
            log.error(
                "no available nsqlookupd to query for channels to pre-create for topic {topic}",
                topic=topic,
            )
            return []
        asked = []
        for info in known:
            place = address_text(info.broadcast_address, info.http_port)
            url = f"http://{place}/channels?topic={quote_plus(topic)}"
            log.info("CI: querying nsqlookupd {url}", url=url)
            asked.append(self._ask(url))
        answers: list[tuple[bool, Any]] = await DeferredList(asked, consumeErrors=True)
        none = not any(answered for answered, _ in answers)
        names: set[str] = set()
        for answered, value in answers:
            if answered:
                names.update(value)
            else:
                self._not_answered(topic, value, none)
        return sorted(name for name in names if valid_name(name) and not is_ephemeral(name))

    def _not_answered(self, topic: str, failure: Failure, none: bool) -> None:
        log.warn(
            "failed to query nsqlookupd for channels to pre-create for topic {topic} - "
            "{which}{reason}",
            topic=topic,
            which="failed to query any nsqlookupd: " if none else "",
            reason=failure.getErrorMessage(),
        )


def make_lookups(node: Node, reactor: Any, random: Random) -> Lookups:
    """The nsqlookupds of a node, over the network."""
    options = node.options
    agent = Agent(reactor, connectTimeout=options.http_client_connect_timeout / 1e9)
    client = ApiClient(agent, reactor, options.http_client_request_timeout / 1e9)

    def endpoint(address: str) -> IStreamClientEndpoint:
        pair = split_address(address)
        if pair is None or not pair[1].isdigit() or not 0 < int(pair[1]) < 65536:
            raise ValueError(f"{address!r} is not host:port")
        return HostnameEndpoint(reactor, pair[0] or "localhost", int(pair[1]), CONNECT_TIMEOUT)

    async def ask(url: str) -> list[str]:
        answer = await client.get_json(url)
        channels = answer.get("channels") if isinstance(answer, dict) else None
        if not isinstance(channels, list) or not all(isinstance(each, str) for each in channels):
            raise ApiError(f"{url}: answered no list of channels")
        return channels

    return Lookups(node, reactor, endpoint, lambda url: Deferred.fromCoroutine(ask(url)), random)
