"""doc/client.md says what is so."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from nsqtx.client import config, errors, events
from nsqtx.client.config import ClientConfig, ReaderConfig, WriterConfig

DOC = (Path(__file__).parents[2] / "doc/client.md").read_text()
BLOCKS = re.findall(r"^ *```python\n(.*?)^ *```", DOC, re.DOTALL | re.MULTILINE)


def rows(title: str) -> dict[str, str]:
    """Settings and their defaults, of the table below a title."""
    part = DOC.partition(f"### {title}")[2].partition("\n### ")[0]
    return dict(re.findall(r"^\| `(\w+)`(?: °)? \| (.*?) ?\|", part, re.MULTILINE))


def default(field: attrs.Attribute[Any]) -> str | None:
    """As the tables have it; None: it depends on the machine."""
    value = field.default
    if isinstance(value, attrs.Factory) or field.name == "user_agent":  # type: ignore[arg-type]
        return None
    return f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize(
    ("title", "cls", "base"),
    [
        ("`ClientConfig`", ClientConfig, object),
        ("`ReaderConfig`", ReaderConfig, ClientConfig),
        ("`WriterConfig`", WriterConfig, ClientConfig),
    ],
)
def test_settings(title: str, cls: type, base: type) -> None:
    """Each is there, in order, with its default."""
    known = {each.name for each in attrs.fields(base)} if attrs.has(base) else set()
    fields = [each for each in attrs.fields(cls) if each.name not in known]
    documented = rows(title)
    assert list(documented) == [each.name for each in fields]
    for each in fields:
        assert default(each) in (None, documented[each.name]), each.name


def test_events_and_errors() -> None:
    """Each class has a row."""
    names = [*errors.__all__, *events.__all__]
    for name in set(names) - {"Outcome", "Event", "OnEvent", "teller"}:
        assert re.search(rf"^\|[^|]*`{name}`", DOC, re.MULTILINE), name
    for outcome in errors.Outcome:
        assert f"`{outcome.name}`" in DOC


def test_code_is_code() -> None:
    """Every block can be compiled, but for what stands for more."""
    assert len(BLOCKS) >= 9
    for block in BLOCKS:
        lines = block.splitlines()
        indent = len(lines[0]) - len(lines[0].lstrip())
        text = "\n".join(line[indent:] for line in lines).replace(", ...)", ")")
        compile(text, "doc/client.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("name", ["test_orders", "test_publishing"])
def test_the_example_of_a_test_passes(name: str) -> None:
    """It is run as it stands there."""
    (block,) = [each for each in BLOCKS if f"def {name}" in each]
    names: dict[str, Callable[[], None]] = {}
    exec(block, names)
    names[name]()


def test_config_is_one_module() -> None:
    """There is no class of settings that the tables do not know."""
    classes = {
        name for name, each in vars(config).items() if name.endswith("Config") and attrs.has(each)
    }
    assert classes == {"ClientConfig", "ReaderConfig", "WriterConfig"}
