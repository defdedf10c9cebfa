"""Recorded runs of the tools against an nsqd, run again against ours."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nsqtx.tools.nsq_to_file.members import END
from tests.golden.forked import ForkServer
from tests.support.blockinghttp import post
from tests.support.daemon import Daemon
from tests.support.toolruns import ToolRun
from tests.support.waiting import eventually
from tests.support.wireclient import WireClient

wait_until = partial(eventually, seconds=10.0)

DATA = Path(__file__).parent / "data" / "logs"


def recorded(name: str) -> list[dict[str, Any]]:
    """The runs of a file."""
    runs: list[dict[str, Any]] = json.loads((DATA / name).read_text(encoding="utf-8"))["runs"]
    return runs


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """A process that has imported the tools and forks for each run."""
    with ForkServer(tmp_path_factory.mktemp("forks")) as server:
        yield server


# -- to_nsq, nsq_tail, nsq_stat ------------------------------------------------------------------

#: Lines of client libraries, which are not compared.
CLIENT_LINES = re.compile(r"(?:<date-s>|\S+ \S+) (?:INF|WRN|ERR) .*\n")


def spoken(text: str, program: str) -> str:
    """What is compared of standard error: that of nsq_stat is another library's in part."""
    text = CLIENT_LINES.sub("", text)
    return re.sub(r"(failed to query any nsqd: ).*", r"\1", text) if program == "nsq_stat" else text


def adapted(run: dict[str, Any]) -> dict[str, Any]:
    """The run with what differs on purpose: the last byte of the input is not lost."""
    if run["program"] == "nsq_tail":
        return {**run, "stdout": run["stdout"].replace("thre\n", "three\n")}
    return run


