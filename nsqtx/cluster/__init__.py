"""Asking daemons over HTTP, one at a time.

`LookupdClient` asks one nsqlookupd. It is made of an address, an `IAgent` and an `IReactorTime`;
each method checks names here, makes one request and answers with a Deferred of a typed result::

    lookupd = LookupdClient("localhost:4161", Agent(reactor), reactor)
    lookup = await lookupd.lookup("orders")
    for producer in lookup.producers:
        print(producer.tcp_address)

What goes wrong is one exception, `ApiError`, with the status of HTTP and NSQ's code: an unknown
topic has ``code == "TOPIC_NOT_FOUND"``, and where nobody answered ``answered`` is false. A request
has a limit of time for all of it, an answer one of size. Daemons before version 1.0 of the API
answer in another form, which is understood as well; keys that are not known are passed over.

What connections are like, how long one may take to be made and whom to trust with TLS, is the
agent's business: give `twisted.web.client.Agent` a context factory for that, and a pool to keep
connections open.

`nsqtx.cluster.http` makes the requests, with limits, and follows a daemon that says it only speaks
HTTPS; `nsqtx.cluster.reading` makes objects of answers; `nsqtx.cluster.urls` knows the forms in
which people write addresses.
"""

from nsqtx.cluster.errors import ApiError
from nsqtx.cluster.lookupd import LookupdClient
from nsqtx.cluster.producers import Info, Lookup, NodeEntry, Producer

__all__ = ["ApiError", "Info", "Lookup", "LookupdClient", "NodeEntry", "Producer"]
