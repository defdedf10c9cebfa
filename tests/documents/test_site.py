"""The site has every document and every program; what README links to is there."""

from __future__ import annotations

import re
from configparser import ConfigParser
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOC = ROOT / "doc"


def listed(index: Path) -> list[str]:
    """What the tables of contents of a document name; some are patterns."""
    trees = re.findall(r"```\{toctree\}\n(.*?)```", index.read_text("utf-8"), re.DOTALL)
    lines = [line.strip() for tree in trees for line in tree.splitlines()]
    return [line for line in lines if line and not line.startswith(":")]


@pytest.mark.parametrize("index", ["index.md", "api/index.md"])
def test_every_document_has_a_place(index: str) -> None:
    """In one table of contents, and each place has a document."""
    place = DOC / index
    documents = {path.stem for path in place.parent.glob("*.md")} - {"index"}
    for name in documents:
        assert [each for each in listed(place) if fnmatchcase(name, each)], name
    for each in listed(place):
        assert list(place.parent.glob(f"{each}.md")), each


def test_the_options_of_every_command_are_shown() -> None:
    """In the order of the commands."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = setup["options.entry_points"]["console_scripts"].strip().splitlines()
    text = (DOC / "options.md").read_text("utf-8")
    shown = re.findall(r"^```\{declared-options\} (\w+)$", text, re.MULTILINE)
    assert set(shown) == {line.partition(" ")[0] for line in lines}


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(name: str) -> None:
    """To files of the project, and to headings that they have."""
    text = (ROOT / name).read_text("utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        found = ROOT / (path or name)
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", found.read_text("utf-8"), re.MULTILINE)
            assert anchor in {heading.lower().replace(" ", "-") for heading in headings}, target
