"""Versions: NSQ's, which clients and tools look at, and ours beside it."""

from __future__ import annotations

import platform

__all__ = ["NSQ_VERSION", "RUNTIME", "__version__"]

#: The version of NSQ that this is a drop-in for; the only one on the wire.
NSQ_VERSION = "1.3.0"

__version__ = "0.1.0"

#: What stands in ``built w/...``: no spaces and no parentheses, since scripts parse that line.
RUNTIME = f"nsqtx-{__version__}-python{platform.python_version()}"
