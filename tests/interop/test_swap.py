"""Clients in three languages stay while the nsqd behind their address becomes another one.

On the way there, the second nsqd starts on what an original left. On the way back, the second one
stands for an original: it is on the same data path, and knows nothing of our logs. As far as
clients can see, so it is with the original itself.
"""

from __future__ import annotations

import json
import shutil
import socket
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.interop.clientrun import ClientRun
from tests.interop.running import ROOT, command
from tests.support.blockinghttp import get, post
from tests.support.daemon import Daemon
from tests.support.original import bodies_of, left_by_the_original
from tests.support.waiting import eventually

pytestmark = [pytest.mark.interop, pytest.mark.timeout(180)]

#: The channel of the orders that a client in each language consumes.
CHANNELS = {"pynsq": "archive", "nsqjs": "mail", "go": "stock"}
NSQ_TO_NSQ = "import sys; from nsqtx.tools.nsq_to_nsq.command import main; sys.exit(main())"


def left_for_three(directory: Path) -> dict[str, Counter[bytes]]:
    """A data path of the original; what it has for each client.

    The recording has two channels. The third is a copy of the archive, in files of its own, as the
    original has it when a topic's messages went to both.
    """
    original = left_by_the_original("clean-stop", directory)
    for path in directory.glob("orders:archive.diskqueue.*"):
        shutil.copy(path, path.with_name(path.name.replace("archive", "stock")))
    metadata = json.loads((directory / "nsqd.dat").read_text())
    (orders,) = [topic for topic in metadata["topics"] if topic["name"] == "orders"]
    orders["channels"].append({"name": "stock", "paused": False})
    (directory / "nsqd.dat").write_text(json.dumps(metadata))
    archive, mail = (bodies_of(original, "orders", name) for name in ("archive", "mail"))
    assert archive.total() > mail.total() > 0
    return {"pynsq": archive, "nsqjs": mail, "go": archive.copy()}


def free_address() -> str:
    """Of a port that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return f"127.0.0.1:{port}"


def consumer(language: str, go_example: Path, directory: Path, address: str) -> ClientRun:
    """A client that prints what its channel has."""
    programs: dict[str, list[str | Path]] = {
        "pynsq": [sys.executable, "-m", "tests.interop.clients.printing_pynsq"],
        "nsqjs": [command("nsqjs")[0], ROOT / "tests/interop/clients/printing_nsqjs.js"],
        "go": [go_example, "consume"],
    }
    return ClientRun(
        directory / language, [*programs[language], address, "orders", CHANNELS[language]]
    )


def is_consumed(nsqd: Daemon, channel: str) -> bool:
    """Whether somebody is subscribed to a channel."""
    _, body = get(nsqd.http, f"/stats?format=json&topic=orders&channel={channel}")
    return b'"client_count":1' in body


def left(nsqd: Daemon, channel: str) -> int:
    """How many messages of a channel nobody has finished."""
    _, body = get(nsqd.http, f"/stats?format=json&topic=orders&channel={channel}")
    (found,) = json.loads(body)["topics"][0]["channels"]
    return int(found["depth"] + found["in_flight_count"] + found["deferred_count"])


def create(nsqd: Daemon, *channels: str) -> None:
    """Make the topic and channels of it."""
    assert post(nsqd.http, "/topic/create?topic=orders")[0] == 200
    for channel in channels:
        assert post(nsqd.http, f"/channel/create?topic=orders&channel={channel}")[0] == 200


def arrives(client: ClientRun, wanted: Counter[bytes]) -> None:
    """Wait until a client has got all of these; no other, and none twice."""
    eventually(lambda: not wanted - Counter(client.lines), lambda: client.log, seconds=60)
    assert Counter(client.lines) == wanted


def test_there(go_example: Path, tmp_path: Path) -> None:
    """All come back by themselves; what the original had, and what is published, arrives."""
    swapped = tmp_path / "swapped"
    had = left_for_three(swapped)
    address = free_address()
    with ExitStack() as stack:
        before = stack.enter_context(Daemon(tmp_path / "before", f"--tcp-address={address}"))
        create(before, *CHANNELS.values())
        clients = {
            language: stack.enter_context(consumer(language, go_example, tmp_path, address))
            for language in CHANNELS
        }
        publisher = stack.enter_context(
            ClientRun(tmp_path / "publisher", [go_example, "publish", address, "orders"])
        )
        for channel in CHANNELS.values():
            eventually(lambda channel=channel: is_consumed(before, channel))  # type: ignore[misc]
        published = Counter([b"before the swap"])
        publisher.give(*published)
        for client in clients.values():
            arrives(client, published)
        assert before.stop() == 0
        publisher.give(b"while nobody is there")
        after = stack.enter_context(Daemon(swapped, f"--tcp-address={address}"))
        publisher.give(b"after the swap")
        assert publisher.finish() == 0, publisher.log
        published.update([b"while nobody is there", b"after the swap"])
        for language, channel in CHANNELS.items():
            arrives(clients[language], had[language] + published)
            assert is_consumed(after, channel)
            eventually(lambda channel=channel: left(after, channel) == 0)  # type: ignore[misc]


def test_back(go_example: Path, tmp_path: Path) -> None:
    """What waits in our logs goes elsewhere by nsq_to_nsq; all clients go on with what is next."""
    data = tmp_path / "data"
    had = left_for_three(data)
    address = free_address()
    with ExitStack() as stack:
        ours = stack.enter_context(Daemon(data, f"--tcp-address={address}"))
        staying = {
            language: stack.enter_context(consumer(language, go_example, tmp_path, address))
            for language in ("pynsq", "go")
        }
        for language, client in staying.items():
            arrives(client, had[language])
        # Nobody consumes the mail here.
        assert left(ours, "mail") == had["nsqjs"].total()
        elsewhere = stack.enter_context(Daemon(tmp_path / "elsewhere"))
        create(elsewhere, "mail")
        tool = stack.enter_context(
            ClientRun(
                tmp_path / "nsq_to_nsq",
                [
                    *(sys.executable, "-c", NSQ_TO_NSQ),
                    *(f"--nsqd-tcp-address={address}", "--topic=orders", "--channel=mail"),
                    f"--destination-nsqd-tcp-address=127.0.0.1:{elsewhere.tcp_port}",
                    "--consumer-opt=max_attempts,0",
                ],
            )
        )
        eventually(lambda: left(ours, "mail") == 0, lambda: tool.log)
        assert tool.stop() == 0, tool.log
        there = f"127.0.0.1:{elsewhere.tcp_port}"
        with consumer("nsqjs", go_example, tmp_path, there) as client:
            arrives(client, had["nsqjs"])
        assert ours.stop() == 0
        shutil.move(data / "nsqd.topics", tmp_path / "away")
        metadata = json.loads((data / "nsqd.dat").read_text())
        del metadata["nsqtx"]
        (data / "nsqd.dat").write_text(json.dumps(metadata))
        back = stack.enter_context(Daemon(data, f"--tcp-address={address}"))
        assert post(back.http, "/pub?topic=orders", b"next")[0] == 200
        for language, client in staying.items():
            arrives(client, had[language] + Counter([b"next"]))
            assert is_consumed(back, CHANNELS[language])
        # Its channel is there, without what has gone elsewhere.
        with consumer("nsqjs", go_example, tmp_path, address) as client:
            arrives(client, Counter([b"next"]))
