"""nsqadmin over a cluster in memory, and what asks it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.web.http_headers import Headers

from nsqtx.cluster.http import BodyBytes, read_body
from nsqtx.nsqadmin.admin import Admin
from nsqtx.nsqadmin.http import AdminApi
from nsqtx.nsqadmin.options import NsqadminOptions
from tests.support.clusternet import Cluster

__all__ = ["AdminOf", "Answer"]


@attrs.frozen
class Answer:
    """What nsqadmin answered."""

    status: int
    headers: Headers
    body: bytes

    @property
    def json(self) -> Any:
        """The body, which is JSON in NSQ's form."""
        assert self.header("Content-Type") == "application/json; charset=utf-8"
        assert self.header("X-Nsq-Content-Type") == "nsq; version=1.0"
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """The message of an answer that is an object."""
        message: str = self.json["message"]
        return message

    def header(self, name: str) -> str:
        """A header; empty if it is not there."""
        return (self.headers.getRawHeaders(name) or [""])[0]


class AdminOf:
    """An nsqadmin at ``admin:4171`` of the network of a cluster. It does not poll."""

    def __init__(self, cluster: Cluster, **options: Any) -> None:
        self.cluster = cluster
        self.net = cluster.net
        places = cluster.view.lookupds, cluster.view.nsqds
        given = NsqadminOptions(
            lookupd_http_address=places[0], nsqd_http_address=places[1], **options
        )
        self.levels: list[str] = []
        self.admin = Admin(given, self.net.clock, self.net.agent, self.levels.append)
        self.net.sites["admin:4171"] = AdminApi(self.admin).site()

    def begin(
        self,
        method: str,
        target: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Deferred[Answer]:
        """Ask; ``body`` is bytes or goes as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        every = Headers()
        for name, value in (headers or {}).items():
            every.setRawHeaders(name, [value])

        async def asking() -> Answer:
            response = await self.net.agent.request(
                method.encode(),
                f"http://admin:4171{target}".encode(),
                every,
                None if body is None else BodyBytes(data),
            )
            found = await read_body(response, 1 << 24)
            return Answer(response.code, response.headers, found)

        return Deferred.fromCoroutine(asking())

    def ask(
        self,
        method: str,
        target: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask and get the answer."""
        return self.net.result(self.begin(method, target, body, headers))

    def get(self, target: str, **headers: str) -> Answer:
        """GET."""
        return self.ask("GET", target, headers=headers)
