"""Paths that have no route, or other methods (nsqd-http section 3)."""

from __future__ import annotations

import pytest

from nsqtx.web.routing import Routes, clean_path

ROUTES = Routes(
    [
        ("/ping", ["GET"]),
        ("/pub", ["POST"]),
        ("/topic/create", ["POST"]),
        ("/config/<option>", ["GET"]),
        ("/config/<option>", ["PUT"]),
        ("/debug/pprof/", ["GET"]),
        ("/debug/setblockrate", ["PUT"]),
    ]
)


@pytest.mark.parametrize(
    ("path", "cleaned"),
    [
        ("/", "/"),
        ("", "/"),
        ("/a", "/a"),
        ("/a/", "/a/"),
        ("//a//b", "/a/b"),
        ("/./a/.", "/a/"),
        ("/a/../b", "/b"),
        ("/../..", "/"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
    ],
)
def test_clean_path(path: str, cleaned: str) -> None:
    """A clean path has no empty, single dot or double dot segments; a last slash stays."""
    assert clean_path(path) == cleaned


@pytest.mark.parametrize(
    ("method", "path", "target"),
    [
        ("GET", "/ping/", "/ping"),
        ("GET", "/PING", "/ping"),
        ("GET", "//ping", "/ping"),
        ("GET", "/a/../ping", "/ping"),
        ("POST", "/TOPIC//Create/", "/topic/create"),
        ("PUT", "/Config/LOG_LEVEL/", "/config/LOG_LEVEL"),
        ("GET", "/debug/pprof", "/debug/pprof/"),
        ("GET", "/ping", None),
        ("GET", "/pub/", None),
        ("HEAD", "/ping/", None),
        ("GET", "/config/", None),
        ("GET", "/config", None),
        ("GET", "/config/a/b", None),
        ("PUT", "/debug/SETblockrate", "/debug/setblockrate"),
        ("PUT", "/debug/setbloc\N{KELVIN SIGN}rate", None),
        ("GET", "/nope", None),
    ],
)
def test_redirect(method: str, path: str, target: str | None) -> None:
    """A path is put right only if the result has a route for the same method."""
    assert ROUTES.redirect(method, path) == target


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/ping", ["GET", "OPTIONS"]),
        ("/pub", ["OPTIONS", "POST"]),
        ("/config/x", ["GET", "OPTIONS", "PUT"]),
        ("/config/", []),
        ("/PING", []),
    ],
)
def test_allowed(path: str, methods: list[str]) -> None:
    """Every route of exactly a path counts, and OPTIONS with them."""
    assert ROUTES.allowed(path) == methods
