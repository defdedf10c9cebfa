"""Open pages of nsqadmin: news for all of them from one poller."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.adminpages import Admin, Browser
from tests.support.http import Connection, request_bytes

NewAdmin = Callable[..., Admin]


def look(admin: Admin) -> Connection:
    """A browser that has a page open."""
    connection = Connection(admin.site)
    connection.send(request_bytes("GET", "/events"))
    return connection


def test_news_after_each_poll(new_admin: NewAdmin) -> None:
    """At once, then as often as the cluster is asked; and a sign of life in between."""
    admin = new_admin()
    connection = look(admin)
    first = connection.sent_by_server()
    assert b"Content-Type: text/event-stream" in first
    assert b"Cache-Control: no-store" in first
    assert b"retry: 5000\nevent: news\ndata: 1\n\n" in first
    admin.clock.advance(5)
    assert b"event: news\ndata: 2\n\n" in connection.sent_by_server()
    admin.clock.pump([5, 5])
    assert b":\n\n" in connection.sent_by_server()
    connection.lost()
    assert len(admin.streams) == 0


def test_many_browsers_cost_the_nodes_as_much_as_one(new_admin: NewAdmin) -> None:
    """Twenty that look at a channel, and renew it at each news, against one."""
    costs = []
    for count in (1, 20):
        admin = new_admin(max_browsers=20)
        open_pages = [look(admin) for _ in range(count)]
        browsers = [Browser(admin) for _ in range(count)]
        admin.cluster.asked.clear()
        for _ in range(10):
            admin.clock.advance(5)
            for each in open_pages:
                assert b"news" in each.sent_by_server()
            for browser in browsers:
                assert browser.get("/topics/orders/billing").status == 200
                assert browser.get("/").status == 200
        costs.append(list(admin.cluster.asked))
        for each in open_pages:
            each.lost()
    assert costs[0] == costs[1]
    assert len(costs[0]) == 20


def test_there_is_a_limit(new_admin: NewAdmin) -> None:
    """One browser too many is told to come later; it can still look."""
    admin = new_admin(max_browsers=2)
    first, second = look(admin), look(admin)
    answer = Browser(admin).get("/events")
    assert (answer.status, answer.text) == (503, '{"message":"TOO_MANY_BROWSERS"}')
    assert answer.headers["retry-after"] == "30"
    assert Browser(admin).get("/").status == 200
    first.lost()
    third = look(admin)
    assert b"news" in third.sent_by_server()
    second.lost()
    third.lost()


def test_who_does_not_read_is_let_go(new_admin: NewAdmin) -> None:
    """Nothing piles up for a browser that is stuck, and after a minute it is gone."""
    admin = new_admin()
    connection = look(admin)
    connection.sent_by_server()
    producer = connection.transport.producer
    assert producer is not None
    producer.pauseProducing()
    for _ in range(11):
        admin.clock.advance(5)
    assert connection.sent_by_server() == b""
    assert not connection.closed
    producer.resumeProducing()
    admin.clock.advance(5)
    assert b"news" in connection.sent_by_server()
    producer.pauseProducing()
    for _ in range(14):
        admin.clock.advance(5)
    assert connection.closed
    connection.lost()


def test_a_stop_ends_all(new_admin: NewAdmin) -> None:
    """The browsers are told, and no timer is left."""
    admin = new_admin()
    connection = look(admin)
    admin.stop()
    assert connection.sent_by_server().endswith(b"0\r\n\r\n")
    assert admin.clock.getDelayedCalls() == []
    connection.lost()
