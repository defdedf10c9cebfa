"""Signatures as a reader would write them, rather than as Python shows some of their parts."""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

__all__ = ["plain", "setup"]


def plain(text: str) -> str:
    """Interfaces by their names, and no word of attrs for defaults that are made later."""
    text = re.sub(r"<InterfaceClass ([\w.]+)>", r"\1", text)
    return re.sub(r"= ?NOTHING\b", "= ...", text)


def _process(
    _app: Sphinx,
    _what: str,
    _name: str,
    _object: object,
    _options: object,
    signature: str | None,
    returned: str | None,
) -> tuple[str | None, str | None]:
    return signature and plain(signature), returned and plain(returned)


def setup(app: Sphinx) -> dict[str, Any]:
    """What Sphinx calls."""
    app.connect("autodoc-process-signature", _process)
    return {"parallel_read_safe": True}
