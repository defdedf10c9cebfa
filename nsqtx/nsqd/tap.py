"""nsqd from the command line, as the ``nsqd`` command and as ``twistd -n nsqd``."""

from __future__ import annotations

from typing import Any

from nsqtx.nsqd.options import NsqdOptions, start_error
from nsqtx.program import MakeService, Program, TwistdOptions

__all__ = ["Options", "main", "makeService"]


def _load() -> tuple[Any, MakeService]:
    from twisted.internet import reactor

    from nsqtx.nsqd.service import NsqdService

    return reactor, NsqdService


PROGRAM = Program("nsqd", NsqdOptions, start_error, _load)


class Options(TwistdOptions):
    """The same command line for ``twistd``."""

    program = PROGRAM


main = PROGRAM.main
makeService = PROGRAM.make_service
