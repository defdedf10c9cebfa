"""Connecting to auth servers: in plain or by TLS, not for too long, and only to whom we trust."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.web.client import URI
from twisted.web.error import SchemeNotSupported

from nsqtx.nsqd.authendpoints import AuthEndpoints, load_authorities
from nsqtx.nsqd.options import NsqdOptions
from nsqtx.nsqd.service import NsqdService
from nsqtx.run import StartError


def test_authorities(tmp_path: Path) -> None:
    """A file without certificates, or with a damaged one, is refused."""
    path = tmp_path / "ca.pem"
    with pytest.raises(ValueError, match=r"ca\.pem: no such file"):
        load_authorities(str(path))
    damaged = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    for content in (b"", damaged):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="no certificates in"):
            load_authorities(str(path))


def test_nsqd_does_not_start_with_bad_authorities(tmp_path: Path) -> None:
    """It says so at the start, and not when the first client comes."""
    options = NsqdOptions(
        auth_http_address=["h:80"], tls_root_ca_file="/dev/null", data_path=str(tmp_path)
    )
    with pytest.raises(StartError, match="no certificates in /dev/null"):
        NsqdService(options, MemoryReactorClock()).startService()


def test_connecting_takes_a_time_at_most() -> None:
    """The reactor is told how long a connection may take."""
    reactor = MemoryReactorClock()
    endpoints = AuthEndpoints(reactor, 2.0, None, "tls1.2")
    for url in (b"http://127.0.0.1:80/", b"https://127.0.0.1:80/"):
        endpoint = endpoints.endpointForURI(URI.fromBytes(url))
        endpoint.connect(Factory.forProtocol(Protocol))
        assert reactor.tcpClients[-1][3] == 2.0


def test_schemes() -> None:
    """There is no way to ask but HTTP and HTTPS."""
    endpoints = AuthEndpoints(MemoryReactorClock(), 2.0, None, "tls1.2")
    with pytest.raises(SchemeNotSupported):
        endpoints.endpointForURI(URI.fromBytes(b"ftp://127.0.0.1/"))


def test_without_the_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """nsqd with auth servers does not start without google-re2, and says what to install."""
    for name in ("re2", "nsqtx.nsqd.expressions", "nsqtx.nsqd.auth", "nsqtx.nsqd.admission"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "re2", None)
    options = NsqdOptions(auth_http_address=["h:80"], data_path=str(tmp_path))
    service = NsqdService(options, MemoryReactorClock())
    with pytest.raises(StartError, match=r"needs google-re2: pip install 'nsqtx\[auth\]'"):
        service.startService()
