"""nsq from the command line, as the command and as ``twistd -n nsq``."""

from __future__ import annotations

from typing import Any

from nsqtx.allinone.options import NsqOptions, start_error
from nsqtx.program import MakeService, Program, TwistdOptions

__all__ = ["Options", "main", "makeService"]


def _load() -> tuple[Any, MakeService]:
    from twisted.internet import reactor

    from nsqtx.allinone.service import NsqService

    return reactor, NsqService


PROGRAM = Program("nsq", NsqOptions, start_error, _load)


class Options(TwistdOptions):
    """The same command line for ``twistd``."""

    program = PROGRAM


main = PROGRAM.main
makeService = PROGRAM.make_service
