"""The bench runs, and the price of a message has not become another one (`bench.run`)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.cases import cases
from bench.run import main

#: Cases that are run, and how often their CPU per message may be that of the ceiling. Quiet
#: machines show a quarter to a third of that.
RATIOS = {
    "MPUB 200": 16.0,
    "SUB RDY 2500": 16.0,
    "PUB awaiting OK, 16 connections": 8.0,
    "HTTP /pub, 16 connections": 10.0,
}


def measured(path: Path, *arguments: str) -> Any:
    """The report of a run."""
    report = path / "report.json"
    assert main(["--repeat=1", f"--json={report}", *arguments]) == 0
    return json.loads(report.read_text())


def test_cpu_per_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A message costs a few times what the reactor, the transport and the kernel do, no more."""
    only = [f"--only={name}" for name in RATIOS]
    report = measured(tmp_path, "--scale=0.01", f"--data={tmp_path}", *only, "--exactly")
    assert report["cases"].keys() == RATIOS.keys()
    for name, most in RATIOS.items():
        figures, ceiling = report["cases"][name]["ours"], report["cases"][name]["ceiling"]
        assert figures["messages"] == ceiling["messages"] > 0
        assert figures["cpu_us"] / ceiling["cpu_us"] < most, name
    table = capsys.readouterr().out
    assert all(name in table for name in RATIOS)


def test_another_server(tmp_path: Path) -> None:
    """Any nsqd can be measured, by its command."""
    command = tmp_path / "nsqd"
    command.write_text(
        "import sys\nfrom nsqtx.nsqd.tap import main\nsys.exit(main())\n", encoding="utf-8"
    )
    other = f"{sys.executable} {command}"
    report = measured(
        tmp_path,
        "--scale=0.001",
        "--only=under way at 500",
        f"--server={other}",
    )
    ((_, figures),) = report["cases"].items()
    assert figures[other]["latency"]["p99"] >= figures[other]["latency"]["p50"] > 0


def test_every_case_has_a_name_of_its_own() -> None:
    """No case of the report hides another."""
    names = [case.name for case in cases(1.0, Path())]
    assert len(names) == len(set(names))
