"""The units of deploy/systemd, as far as tests read them."""

from __future__ import annotations

import shlex
from configparser import ConfigParser
from pathlib import Path

__all__ = ["UNITS", "arguments", "unit"]

UNITS = Path(__file__).parents[2] / "deploy/systemd"


def unit(name: str) -> ConfigParser:
    """A unit; of keys that stand there several times, the last."""
    parser = ConfigParser(strict=False, interpolation=None, delimiters="=")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    text = (UNITS / name).read_text(encoding="utf-8")
    parser.read_string(text.replace("\\\n", " "))
    return parser


def arguments(name: str) -> list[str]:
    """The command line of a service, without the program."""
    return shlex.split(unit(f"{name}.service")["Service"]["ExecStart"])[1:]
