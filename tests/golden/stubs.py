"""Scripted HTTP servers that a daemon calls: auth servers, notification endpoints, graphite."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.golden.placeholders import Bindings, Mismatch

__all__ = ["StubServer"]

SEEN_HEADERS = ("Accept", "Content-Type")


class StubServer:
    """Answers in the order of its script, the last answer again and again, and notes requests."""

    def __init__(
        self,
        responses: Sequence[dict[str, Any]],
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._responses = responses
        self._lock = threading.Lock()
        self.requests: list[dict[str, Any]] = []
        stub = self

        class Exchange(BaseHTTPRequestHandler):
            """One request to the stub."""

            def answer(self) -> None:
                """Note the request and send what the script says."""
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(size)
                headers = {n: self.headers[n] for n in SEEN_HEADERS if n in self.headers}
                response = stub._next_response(
                    {"line": self.requestline, "headers": headers, "body": body.decode("latin-1")}
                )
                data = response["body"]
                if not isinstance(data, str):
                    data = json.dumps(data, separators=(",", ":"))
                raw = data.encode("latin-1")
                self.send_response(response["status"])
                for name, value in response.get("headers", {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_POST = answer  # The names http.server looks for.

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Exchange)
        self._server.daemon_threads = True
        if tls is not None:
            # The handshake is done by the thread of the connection.
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        host, port = self._server.server_address[:2]
        self.address = f"{host!s}:{port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    def _next_response(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.requests.append(request)
            return self._responses[min(len(self.requests), len(self._responses)) - 1]

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def check(self, expected: Sequence[dict[str, Any]], bindings: Bindings) -> None:
        """Compare what was asked with what must have been asked.

        :raises Mismatch: it differs.
        """
        with self._lock:
            requests = list(self.requests)
        if len(requests) != len(expected):
            raise Mismatch(f"expected {len(expected)} requests, got {len(requests)}: {requests!r}")
        for wanted, actual in zip(expected, requests, strict=True):
            bindings.match_text(wanted["line"], actual["line"])
            if wanted["headers"] != actual["headers"]:
                raise Mismatch(f"headers {wanted['headers']!r} expected, got {actual['headers']!r}")
            bindings.match_text(wanted["body"], actual["body"])
