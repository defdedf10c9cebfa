"""A request to nsqd, and its connection, are freed without the garbage collector."""

from __future__ import annotations

import pytest

from tests.support.garbage import left_to_collector
from tests.support.http import Connection, request_bytes
from tests.support.nsqdapi import Nsqd, TurningNsqd

REQUESTS = {
    "GET of a route": [request_bytes("GET", "/ping")],
    "two on one connection": [request_bytes("GET", "/ping"), request_bytes("GET", "/ping")],
    "a query": [request_bytes("GET", "/stats?format=json&topic=t")],
    "figures": [request_bytes("GET", "/metrics")],
    "POST": [request_bytes("POST", "/topic/create?topic=t", b"")],
    "HEAD": [request_bytes("HEAD", "/ping")],
    "a token": [request_bytes("POST", "/topic/create", b"")],
    "no route": [request_bytes("GET", "/nowhere")],
    "no such method": [request_bytes("GET", "/pub")],
    "a redirect": [request_bytes("GET", "//ping")],
    "HTTP/1.0": [request_bytes("GET", "/ping", version="HTTP/1.0")],
    "no HTTP": [b"what\r\n\r\n"],
    "a part of a head": [b"GET /ping HT"],
    "lane": [request_bytes("POST", "/pub?topic=t", b"body")],
    "lane, chunked": [request_bytes("POST", "/pub?topic=t", chunks=[b"bo", b"dy"])],
    "lane, half a body": [request_bytes("POST", "/pub?topic=t", b"body")[:-2]],
    "lane, chunks that do not end": [request_bytes("POST", "/pub?topic=t", chunks=[b"bo"])[:-5]],
    "lane, no chunks": [request_bytes("POST", "/pub?topic=t", chunks=[])[:-5] + b"what\r\n"],
    "lane, refused": [request_bytes("POST", "/pub?topic=t!", b"body")],
    "past the lane": [request_bytes("POST", "/pub?topic=t", b"body", {"Expect": "what"})],
    "a body that is too long": [request_bytes("POST", "/mpub?topic=t", b"x" * 6_000_000)],
}


@pytest.mark.parametrize("kind", [Nsqd, TurningNsqd])
@pytest.mark.parametrize("what", REQUESTS)
def test_a_request(what: str, kind: type[Nsqd]) -> None:
    """To a route or in the lane, whatever is answered, and when."""
    nsqd = kind()
    topic = nsqd.node.broker.get_topic("t")

    def come_and_go() -> None:
        connection = Connection(nsqd.site)
        for request in REQUESTS[what]:
            connection.send(request)
        connection.lost()
        nsqd.end_turn()
        topic.empty()
        nsqd.log("t").batches.clear()

    assert left_to_collector(come_and_go) == {}
