"""nsq_stat from the command line."""

from __future__ import annotations

from typing import Any

from nsqtx.tools.nsq_stat.options import NsqStatOptions, start_error
from nsqtx.tools.tool import MakeTool, Tool

__all__ = ["main"]


def _load() -> tuple[Any, MakeTool]:
    from twisted.internet import reactor

    from nsqtx.tools.nsq_stat.service import NsqStatService

    return reactor, NsqStatService


TOOL = Tool("nsq_stat", NsqStatOptions, start_error, _load, hangup_ends=True)

main = TOOL.main
