"""nsq_tail from the command line."""

from __future__ import annotations

from typing import Any

from nsqtx.tools.nsq_tail.options import NsqTailOptions, start_error
from nsqtx.tools.tool import MakeTool, Tool

__all__ = ["main"]


def _load() -> tuple[Any, MakeTool]:
    from twisted.internet import reactor

    from nsqtx.tools.nsq_tail.service import NsqTailService

    return reactor, NsqTailService


TOOL = Tool("nsq_tail", NsqTailOptions, start_error, _load)

main = TOOL.main
