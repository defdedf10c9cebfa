"""nsq_to_nsq from the command line."""

from __future__ import annotations

from typing import Any

from nsqtx.tools.nsq_to_nsq.options import NsqToNsqOptions, start_error
from nsqtx.tools.tool import MakeTool, Tool

__all__ = ["main"]


def _load() -> tuple[Any, MakeTool]:
    from twisted.internet import reactor

    from nsqtx.tools.nsq_to_nsq.service import NsqToNsqService

    return reactor, NsqToNsqService


TOOL = Tool("nsq_to_nsq", NsqToNsqOptions, start_error, _load)

main = TOOL.main