def check(run: dict[str, Any], tool: ToolRun, code: int) -> None:
    """Compare with how it went."""
    expected = re.escape(spoken(run["stderr"], run["program"]))
    expected = expected.replace("<date\\-s>", r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d")
    said = spoken(tool.err, run["program"])
    assert re.fullmatch(expected, said), said
    assert tool.out.decode() == run["stdout"]
    assert code == run["exit_code"]


def replay(run: dict[str, Any], forks: ForkServer, nsqd: Daemon, publish: bool) -> None:
    """Run it; those that end by a signal when they have said all. ``publish``: 50 on the way."""
    run = adapted(run)
    known = {"<nsqd.tcp>": nsqd.tcp, "<nsqd.http>": nsqd.http}
    arguments = run["args"]
    for name, (host, port) in known.items():
        arguments = [each.replace(name, f"{host}:{port}") for each in arguments]
    with ToolRun(forks, run["program"], arguments, run.get("stdin", "").encode()) as tool:
        if publish:
            wait_until(lambda: b"\n" in tool.out, lambda: tool.err)
            # However long this takes, it is before the next poll.
            tool.send_signal(signal.SIGSTOP)
            post(nsqd.http, "/mpub?topic=st", b"x\n" * 50)
            tool.send_signal(signal.SIGCONT)
        if "stopped_by" not in run:
            check(run, tool, tool.wait())
            return
        wait_until(lambda: tool.out == run["stdout"].encode(), lambda: (tool.out, tool.err))
        if not run["stdout"]:
            wait_until(lambda: "connected" in tool.err, lambda: tool.err)
        # What was finished must get there.
        time.sleep(0.05)
        check(run, tool, tool.stop(getattr(signal, run["stopped_by"])))


def test_runs_go_as_recorded(forks: ForkServer, tmp_path: Path) -> None:
    """One after the other: what one publishes the next one shows."""
    runs = recorded("tools.json")
    with Daemon(tmp_path / "data", launch=forks.launch) as nsqd:
        for run in runs:
            if run["program"] != "nsq_stat":
                replay(run, forks, nsqd, False)


def test_stats_are_shown_as_recorded(forks: ForkServer, tmp_path: Path) -> None:
    """Ten messages, two of them in flight; then 50 more."""
    runs = [run for run in recorded("tools.json") if run["program"] == "nsq_stat"]
    with (
        Daemon(tmp_path / "data", launch=forks.launch) as nsqd,
        WireClient(nsqd.tcp) as consumer,
    ):
        consumer.send(b"SUB st c\n")
        assert consumer.read().data == b"OK"
        post(nsqd.http, "/mpub?topic=st", b"x\n" * 10)
        consumer.send(b"RDY 2\n")
        consumer.read()
        consumer.read()
        for run in runs:
            replay(run, forks, nsqd, "50 messages" in run.get("note", ""))


# -- nsq_to_file ---------------------------------------------------------------------------------

FILE_RUNS = recorded("nsq_to_file.json")
#: The original only idles then; ours does not start (doc/differences.md).
REFUSED = [run for run in FILE_RUNS if "couldn't create logger" in run["stderr"]]
HOST = socket.gethostname().partition(".")[0]


def file_name(run: dict[str, Any]) -> str:
    """What distinguishes a run."""
    return " ".join([*run["args"][2:], run.get("note", "")[:20]]) or "defaults"


class Filing:
    """A run of nsq_to_file, with its directories."""

    def __init__(self, run: dict[str, Any], path: Path, nsqd: Daemon) -> None:
        self.run = run
        self.paths = {"<out>": path / "out", "<work>": path / "work"}
        for each in self.paths.values():
            each.mkdir()
        host, port = nsqd.tcp
        # Rotation is seen once a tick, and once is enough.
        tick = "2s" if "--rotate-interval=500ms" in run["args"] else "1s"
        self.arguments = [f"--nsqd-tcp-address={host}:{port}", f"--sync-interval={tick}"]
        for argument in run["args"]:
            for name, directory in self.paths.items():
                argument = argument.replace(name, str(directory))
            self.arguments.append(argument)
        if "a file of the same name exists" in run.get("note", ""):
            now = time.strftime("%Y-%m-%d_%H")
            (self.paths["<out>"] / f"f.{HOST}.{now}.log").write_text("already here\n")

    def expected(self, when: str, pid: int) -> dict[str, dict[str, str]]:
        """The files that were recorded, with what they held."""
        return {
            directory: {
                self._filled(file["name"], pid): file.get("content", file.get("content_gunzipped"))
                for file in files
            }
            for directory, files in self.run[when].items()
        }

    @staticmethod
    def _filled(name: str, pid: int) -> str:
        name = name.replace("<host>", HOST).replace("<pid>", str(pid))
        return re.sub("<(%[^>]*)>", lambda found: time.strftime(found[1]), name)

    def found(self) -> dict[str, dict[str, str]]:
        """The files that are there. A directory that the recording does not name has none."""
        found = {}
        for name, directory in self.paths.items():
            files = {
                path.relative_to(directory).as_posix(): _read(path)
                for path in directory.rglob("*")
                if path.is_file()
            }
            if files or name in self.run["files_after_exit"]:
                found[name] = files
        return found


def _read(path: Path) -> str:
    data = path.read_bytes()
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except EOFError:
            return "not complete"
    return data.decode()


@pytest.mark.parametrize("run", [each for each in FILE_RUNS if each not in REFUSED], ids=file_name)
def test_files_are_made_as_recorded(run: dict[str, Any], forks: ForkServer, tmp_path: Path) -> None:
    """Names and contents, while it runs and when it has ended."""
    with Daemon(tmp_path / "data", launch=forks.launch) as nsqd:
        filing = Filing(run, tmp_path, nsqd)
        for topic in ("f", "fa", "fb"):
            post(nsqd.http, f"/topic/create?topic={topic}")
            post(nsqd.http, f"/mpub?topic={topic}", b"first\nsecond line\nthird\n")
        with ToolRun(forks, "nsq_to_file", filing.arguments) as tool:
            pid = tool.pid
            running = filing.expected("files_while_running", pid)
            wait_until(lambda: filing.found() == running, lambda: (filing.found(), tool.err))
            if "SIGHUP" in run.get("note", ""):
                post(nsqd.http, "/pub?topic=f", b"after 1")
                wait_until(
                    lambda: "after 1" in str(filing.found()), lambda: (filing.found(), tool.err)
                )
                os.kill(pid, signal.SIGHUP)
                if "--gzip" in run["args"]:
                    (file,) = filing.paths["<out>"].iterdir()
                    wait_until(lambda: file.read_bytes().endswith(END), lambda: tool.err)
                post(nsqd.http, "/pub?topic=f", b"after hup")
                after = filing.expected("files_after_exit", pid)
                wait_until(lambda: filing.found() == after, lambda: (filing.found(), tool.err))
            code = tool.stop()
            assert filing.found() == filing.expected("files_after_exit", pid), tool.err
            assert code == run["exit_code"]


def test_what_can_never_work_is_refused(forks: ForkServer, tmp_path: Path) -> None:
    """The reason is that of the log line that was recorded."""
    (run,) = REFUSED
    (reason,) = re.findall(r"new topic f: (.*)\n", run["stderr"])
    arguments = [*run["args"], "--nsqd-tcp-address=127.0.0.1:1", f"--output-dir={tmp_path}"]
    with ToolRun(forks, "nsq_to_file", arguments) as tool:
        assert tool.wait() == 1
        assert re.fullmatch(r"\S+ \S+ " + re.escape(reason) + "\n", tool.err)
