"""doc/tools.md names flags that there are, each where it belongs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from nsqtx.allinone.options import NsqOptions
from nsqtx.nsqd.options import NsqdOptions
from nsqtx.options import declared
from nsqtx.tools.nsq_stat.options import NsqStatOptions
from nsqtx.tools.nsq_tail.options import NsqTailOptions
from nsqtx.tools.nsq_to_file.options import NsqToFileOptions
from nsqtx.tools.nsq_to_http.options import NsqToHttpOptions
from nsqtx.tools.nsq_to_nsq.options import NsqToNsqOptions
from nsqtx.tools.to_nsq.options import ToNsqOptions

DOCUMENT = (Path(__file__).parents[2] / "doc/tools.md").read_text(encoding="utf-8")
TOOLS: dict[str, type[Any]] = {
    "nsq_to_file": NsqToFileOptions,
    "nsq_to_http": NsqToHttpOptions,
    "nsq_to_nsq": NsqToNsqOptions,
    "nsq_tail": NsqTailOptions,
    "nsq_stat": NsqStatOptions,
    "to_nsq": ToNsqOptions,
    "nsq": NsqOptions,
}


def flags(options: type[Any]) -> set[str]:
    """Those it declares."""
    return {each.flag for each in declared(options)}


@pytest.mark.parametrize("tool", TOOLS)
def test_flags_of_its_section_are_its_own(tool: str) -> None:
    """Or, said with its name, nsqd's."""
    _, _, rest = DOCUMENT.partition(f"\n## {tool}\n")
    section = re.sub(r"nsqd's `--[a-z-]+`", "", rest.partition("\n## ")[0])
    named = set(re.findall(r"(?<![\w-])--([a-z][a-z-]*)", section))
    assert named
    assert named <= flags(TOOLS[tool])


def test_what_is_said_of_nsqd() -> None:
    """Its flags are its own."""
    named = set(re.findall(r"nsqd's `--([a-z-]+)`", DOCUMENT))
    assert named
    assert named <= flags(NsqdOptions)


def test_every_tool_is_there() -> None:
    """In the table and as a section."""
    for tool in TOOLS:
        assert f"| `{tool}` |" in DOCUMENT
        assert f"\n## {tool}\n" in DOCUMENT
