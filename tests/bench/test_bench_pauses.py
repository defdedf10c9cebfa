"""What a publisher waits meanwhile is measured (`bench.pauses`)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.pauses import SITUATIONS, main


@pytest.mark.parametrize("name", [each.name for each in SITUATIONS if "fsync" not in each.name])
def test_pauses(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each situation can be had in small, and then most are served as ever."""
    main(["--scale=0.004", f"--data={tmp_path}", f"--only={name}"])
    (line,) = [each for each in capsys.readouterr().out.splitlines() if name in each]
    found = re.search(r" ([\d,]+) +([\d.]+) +([\d.]+) +([\d.]+)$", line)
    assert found is not None
    assert int(found[1].replace(",", "")) > 0
    assert float(found[2]) <= float(found[3]) <= float(found[4])
    assert float(found[2]) < 1000
