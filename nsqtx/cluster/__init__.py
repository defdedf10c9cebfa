"""Asking daemons over HTTP, and many of them as if they were one.

`NsqdClient` asks one nsqd, `LookupdClient` one nsqlookupd. Both are made of an address, an `IAgent`
and an `IReactorTime`; each method checks names here, makes one request and answers with a Deferred
of a typed result::

    agent = Agent(reactor)
    lookup = await LookupdClient("localhost:4161", agent, reactor).lookup("orders")
    for producer in lookup.producers:
        stats = await NsqdClient(producer.http_address, agent, reactor).stats("orders")

What goes wrong is one exception, `ApiError`, with the status of HTTP and NSQ's code: an unknown
topic has ``code == "TOPIC_NOT_FOUND"``, and where nobody answered ``answered`` is false. A request
has a limit of time for all of it, an answer one of size. Daemons before version 1.0 of the API
answer in another form, which is understood as well; keys that are not known are passed over, and a
list that is ``null`` is empty.

What connections are like, how long one may take to be made and whom to trust with TLS, is the
agent's business: give `twisted.web.client.Agent` a context factory for that, and a pool to keep
connections open. A daemon that answers ``TLS_REQUIRED`` is asked again at the port it names.

`ClusterView` looks at all daemons as one: it asks those it has to ask, a limited number at a time,
and adds up what they say. `ClusterActions` changes something on all of them. Both answer with
`Gathered`: a value, and warnings about who did not answer or refused; only where nobody answers it
is a `ClusterError`. ::

    view = ClusterView(agent, reactor, ["localhost:4161"], [])
    found = await view.topic("orders")
    print(found.value.depth, [each.depth for each in found.value.nodes], found.message)

What is added up how, is in `nsqtx.cluster.merging` and `nsqtx.cluster.nodes`, which ask nobody.

`nsqtx.cluster.http` makes the requests; `nsqtx.cluster.reading` makes objects of answers, of the
classes in `nsqtx.cluster.producers`, `nsqtx.cluster.stats` and `nsqtx.cluster.peeked`;
`nsqtx.cluster.urls` knows the forms in which people write addresses.
"""

from nsqtx.cluster.actions import ClusterActions
from nsqtx.cluster.errors import ApiError
from nsqtx.cluster.gathering import ClusterError, Gathered
from nsqtx.cluster.lookupd import LookupdClient
from nsqtx.cluster.nodes import Node
from nsqtx.cluster.nsqd import NsqdClient
from nsqtx.cluster.peeked import AttemptLimit, PeekedMessage
from nsqtx.cluster.producers import Info, Lookup, NodeEntry, Producer
from nsqtx.cluster.stats import ChannelStats, ClientStats, Stats, TopicStats
from nsqtx.cluster.view import ClusterView, NoSuch, Overview

__all__ = [
    "ApiError",
    "AttemptLimit",
    "ChannelStats",
    "ClientStats",
    "ClusterActions",
    "ClusterError",
    "ClusterView",
    "Gathered",
    "Info",
    "Lookup",
    "LookupdClient",
    "NoSuch",
    "Node",
    "NodeEntry",
    "NsqdClient",
    "Overview",
    "PeekedMessage",
    "Producer",
    "Stats",
    "TopicStats",
]
