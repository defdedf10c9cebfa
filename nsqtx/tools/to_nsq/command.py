"""to_nsq from the command line."""

from __future__ import annotations

from typing import Any

from nsqtx.tools.to_nsq.options import ToNsqOptions, start_error
from nsqtx.tools.tool import MakeTool, Tool

__all__ = ["main"]


def _load() -> tuple[Any, MakeTool]:
    from twisted.internet import reactor

    from nsqtx.tools.to_nsq.service import ToNsqService

    return reactor, ToNsqService


TOOL = Tool("to_nsq", ToNsqOptions, start_error, _load)

main = TOOL.main
