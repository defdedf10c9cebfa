"""The documentation as a site: ``python -m sphinx -W doc doc/_build``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent / "_ext"), str(Path(__file__).parents[1])]

from nsqtx.version import NSQ_VERSION, __version__  # noqa: E402  # the line above finds it

project = "nsqtx"
author = "The nsqtx developers"
copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "declared_options", "plain_signatures"]
exclude_patterns = ["_build"]
myst_heading_anchors = 4
myst_enable_extensions = ["substitution"]
myst_substitutions = {"nsq_version": NSQ_VERSION}

# Docstrings have names in single backticks, whatever they are the names of.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
python_use_unqualified_type_names = True
maximum_signature_line_length = 80

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = f"nsqtx {__version__}"
html_copy_source = False
html_show_sphinx = False

if os.environ.get("NSQTX_DOC_LINKS"):
    # Links into the documentation of others, whose tables of contents have to be downloaded.
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3/", None),
        "twisted": ("https://docs.twisted.org/en/stable/api/", None),
    }
