"""README and five minutes do what they say, from a fresh checkout."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT
from tests.support.checkout import borrowed, not_of_the_project
from tests.support.networks import NamespaceNetwork
from tests.support.shelldocument import run_on_hosts

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(400)]


@pytest.mark.parametrize("document", ["README.md", "doc/quickstart.md"])
def test_a_checkout_is_all_it_takes(
    document: str, tmp_path: Path, network: NamespaceNetwork
) -> None:
    """Made, installed and run by the commands of the document, in a copy of the project.

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
        # What is lent is as good as installed; ours may be in it, too.
        "PIP_IGNORE_INSTALLED": "1",
    }
    assert run_on_hosts(ROOT / document, work, environment, network)
