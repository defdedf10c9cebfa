"""nsqd from the command line, as the ``nsqd`` command and as ``twistd -n nsqd``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from twisted.application.service import IService
from twisted.python import usage as twisted_usage

from nsqtx.logs import NsqLogObserver, install
from nsqtx.nsqd.options import NsqdOptions, start_error
from nsqtx.options import usage
from nsqtx.run import (
    TwistdService,
    cannot_start,
    fail_under_twistd,
    raise_file_limit,
    read_command_line,
    run_in_foreground,
    twistd_stream,
)

__all__ = ["Options", "main", "makeService"]

PROGRAM = "nsqd"


class Options(twisted_usage.Options):
    """The same command line for ``twistd``. ``nsqd`` has what it says."""

    nsqd: NsqdOptions
    parent: Any = None

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        self.nsqd = _read(sys.argv[1:] if options is None else options)

    def getUsage(self, width: int | None = None) -> str:
        return usage(NsqdOptions, PROGRAM)


def _read(arguments: Sequence[str]) -> NsqdOptions:
    options = read_command_line(NsqdOptions, PROGRAM, arguments)
    reason = start_error(options)
    if reason is not None:
        cannot_start(PROGRAM, f"failed to instantiate nsqd - {reason}")
    return options


def makeService(options: Options) -> IService:
    """The service that ``twistd`` runs."""
    from twisted.internet import reactor

    # Not at the top: Klein imports the reactor, which `--version` need not wait for.
    from nsqtx.nsqd.service import NsqdService, StartError

    raise_file_limit()
    config = options.parent or {}
    stream = twistd_stream(config, reactor)
    observer = None
    if stream is not None:
        observer = NsqLogObserver(stream, options.nsqd.log_prefix, options.nsqd.log_level)
    return TwistdService(
        NsqdService(options.nsqd, reactor, observer),
        observer,
        StartError,
        lambda text: fail_under_twistd(PROGRAM, text, config, stream),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run nsqd in the foreground; the exit code.

    :raises SystemExit: it does not come to that (`read_command_line`).
    """
    options = _read(sys.argv[1:] if arguments is None else arguments)
    from twisted.internet import reactor

    from nsqtx.nsqd.service import NsqdService, StartError

    raise_file_limit()
    observer = install(options.log_prefix, options.log_level)
    service = NsqdService(options, reactor, observer)
    return run_in_foreground(reactor, service, PROGRAM, StartError)
