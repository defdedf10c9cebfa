"""What the original's daemons were recorded to answer is understood."""

from __future__ import annotations

from typing import Any

import pytest

from nsqtx.cluster.lookupd import LookupdClient
from nsqtx.cluster.nsqd import NsqdClient
from nsqtx.wire import gojson
from tests.golden.recordings import load_recordings
from tests.support.httpnet import HttpNet, Scripted

#: Kinds of answers: the path, who is asked, and how.
KINDS: dict[str, tuple[str, Any]] = {
    "/stats": ("nsqd", lambda client: client.stats()),
    "/info": ("nsqd", lambda client: client.info()),
    "/lookup": ("nsqlookupd", lambda client: client.lookup("t")),
    "/nodes": ("nsqlookupd", lambda client: client.nodes()),
    "/topics": ("nsqlookupd", lambda client: client.topics()),
    "/channels": ("nsqlookupd", lambda client: client.channels("t")),
}
VALUES: dict[str, Any] = {"<int>": 7, "<float>": 0.5}


def plain(value: Any) -> Any:
    """A recorded answer with numbers where placeholders stand for them."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, str) and value.startswith("<") and value.endswith("_port>"):
        return 4150
    return VALUES.get(value, value) if isinstance(value, str) else value


def recorded(kind: str) -> list[Any]:
    """The different JSON answers of a kind, with their status."""
    found = {}
    for recording in load_recordings():
        if not recording.file.startswith("http/" + KINDS[kind][0]):
            continue
        for step in recording.session["steps"]:
            target = step.get("http", {}).get("target", "")
            if target.partition("?")[0] == kind and "json" in step:
                body = gojson.encode(plain(step["json"]))
                found[body] = step["status"]
    return list(found.items())


@pytest.mark.parametrize("kind", KINDS)
def test_recorded_answers(kind: str) -> None:
    """Each of 200 is read; each of another status has NSQ's word for it."""
    program, ask = KINDS[kind]
    answers = recorded(kind)
    assert answers
    net = HttpNet()
    site = net.sites["d:1"] = Scripted({})
    cls = NsqdClient if program == "nsqd" else LookupdClient
    client = cls("d:1", net.agent, net.clock)
    for body, status in answers:
        site.answers[f"GET {kind}"] = (status, body, {"X-NSQ-Content-Type": "nsq; version=1.0"})
        if status == 200:
            assert net.result(ask(client)) is not None
        else:
            error = net.error(ask(client))
            assert error.status == status
            assert error.code == gojson.decode(body)["message"]
