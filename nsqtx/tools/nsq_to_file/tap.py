"""nsq_to_file from the command line, as the command and as ``twistd -n nsq_to_file``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nsqtx.program import MakeService, Program, TwistdOptions
from nsqtx.tools.nsq_to_file.options import NsqToFileOptions, early_error, start_error
from nsqtx.tools.tool import read_tool_options

__all__ = ["Options", "main", "makeService"]


def _load() -> tuple[Any, MakeService]:
    from twisted.internet import reactor

    from nsqtx.tools.nsq_to_file.service import make_service

    return reactor, make_service


class _NsqToFile(Program):
    """It says like the other tools what is wrong with its flags, and SIGHUP closes its files."""

    def read(self, arguments: Sequence[str] | None) -> Any:
        return read_tool_options(self.options, self.name, arguments, self.start_error, early_error)

    def at_hangup(self, service: Any, read: Any, arguments: Sequence[str]) -> Callable[[], None]:
        close_files: Callable[[], None] = service.hung_up
        return close_files


PROGRAM = _NsqToFile("nsq_to_file", NsqToFileOptions, start_error, _load)


class Options(TwistdOptions):
    """The same command line for ``twistd``."""

    program = PROGRAM


main = PROGRAM.main
makeService = PROGRAM.make_service
