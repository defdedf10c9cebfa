"""Source distribution and wheel: complete, and enough to run without the checkout."""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Sequence
from configparser import ConfigParser
from pathlib import Path

import pytest

from nsqtx.version import NSQ_VERSION, __version__
from tests.packaging.conftest import ROOT, Installation, follow_the_documents
from tests.support.blockinghttp import get, post
from tests.support.daemon import Daemon, RunningProcess
from tests.support.networks import NamespaceNetwork

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(400)]

#: What the command twistd does; it comes with Twisted, which is borrowed here.
TWISTD = "from twisted.scripts.twistd import run; run()"
PACKAGE = ROOT / "nsqtx"


def scripts() -> list[str]:
    """The names of all commands."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = setup["options.entry_points"]["console_scripts"].strip().splitlines()
    return [line.partition(" ")[0] for line in lines]


def files(folder: Path) -> set[str]:
    """What is in a folder of the working copy, without what Python makes of it."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_has_every_file_of_the_package_and_nothing_else(
    installation: Installation,
) -> None:
    """Modules, templates, static files, the mark that says there are types; no tests."""
    with zipfile.ZipFile(installation.wheel) as wheel:
        found = set(wheel.namelist())
    outside = {name for name in found if ".dist-info/" not in name}
    assert outside == files(PACKAGE) | {"twisted/plugins/nsqtx_plugins.py"}
    assert "nsqtx/py.typed" in found
    assert any(name.endswith(".dist-info/LICENSE") for name in found)


def test_the_source_distribution_has_what_its_tests_need(installation: Installation) -> None:
    """Whoever packages nsqtx can run them."""
    with tarfile.open(installation.sdist) as sdist:
        found = {name.partition("/")[2] for name in sdist.getnames()}
    wanted = files(ROOT / "tests") | files(ROOT / "doc") | files(PACKAGE)
    wanted -= files(ROOT / "doc/_build")
    assert wanted - found == set()
    assert {"README.md", "LICENSE", "setup.cfg", "ruff.toml", ".ci/run"} <= found


def test_both_have_the_version_of_the_module(installation: Installation) -> None:
    """It is said once; the metadata is made from there."""
    assert installation.sdist.name == f"nsqtx-{__version__}.tar.gz"
    assert installation.wheel.name == f"nsqtx-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(installation.wheel) as wheel:
        metadata = wheel.read(f"nsqtx-{__version__}.dist-info/METADATA").decode()
    assert f"\nVersion: {__version__}\n" in metadata


def test_twistd_lists_every_plugin(installation: Installation) -> None:
    """Its help names what the plugin module offers, found in the installation."""
    plugins = (ROOT / "twisted/plugins/nsqtx_plugins.py").read_text(encoding="utf-8")
    wanted = set(re.findall(r'= ServiceMaker\(\s*"(\w+)"', plugins))
    assert {"nsqd", "nsqlookupd"} <= wanted
    place = str(installation.root)
    said = subprocess.run(
        [installation.command("python"), "-c", TWISTD, "--help"],
        cwd=place,
        env={"PATH": "/usr/bin:/bin", "HOME": place},
        text=True,
        capture_output=True,
        timeout=60,
    ).stdout
    offered = set(re.findall(r"^    (\w+) ", said, re.M))
    assert wanted <= offered, said


@pytest.mark.parametrize("name", scripts())
def test_commands_say_their_version(name: str, installation: Installation) -> None:
    """NSQ's, as the original does; where the original has no such flag, the usage."""
    usage = installation.run(name, "--help")
    assert usage.returncode == 0, usage.stderr
    if "\n  -version" not in usage.stderr + usage.stdout:
        return
    said = installation.run(name, "--version")
    assert said.returncode == 0, said.stderr
    assert re.match(rf"{name} v{re.escape(NSQ_VERSION)}\b", said.stdout)


def test_nsqd_runs_from_the_wheel(installation: Installation, tmp_path: Path) -> None:
    """It takes a message, and what answers is the installed code, not a checkout's."""

    def launch(_module: str, arguments: Sequence[str], stderr: int) -> RunningProcess:
        return subprocess.Popen(
            [installation.command("nsqd"), *arguments],
            cwd=installation.root,
            env={"PATH": "/usr/bin:/bin"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )

    with Daemon(tmp_path / "data", launch=launch) as nsqd:
        assert post(nsqd.http, "/pub?topic=t", b"hello")[0] == 200
        status, stacks = get(nsqd.http, "/debug/pprof/goroutine")
        assert status == 200
        assert str(installation.root).encode() in stacks
        assert str(ROOT / "nsqtx").encode() not in stacks
        assert nsqd.stop() == 0


def test_the_documents_do_what_they_say(
    installation: Installation, tmp_path: Path, network: NamespaceNetwork
) -> None:
    """Each command, in order, where there is only the wheel."""
    work = tmp_path / "elsewhere"
    work.mkdir()
    shutil.copy(installation.wheel, work)
    follow_the_documents("wheel", work, network)
