"""The directive ``declared-options``: a table of the options of a program, from its declaration.

Its argument is the name of a command; the module that the command runs has a `PROGRAM` or a `TOOL`,
which knows the class of its options.
"""

from __future__ import annotations

from configparser import ConfigParser
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from nsqtx.options import Declared, declared

__all__ = ["commands", "options_class", "setup"]


def commands() -> dict[str, str]:
    """The modules of all commands, by their names."""
    setup = ConfigParser()
    setup.read(Path(__file__).parents[2] / "setup.cfg", encoding="utf-8")
    lines = setup["options.entry_points"]["console_scripts"].strip().splitlines()
    places = dict(line.split(" = ") for line in lines)
    return {name: place.partition(":")[0] for name, place in places.items()}


def options_class(command: str) -> type[Any]:
    """Where a command declares its options.

    :raises KeyError: there is no such command.
    """
    module = import_module(commands()[command])
    program = getattr(module, "PROGRAM", None) or module.TOOL
    options: type[Any] = program.options
    return options


class DeclaredOptions(SphinxDirective):
    """See the module."""

    required_arguments = 1
    has_content = False
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        """The table."""
        every = declared(options_class(self.arguments[0]))
        keys = any(each.key for each in every)
        head = ["flag", *(["key"] if keys else []), "default", "meaning"]
        widths = [24, *([24] if keys else []), 14, 50]
        group = nodes.tgroup(cols=len(head))
        group += [nodes.colspec(colwidth=width) for width in widths]
        group += nodes.thead("", self._row(head))
        body = nodes.tbody()
        for each in every:
            flag, key = f"``--{each.flag}``", f"``{each.key}``" if each.key else ""
            body += self._row([flag, *([key] if keys else []), _default(each), each.help])
        group += body
        return [nodes.table("", group, classes=["options"])]

    def _row(self, cells: list[str]) -> nodes.row:
        row = nodes.row()
        for cell in cells:
            entry = nodes.entry()
            if cell.startswith("``"):
                entry += nodes.paragraph("", "", nodes.literal(text=cell.strip("`")))
            else:
                entry += nodes.paragraph(text=cell)
            row += entry
        return row


def _default(each: Declared) -> str:
    """What the usage says of the default, if that is more than nothing."""
    if each.default in ("", []) or each.default is None:
        return ""
    text = each.kind.default_text(each.default).strip('"')
    return f"``{text}``" if text.strip() else ""


def setup(app: Sphinx) -> dict[str, Any]:
    """What Sphinx calls."""
    app.add_directive("declared-options", DeclaredOptions)
    return {"parallel_read_safe": True}
