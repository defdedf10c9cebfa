"""The directive ``declared-options``: a table of the options of a program, from its declaration.

Its argument is the name of a command; the module that the command runs has a `PROGRAM` or a `TOOL`,
which knows the class of its options.
"""

from __future__ import annotations

from collections.abc import Sequence
from configparser import ConfigParser
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import attrs
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
        cls = options_class(self.arguments[0])
        every = declared(cls)
        of_the_host = made_by_the_host(cls)
        keys = any(each.key for each in every)
        group = nodes.tgroup(cols=3)
        group += [nodes.colspec(colwidth=width) for width in (32, 16, 52)]
        first = [nodes.Text("flag, and key in a file" if keys else "flag")]
        group += nodes.thead("", _row(first, [nodes.Text("default")], [nodes.Text("meaning")]))
        body = nodes.tbody()
        for each in every:
            names = [f"--{each.flag}", *([each.key] if each.key else [])]
            default = "" if each.name in of_the_host else _default(each)
            body += _row(
                [nodes.literal(text=name) for name in names],
                [nodes.literal(text=default)] if default else [],
                [nodes.Text(each.help)],
            )
        group += body
        return [nodes.table("", group, classes=["options"])]


def _row(*cells: Sequence[nodes.Node]) -> nodes.row:
    """Cells, each of which has a paragraph for each of its parts."""
    row = nodes.row()
    for cell in cells:
        entry = nodes.entry()
        for part in cell:
            entry += nodes.paragraph("", "", part)
        row += entry
    return row


def made_by_the_host(options: type[Any]) -> set[str]:
    """Options whose default is another one on each machine, that which builds the site included."""
    return {
        field.name
        for field in attrs.fields(options)
        if isinstance(field.default, attrs.Factory)  # type: ignore[arg-type]
        and not field.metadata["option"][0].many
    }


def _default(each: Declared) -> str:
    """What the usage says of the default, if that is more than nothing."""
    if each.default in ("", []) or each.default is None:
        return ""
    return each.kind.default_text(each.default).strip('"').strip()


def setup(app: Sphinx) -> dict[str, Any]:
    """What Sphinx calls."""
    app.add_directive("declared-options", DeclaredOptions)
    return {"parallel_read_safe": True}
