"""The HTTP API of an nsqd without sockets, and what tests of it need."""

from __future__ import annotations

import json
from struct import pack
from typing import Any

from nsqtx.broker.turn import Turn
from nsqtx.interfaces import StorageError
from nsqtx.nsqd.http import NsqdApi
from tests.support.http import Response, fetch
from tests.support.lists import ListLog, ListStore
from tests.support.node import FakeNode
from tests.support.subscribers import RecordingSubscriber
from tests.support.turns import ManualTurns

__all__ = ["PRODUCER", "Consumer", "Nsqd", "RefusingStore", "TurningNsqd", "binary", "token"]

PRODUCER = {
    "client_id": "p",
    "hostname": "ph",
    "remote_address": "127.0.0.1:9",
    "user_agent": "pub/1",
    "connect_ts": 1_700_000_000,
    "pub_counts": [{"topic": "t", "count": 3}],
}


class RefusingStore(ListStore):
    """A store that can make no log."""

    def open(self, topic: str) -> Any:
        """Refuse."""
        raise StorageError("disk full")


class Consumer(RecordingSubscriber):
    """A consumer with all that /stats shows of one."""

    def stats(self, topic: str = "") -> dict[str, Any]:
        """This client."""
        return {
            **PRODUCER,
            "pub_counts": [],
            "state": 3,
            "ready_count": 0,
            "in_flight_count": 0,
            "message_count": 0,
            "finish_count": 0,
            "requeue_count": 0,
        }


class Nsqd:
    """An nsqd without sockets."""

    def __init__(self, **settings: Any) -> None:
        self.node = FakeNode(**settings)
        self.site = NsqdApi(self.node).site()  # type: ignore[arg-type]

    def get(self, target: str) -> Response:
        """GET."""
        return fetch(self.site, "GET", target)

    def post(self, target: str, body: bytes = b"") -> Response:
        """POST."""
        return fetch(self.site, "POST", target, body)

    def put(self, target: str, body: bytes = b"") -> Response:
        """PUT."""
        return fetch(self.site, "PUT", target, body)

    def stats(self, query: str = "") -> Any:
        """The JSON of /stats."""
        answer = self.get(f"/stats?format=json{query}")
        assert answer.status == 200
        return json.loads(answer.body)

    def end_turn(self) -> None:
        """There are no turns here."""

    def log(self, topic: str) -> ListLog:
        """The log of a topic."""
        return self.node.store.logs[topic]

    def bodies(self, topic: str) -> list[bytes]:
        """What the log of a topic holds."""
        return [record[34:] for batch in self.log(topic).batches for record in batch.records]


def token(answer: Response) -> tuple[int, str]:
    """Status and token of an error."""
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["x-nsq-content-type"] == "nsq; version=1.0"
    return answer.status, json.loads(answer.body)["message"]


def binary(*bodies: bytes) -> bytes:
    """The binary form of /mpub."""
    return pack(">i", len(bodies)) + b"".join(pack(">i", len(each)) + each for each in bodies)


class TurningNsqd(Nsqd):
    """One on a reactor whose turns end when the test says so."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._turns = ManualTurns()
        self.node.turn = Turn(self.node.broker, self._turns.at_turn_end)
        self.site = NsqdApi(self.node).site()  # type: ignore[arg-type]

    def end_turn(self) -> None:
        """Do what was put off."""
        self._turns.end()
