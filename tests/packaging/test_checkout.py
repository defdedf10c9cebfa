"""A fresh checkout is all that README and the documents after it need."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT, follow_the_documents
from tests.support.checkout import not_of_the_project
from tests.support.networks import NamespaceNetwork

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(400)]


def test_the_documents_do_what_they_say(tmp_path: Path, network: NamespaceNetwork) -> None:
    """Each command, in order, from the first on."""
    work = tmp_path / "checkout"
    shutil.copytree(ROOT, work, ignore=not_of_the_project)
    follow_the_documents("checkout", work, network)
