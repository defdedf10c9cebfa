"""Documents do what they say, with the ports that everybody uses, on hosts of their own."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest

from tests.support.checkout import borrowed, not_of_the_project
from tests.support.networks import NamespaceNetwork
from tests.support.shelldocument import Terminals, run_document, steps

ROOT = Path(__file__).parents[2]


@pytest.fixture
def network() -> Iterator[NamespaceNetwork]:
    """The hosts of the tutorial, and nobody else."""
    network = NamespaceNetwork("10.0.0", uplink=False)
    yield network
    network.close()


def commands(directory: Path) -> Path:
    """A directory with the commands of this checkout."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    directory.mkdir()
    for line in setup["options.entry_points"]["console_scripts"].strip().splitlines():
        name, place = line.split(" = ")
        script = directory / name
        code = f"import sys\nfrom {place.partition(':')[0]} import main\nsys.exit(main())\n"
        script.write_text(f"#!{sys.executable}\n{code}")
        script.chmod(0o755)
    python = directory / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return directory


def run(
    document: str, directory: Path, environment: dict[str, str], network: NamespaceNetwork
) -> int:
    """Run a document on the hosts of the tutorial; how many steps it has."""
    one, two = network.host("one"), network.host("two")
    assert (one.address, two.address) == ("10.0.0.10", "10.0.0.11")
    before = {
        name: ["ip", "netns", "exec", host.namespace] for name, host in (("", one), ("two", two))
    }
    terminals = Terminals(directory, environment, before)
    try:
        return run_document(ROOT / document, terminals)
    finally:
        terminals.close()


@pytest.mark.root
@pytest.mark.timeout(240)
def test_the_tutorial_does_what_it_says(tmp_path: Path, network: NamespaceNetwork) -> None:
    """Each command, in order, on the host that it is for."""
    environment = {
        "PATH": f"{commands(tmp_path / 'bin')}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
    }
    work = tmp_path / "work"
    work.mkdir()
    assert run("doc/tutorial.md", work, environment, network) > 20


@pytest.mark.packaging
@pytest.mark.timeout(240)
@pytest.mark.parametrize("document", ["README.md", "doc/quickstart.md"])
def test_a_checkout_is_all_it_takes(
    document: str, tmp_path: Path, network: NamespaceNetwork
) -> None:
    """From a fresh copy of the project: made, installed and run by the commands of the document.

    What nsqtx depends on is lent by this interpreter, so that nothing is downloaded.
    """
    work = tmp_path / "checkout"
    shutil.copytree(ROOT, work, ignore=not_of_the_project)
    environment = {
        "PATH": f"{Path(sys.base_prefix) / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(borrowed()),
        "HOME": str(tmp_path),
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        # What is lent is as good as installed; ours is in it, too, where this is an installation.
        "PIP_IGNORE_INSTALLED": "1",
    }
    assert run(document, work, environment, network)


@pytest.mark.parametrize("name", ["README.md", "doc/quickstart.md", "doc/tutorial.md"])
def test_every_block_of_commands_is_run(name: str) -> None:
    """None is without a place to run it, and no comment about one is misspelt."""
    assert steps(ROOT / name)
