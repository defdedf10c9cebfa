"""Installations of nsqtx, and readers of its documents, who install and use it.

What nsqtx depends on is borrowed from this interpreter, so that nothing is downloaded.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from tests.support.checkout import borrowed, not_of_the_project
from tests.support.networks import NamespaceNetwork
from tests.support.shelldocument import run_on_hosts

ROOT = Path(__file__).parents[2]
#: What a new user reads, in this order.
DOCUMENTS = [ROOT / name for name in ("README.md", "doc/quickstart.md", "doc/tutorial.md")]


@attrs.frozen
class Installation:
    """A clean environment with nsqtx in it, and what it was installed from."""

    root: Path
    sdist: Path
    wheel: Path

    def command(self, name: str) -> str:
        """The path of a console script."""
        return str(self.root / "bin" / name)

    def run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a console script to its end, far from any checkout."""
        return subprocess.run(
            [self.command(name), *arguments],
            cwd=self.root,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.root)},
            text=True,
            capture_output=True,
            timeout=60,
        )


def follow_the_documents(way: str, directory: Path, network: NamespaceNetwork) -> None:
    """Do in a directory what a new user reads, with what is there to install from, the ``way``.

    Commands are run as they are written, on the host that they are for; pip takes what this
    interpreter lends for installed, and downloads nothing.

    :raises AssertionError: one fails, or does not say what the document says.
    """
    environment = {
        "PATH": f"{Path(sys.base_prefix) / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(borrowed()),
        "HOME": str(directory.parent),
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        # What is lent is as good as installed; ours may be in it, too.
        "PIP_IGNORE_INSTALLED": "1",
    }
    run_on_hosts(DOCUMENTS, way, directory, environment, network)


@pytest.fixture
def network() -> Iterator[NamespaceNetwork]:
    """The hosts of a document, and nobody else, so that it can use the ports that all use."""
    network = NamespaceNetwork("10.0.0", uplink=False)
    yield network
    network.close()


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, so that a build leaves nothing in the working copy."""
    copy = tmp_path_factory.mktemp("source") / "nsqtx"
    shutil.copytree(ROOT, copy, ignore=not_of_the_project)
    return copy


@pytest.fixture(scope="session")
def installation(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Build the source distribution, from it the wheel, and install that, without the checkout."""
    built = tmp_path_factory.mktemp("built")
    _quietly(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(built), str(source)],
    )
    (sdist,) = built.glob("*.tar.gz")
    (wheel,) = built.glob("*.whl")
    root = tmp_path_factory.mktemp("installed")
    venv.create(root, with_pip=False, symlinks=True)
    python = root / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    _quietly([*pip, "--no-deps", "--no-index", "--disable-pip-version-check", str(wheel)])
    own = sysconfig.get_path("purelib", vars={"base": str(root)})
    (Path(own) / "borrowed.pth").write_text("\n".join(borrowed()) + "\n")
    return Installation(root, sdist, wheel)


def _quietly(command: list[str]) -> None:
    """Run to the end; what it said is shown only if it failed."""
    done = subprocess.run(command, text=True, capture_output=True, timeout=300, cwd=sys.prefix)
    assert done.returncode == 0, done.stdout + done.stderr
