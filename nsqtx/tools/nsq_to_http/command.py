"""nsq_to_http from the command line."""

from __future__ import annotations

from typing import Any

from nsqtx.tools.nsq_to_http.options import NsqToHttpOptions, start_error
from nsqtx.tools.tool import MakeTool, Tool

__all__ = ["main"]


def _load() -> tuple[Any, MakeTool]:
    from twisted.internet import reactor

    from nsqtx.tools.nsq_to_http.service import NsqToHttpService

    return reactor, NsqToHttpService


TOOL = Tool("nsq_to_http", NsqToHttpOptions, start_error, _load)

main = TOOL.main
