"""The command lines of the daemons: recorded runs of the original, run again.

A recording gives arguments, files, exit code and what was said. The runs fork from a process that
has imported all daemons; some are repeated by a fresh interpreter, which has a standard output as
well.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from nsqtx.nsqadmin.options import NsqadminOptions
from nsqtx.nsqd.options import NsqdOptions
from nsqtx.nsqlookupd.options import NsqlookupdOptions
from nsqtx.options import declared
from nsqtx.version import RUNTIME
from tests.golden.forked import ForkServer
from tests.support.blockinghttp import get
from tests.support.daemon import Daemon

ROOT = Path(__file__).parents[2]
RECORDED: list[dict[str, Any]] = json.loads(
    (ROOT / "tests/golden/data/logs/cli.json").read_text(encoding="utf-8")
)["runs"]
ENDING = [run for run in RECORDED if run["exit_code"] != "keeps running"]
#: One of each kind, to be run by a fresh interpreter.
FRESH = ["--version", "-version=true", "--help", "--nope", "--node-id=-1"]
OPTIONS = {"nsqd": NsqdOptions, "nsqlookupd": NsqlookupdOptions, "nsqadmin": NsqadminOptions}

#: What nsqtx says otherwise (doc/differences.md): recorded text, a regular expression, and ours.
DIFFERENCES = [
    # Which file, and that certificate and key need each other; there are no certificates here.
    (r"failed to build TLS config - .*", "failed to build TLS config - <any>"),
    ("for field MsgTimeout", "for field msg_timeout"),
    ("for field MaxRdyCount", "for field max_rdy_count"),
    # What a parser says is ours, except that a file is empty.
    (r"toml: .*", "toml: <any>"),
    (r"unexpected end of JSON input", "<any>"),
    (r"parse \"%zz\": .*", "it is no URL"),
    # A slip of the original's.
    (r"%!\(EXTRA \*errors\.errorString=(.*)\)", r" - \1"),
]
#: What placeholders stand for, as regular expressions.
PLACEHOLDERS = {
    "<any>": ".+",
    "<go>": re.escape(RUNTIME),
    "<date>": r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{6}",
    "<date-s>": r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d",
    "<int>": r"\d+",
    "<usage>": r"  -(acl-http-header|(auth-http|broadcast)-address) \w+\n(?s:.*)"
    r"  -(worker-id|version)\n.*\n",
}


class Run:
    """A recorded run, with its placeholders given a meaning."""

    def __init__(self, recorded: dict[str, Any], path: Path, taken: str) -> None:
        self.recorded = recorded
        self.program: str = recorded["program"]
        self.known = {"<addr>": taken, "<tmp>": str(path), "<certs>": str(path)}
        for name, text in recorded.get("files", {}).items():
            (path / name).write_text(text)
        self.arguments = [self._filled(each) for each in recorded["args"]]
        if self.program == "nsqd" and not any(
            each.startswith("--data-path") for each in self.arguments
        ):
            # Else it would be the working directory.
            self.arguments.append(f"--data-path={path}")

    def _filled(self, text: str) -> str:
        for placeholder, value in self.known.items():
            text = text.replace(placeholder, value)
        return text

    def pattern(self, stream: str) -> str:
        """A regular expression for all that is to be said there."""
        text = self._filled(self.recorded[stream])
        for recorded, ours in DIFFERENCES:
            text = re.sub(recorded, ours, text)
        text = re.escape(text)
        for placeholder, pattern in PLACEHOLDERS.items():
            text = text.replace(re.escape(placeholder), pattern)
        return text

    def check(self, code: int, stderr: str) -> None:
        """Compare with how it went."""
        assert re.fullmatch(self.pattern("stderr"), stderr), stderr
        assert code == self.recorded["exit_code"]


def name_of(recorded: dict[str, Any]) -> str:
    """What distinguishes a run: its first arguments and its file."""
    program = recorded["program"].removeprefix("nsqd")
    return " ".join([program, *recorded["args"][:3], *recorded.get("files", {}).values()]).strip()


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """A process that has imported nsqd and forks it for each run."""
    with ForkServer(tmp_path_factory.mktemp("forks")) as server:
        yield server


@pytest.fixture(scope="module")
def taken() -> Iterator[str]:
    """An address that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def run_forked(
    forks: ForkServer, arguments: Sequence[str], program: str = "nsqd"
) -> tuple[int, str]:
    """Run a program until it ends; exit code and standard error."""
    reading, writing = os.pipe()
    try:
        process = forks.launch(f"nsqtx.{program}.tap", arguments, writing)
    finally:
        os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as stream:
        said = stream.read()
    return process.wait(30), said


