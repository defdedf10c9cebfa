"""The example in Go, made once."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.interop.running import ROOT

#: What is made needs nothing from elsewhere: it may not even look.
_OFFLINE = {"GOPROXY": "off", "GOFLAGS": "-mod=readonly"}


@pytest.fixture(scope="session")
def go_example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that doc/examples/go is, after Go's own checks of it."""
    go = shutil.which("go")
    if go is None:
        pytest.fail("the example in Go needs Debian's golang-go, and there is no `go` on the PATH")
    program = tmp_path_factory.mktemp("go") / "nsqexample"
    for command in (
        ["gofmt", "-l", "."],
        [go, "vet", "./..."],
        [go, "build", "-o", str(program), "."],
    ):
        done = subprocess.run(
            command,
            cwd=ROOT / "doc/examples/go",
            env={**os.environ, **_OFFLINE},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
    return program
