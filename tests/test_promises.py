"""Each promise of doc/reliability.md has tests that carry its name, and the document names them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "doc/reliability.md").read_text(encoding="utf-8")
PROMISES = range(1, 10)
#: By the number of the promise, what the document says of it.
SECTIONS = {
    int(part[0]): part
    for part in re.split(r"^### S(?=\d)", DOCUMENT.partition("\n## How it works")[0], flags=re.M)[
        1:
    ]
}


def functions_of(path: Path) -> set[str]:
    """Names of the test functions of a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


TESTS = {
    f"{path.relative_to(ROOT).as_posix()}::{name}"
    for path in sorted((ROOT / "tests").rglob("test_*.py"))
    for name in functions_of(path)
}


def test_every_promise_has_its_section() -> None:
    """S1 to S9, in their order."""
    assert list(SECTIONS) == list(PROMISES)


@pytest.mark.parametrize("number", PROMISES)
def test_a_promise_has_tests_that_carry_its_name(number: int) -> None:
    """At least one, and the document names all of them in the promise's section."""
    carriers = {test for test in TESTS if f"_s{number}_" in test.partition("::")[2]}
    assert carriers
    assert {test for test in carriers if f"`{test}`" not in SECTIONS[number]} == set()


@pytest.mark.parametrize("number", PROMISES)
def test_what_the_document_names_is_there(number: int) -> None:
    """Tests by their full name, or whole modules."""
    named = re.findall(r"^\| `(tests/.*?)` \|", SECTIONS[number], re.MULTILINE)
    assert named
    missing = [
        name for name in named if not (name in TESTS if "::" in name else (ROOT / name).exists())
    ]
    assert missing == []