def run_fresh(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run nsqd in an interpreter of its own."""
    code = "import sys; from nsqtx.nsqd.tap import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("recorded", ENDING, ids=name_of)
def test_a_run_ends_as_recorded(
    recorded: dict[str, Any], forks: ForkServer, tmp_path: Path, taken: str
) -> None:
    """Exit code and standard error are the original's."""
    run = Run(recorded, tmp_path, taken)
    run.check(*run_forked(forks, run.arguments, run.program))


def test_each_stream_has_what_was_recorded(tmp_path: Path, taken: str) -> None:
    """The version goes to standard output, everything else to standard error."""
    recorded = [run for run in ENDING if run["program"] == "nsqd" and run["args"][0] in FRESH]
    assert len(recorded) == len(FRESH)
    for each in recorded:
        run = Run(each, tmp_path, taken)
        done = run_fresh(run.arguments)
        assert re.fullmatch(run.pattern("stdout"), done.stdout), done.stdout
        run.check(done.returncode, done.stderr)


def test_runs_that_go_on_start_as_recorded(forks: ForkServer, tmp_path: Path) -> None:
    """The same lines; it listens when it has loaded, first on one port or on the other."""
    (recorded,) = [run for run in RECORDED if run["exit_code"] == "keeps running"]
    with Daemon(tmp_path, *recorded["args"], launch=forks.launch) as nsqd:
        lines = nsqd.log.splitlines()
        assert nsqd.running
    texts = [re.sub(r"^\[nsqd\] \S+ \S+ INFO: ", "", line) for line in lines]
    assert texts[0] == f"nsqd v1.3.0 (built w/{RUNTIME})"
    assert re.fullmatch(r"ID: \d+", texts[1])
    assert texts[2] == f"NSQ: persisting topic/channel metadata to {tmp_path}/nsqd.dat"
    assert sorted(re.sub(r"\d+$", "", text) for text in texts[3:]) == [
        "HTTP: listening on 127.0.0.1:",
        "TCP: listening on 127.0.0.1:",
    ]


@pytest.mark.parametrize("program", OPTIONS)
def test_the_usage_names_every_flag(program: str, forks: ForkServer) -> None:
    """One after the other, in the form that Go programs have."""
    code, said = run_forked(forks, ["--help"], program)
    flags = re.findall(r"^  -([a-z0-9-]+)", said, re.MULTILINE)
    assert (code, flags) == (0, sorted(each.flag for each in declared(OPTIONS[program])))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--durability=maybe"], 'invalid value "maybe" for flag -durability: must be '),
        (["--http-address"], "flag needs an argument: -http-address"),
    ],
)
def test_a_wrong_flag_of_ours_is_refused_like_any(
    arguments: list[str], reason: str, forks: ForkServer
) -> None:
    """Exit code 2, the reason, the usage."""
    code, said = run_forked(forks, arguments)
    assert code == 2
    assert said.startswith(reason)
    assert "\nUsage of nsqd:\n" in said


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--statsd-address=h"], "--statsd-address: h is not host:port"),
        (
            ["--auth-http-address=h:80", "--tls-root-ca-file=/dev/null"],
            "no certificates in /dev/null",
        ),
        (["--sync-every=0"], "--sync-every must be positive"),
    ],
)
def test_what_cannot_be_is_said_at_the_start(
    arguments: list[str], reason: str, forks: ForkServer, tmp_path: Path
) -> None:
    """Exit code 1 and one line; such lines have their prefix, whatever --log-prefix says."""
    given = [*arguments, "--log-prefix=other ", f"--data-path={tmp_path}"]
    code, said = run_forked(forks, given)
    assert code == 1
    date = PLACEHOLDERS["<date>"]
    text = rf"\[nsqd\] {date} FATAL: failed to instantiate nsqd - {re.escape(reason)}\n"
    assert re.fullmatch(text, said), said


def test_the_reason_is_said_at_every_log_level(forks: ForkServer, tmp_path: Path) -> None:
    """Nobody wants to raise the level only to hear why nsqd does not start."""
    code, said = run_forked(
        forks, ["--log-level=fatal", f"--data-path={tmp_path}", "--tcp-address=256.0.0.1:0"]
    )
    assert code == 1
    assert re.fullmatch(r"\[nsqd\] \S+ \S+ FATAL: .*listen \(256\.0\.0\.1:0\) failed - .*\n", said)


def test_a_file_and_flags_together(forks: ForkServer, tmp_path: Path) -> None:
    """The file sets what the command line does not, as /config shows."""
    file = tmp_path / "c.toml"
    file.write_text('log_prefix = "[mine] "\nid = 7\nmax_rdy_count = 10\n')
    data = tmp_path / "data"
    flags = [f"--config={file}", "--max-rdy-count=11"]
    with Daemon(data, *flags, launch=forks.launch) as nsqd:
        assert nsqd.wait_for_log("ID: 7$").startswith("[mine] ")
        assert get(nsqd.http, "/config/max_rdy_count") == (200, b"11")
        assert get(nsqd.http, "/config/id") == (200, b"7")
