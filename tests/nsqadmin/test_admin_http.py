"""Paths, the base path, what can be changed while it runs, and from where (nsqadmin 3 and 8.3)."""

from __future__ import annotations

import pytest

from nsqtx.nsqadmin.options import normal_base_path
from tests.support.adminapi import AdminOf
from tests.support.clusternet import Cluster


@pytest.fixture
def admin() -> AdminOf:
    """One without a base path."""
    return AdminOf(Cluster("t/c"))


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("", "/"),
        ("/", "/"),
        ("adm", "/adm"),
        ("/adm/", "/adm"),
        ("//a//b/", "/a/b"),
        ("/a/../b", "/b"),
        ("/../..", "/"),
        ("/a/./b", "/a/b"),
    ],
)
def test_normal_base_path(given: str, normal: str) -> None:
    """One slash before it, none behind it, no way round in it."""
    assert normal_base_path(given) == normal


@pytest.mark.parametrize("base", ["/adm", "/a/b"])
def test_base_path(base: str) -> None:
    """Everything is under it, and nothing beside it."""
    admin = AdminOf(Cluster("t/c"), base_path=base)
    assert admin.get(f"{base}/ping").body == b"OK"
    assert admin.get(f"{base}/api/topics").json["topics"] == ["t"]
    assert admin.get(f"{base}/api/topics/t").json["topic_name"] == "t"
    assert admin.get(f"{base}/config/base_path").body == base.encode()
    for path in ("/ping", "/api/topics", f"{base}x/ping", f"{base}/nope", "/"):
        answer = admin.get(path)
        assert (answer.status, answer.message) == (404, "NOT_FOUND"), path
    for path, target in ((f"{base}/", base), (f"{base}/PING", f"{base}/ping")):
        answer = admin.get(path)
        assert (answer.status, answer.header("Location")) == (301, target)
    answer = admin.ask("DELETE", f"{base}/ping")
    assert (answer.status, answer.header("Allow")) == (405, "GET, OPTIONS")
    assert admin.ask("OPTIONS", f"{base}/api/topics").header("Allow") == "GET, OPTIONS, POST"


@pytest.mark.parametrize("base", ["", "/adm"])
def test_the_api_is_described_where_it_is(base: str) -> None:
    """The server of the document is the place of the document; paths are those below it."""
    admin = AdminOf(Cluster("t/c"), base_path=base)
    found = admin.get(f"{base}/openapi.json").json
    (server,) = found["servers"]
    assert server["url"] == "./"
    assert {"/ping", "/api/topics", "/api/nodes/{node}"} <= set(found["paths"])


def test_config_shows_options(admin: AdminOf) -> None:
    """Text as it is, anything else as JSON; durations in ns, levels as numbers."""
    expected = {
        "log_level": b"2",
        "log_prefix": b"[nsqadmin] ",
        "base_path": b"/",
        "dev_static_dir": b"",
        "proxy_graphite": b"false",
        "statsd_interval": b"60000000000",
        "nsqlookupd_http_addresses": b'["l1:4161"]',
        "nsqd_http_addresses": b"[]",
        "admin_users": b"[]",
    }
    for name, body in expected.items():
        answer = admin.get(f"/config/{name}")
        assert (answer.status, answer.body) == (200, body), name
    for name in ("config", "version", "verbose", "lookupd_http_address", "nope"):
        answer = admin.get(f"/config/{name}")
        assert (answer.status, answer.message) == (400, "INVALID_OPTION")


@pytest.mark.parametrize(
    ("option", "body", "status", "answer"),
    [
        ("log_level", b"debug", 200, b"1"),
        ("log_level", b"ERROR", 200, b"4"),
        ("log_level", b"warning", 400, b'{"message":"INVALID_VALUE"}'),
        ("log_level", b'"info"', 400, b'{"message":"INVALID_VALUE"}'),
        ("log_level", b"", 413, b'{"message":"INVALID_VALUE"}'),
        ("log_level", b"x" * (1024 * 1024 + 1), 413, b'{"message":"INVALID_VALUE"}'),
        ("nsqlookupd_http_addresses", b'["a:1","b:2"]', 200, b'["a:1","b:2"]'),
        ("nsqlookupd_http_addresses", b"[]", 200, b"[]"),
        ("nsqlookupd_http_addresses", b"null", 200, b"null"),
        ("nsqlookupd_http_addresses", b"[1]", 400, b'{"message":"INVALID_VALUE"}'),
        ("nsqlookupd_http_addresses", b'"x"', 400, b'{"message":"INVALID_VALUE"}'),
        ("nsqlookupd_http_addresses", b"x", 400, b'{"message":"INVALID_VALUE"}'),
        ("admin_users", b'["x"]', 400, b'{"message":"INVALID_OPTION"}'),
        ("nope", b"x", 400, b'{"message":"INVALID_OPTION"}'),
    ],
)
def test_config_changes(
    admin: AdminOf, option: str, body: bytes, status: int, answer: bytes
) -> None:
    """Two of them; the answer is the new value (nsqadmin section 8.3)."""
    found = admin.ask("PUT", f"/config/{option}", body)
    assert (found.status, found.body) == (status, answer)


def test_a_change_counts(admin: AdminOf) -> None:
    """Other nsqlookupd are asked from then on; without any, the nsqd of the list, if there are."""
    admin.ask("PUT", "/config/log_level", b"error")
    assert admin.levels == ["error"]
    admin.ask("PUT", "/config/nsqlookupd_http_addresses", b'["other:1"]')
    assert "http://other:1/topics" in admin.get("/api/topics").message
    admin.ask("PUT", "/config/nsqlookupd_http_addresses", b"null")
    assert admin.get("/api/topics").message == "UPSTREAM_ERROR: failed to query any nsqd: "


@pytest.mark.parametrize(
    ("network", "status"),
    [
        ("127.0.0.1/8", 200),
        ("127.0.0.1/32", 200),
        ("", 200),
        ("10.0.0.0/8", 403),
        ("::1/128", 403),
        ("0.0.0.0/0", 200),
    ],
)
def test_config_from_elsewhere(network: str, status: int) -> None:
    """Only from that network, to see and to change."""
    admin = AdminOf(Cluster("t"), allow_config_from_cidr=network)
    assert admin.get("/config/log_level").status == status
    assert admin.ask("PUT", "/config/log_level", b"info").status == status


def test_methods(admin: AdminOf) -> None:
    """What each path takes."""
    for path, methods in {
        "/api/topics": "GET, OPTIONS, POST",
        "/api/topics/t": "DELETE, GET, OPTIONS, POST",
        "/api/topics/t/c": "DELETE, GET, OPTIONS, POST",
        "/api/nodes": "GET, OPTIONS",
        "/api/nodes/n": "DELETE, GET, OPTIONS",
        "/api/counter": "GET, OPTIONS",
        "/config/x": "GET, OPTIONS, PUT",
    }.items():
        answer = admin.ask("PATCH", path)
        assert (answer.status, answer.header("Allow")) == (405, methods)
        assert admin.ask("HEAD", path).status == 405


def test_names_with_odd_characters(admin: AdminOf) -> None:
    """A name in a path is decoded once."""
    admin.cluster.add("n2", "e#ephemeral/c#ephemeral")
    assert admin.get("/api/topics/e%23ephemeral").json["topic_name"] == "e#ephemeral"
    channel = admin.get("/api/topics/e%23ephemeral/c%23ephemeral").json
    assert channel["channel_name"] == "c#ephemeral"
    assert admin.get("/api/nodes/n2%3A4151").json["node"] == "n2:4151"
