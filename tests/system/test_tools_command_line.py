"""The command lines of the tools: recorded runs of the original, run again.

Most end before there is a reactor, so they run in this process; the others are forked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nsqtx.options import declared
from nsqtx.tools.nsq_stat import command as nsq_stat
from nsqtx.tools.nsq_tail import command as nsq_tail
from nsqtx.tools.nsq_to_file import tap as nsq_to_file
from nsqtx.tools.nsq_to_http import command as nsq_to_http
from nsqtx.tools.nsq_to_nsq import command as nsq_to_nsq
from nsqtx.tools.to_nsq import command as to_nsq
from tests.golden.forked import ForkServer
from tests.support.toolruns import ToolRun

ROOT = Path(__file__).parents[2]
RECORDED: list[dict[str, Any]] = json.loads(
    (ROOT / "tests/golden/data/logs/cli_tools.json").read_text(encoding="utf-8")
)["runs"]
ENDING = [run for run in RECORDED if run["exit_code"] != "keeps running"]
TOOLS: dict[str, ModuleType] = {
    "nsq_stat": nsq_stat,
    "nsq_tail": nsq_tail,
    "nsq_to_file": nsq_to_file,
    "nsq_to_http": nsq_to_http,
    "nsq_to_nsq": nsq_to_nsq,
    "to_nsq": to_nsq,
}

#: What nsqtx says otherwise (doc/differences.md): recorded text, a regular expression, and ours.
DIFFERENCES = [
    (r"<bin>/", ""),
    (r"Usage of nsqd", "Usage of nsq_to_file"),
    (r"invalid option (\w+)", r"there is no setting '\1'"),
    (r"format should be 'key=value'", "format should be 'Name: value'"),
    # What goes wrong in a network is said by another library, and the client's lines are its own.
    (r"dial tcp .*", "<any>"),
    (r'Get "[^"]*": ', ""),
    (r"<date-s> (INF|WRN|ERR) <int> .*\n", ""),
    (r"<date-s> Adding consumer for topic: .*\n", ""),
]
#: What placeholders stand for, as regular expressions.
PLACEHOLDERS = {
    "<any>": ".+",
    "<date-s>": r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d",
    "<usage>": r"  -[a-z]+.*\n(?s:.*)  -(version|topic|whitelist-json-field|work-dir)\b.*\n.*\n",
}
#: Lines of ours that are left out before comparing, as those of the original are.
INFORMATIONAL = re.compile(r"\S+ \S+ (INF |WRN |ERR |--mode=|Adding consumer for topic: ).*\n")


def pattern(text: str) -> str:
    """A regular expression for what is to be said."""
    for recorded, ours in DIFFERENCES:
        text = re.sub(recorded, ours, text)
    text = re.escape(text)
    for placeholder, expression in PLACEHOLDERS.items():
        text = text.replace(re.escape(placeholder), expression)
    return text


def name_of(recorded: dict[str, Any]) -> str:
    """What distinguishes a run."""
    return " ".join([recorded["program"], *recorded["args"]])


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """A process that has imported the tools and forks for each run."""
    with ForkServer(tmp_path_factory.mktemp("forks")) as server:
        yield server


@pytest.mark.parametrize("recorded", ENDING, ids=name_of)
def test_a_run_ends_as_recorded(
    recorded: dict[str, Any], forks: ForkServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code, standard output and standard error are the original's."""
    program, arguments = recorded["program"], recorded["args"]
    module = TOOLS[program]
    tool = getattr(module, "TOOL", None) or module.PROGRAM
    try:
        tool.read(arguments)
    except SystemExit as ended:
        said = capsys.readouterr()
        code, out, err = ended.code, said.out, said.err
    else:
        with ToolRun(forks, program, arguments) as run:
            code, out, err = run.wait(), run.out.decode(), run.err
    err = INFORMATIONAL.sub("", err)
    assert re.fullmatch(pattern(recorded["stderr"]), err), err
    assert out == recorded["stdout"]
    assert code == recorded["exit_code"]


@pytest.mark.parametrize("program", TOOLS)
def test_the_usage_names_every_flag(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One after the other, each with a line of help."""
    tool = getattr(TOOLS[program], "TOOL", None) or TOOLS[program].PROGRAM
    with pytest.raises(SystemExit):
        tool.read(["--help"])
    flags = re.findall(r"^  -([a-z0-9-]+).*\n    \t\w.+$", capsys.readouterr().err, re.MULTILINE)
    assert flags == sorted(each.flag for each in declared(tool.options))
