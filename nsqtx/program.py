"""A daemon as a program: the same command line for its own command and for ``twistd``.

A daemon's ``tap`` module makes one `Program`, and from it what setuptools and twistd look for::

    PROGRAM = Program("nsqd", NsqdOptions, start_error, _load)

    class Options(TwistdOptions):
        program = PROGRAM

    main, makeService = PROGRAM.main, PROGRAM.make_service
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import attrs
from twisted.application.service import IService
from twisted.logger import Logger
from twisted.python import usage as twisted_usage
from twisted.python.logfile import LogFile

from nsqtx.logs import LogStream, NsqLogObserver, install
from nsqtx.options import usage
from nsqtx.reload import Reload
from nsqtx.run import (
    TwistdService,
    cannot_start,
    fail_under_twistd,
    raise_file_limit,
    read_command_line,
    run_in_foreground,
    twistd_stream,
)
from nsqtx.signals import SteeredService, handle_signals

__all__ = ["MakeService", "Program", "TwistdOptions"]

log = Logger(namespace="nsqtx.program")

#: Makes the service of options, reactor, log observer.
MakeService = Callable[[Any, Any, NsqLogObserver | None], IService]


@attrs.frozen
class Program:
    """One daemon.

    ``options`` is its options class, with ``config``, ``log_level``, ``log_prefix`` and
    ``log_format``; ``start_error`` says what keeps it from starting with some, or None. ``load``
    imports the reactor and the service: Klein imports the reactor as well, which ``--version`` need
    not wait for.
    """

    name: str
    options: type[Any]
    start_error: Callable[[Any], str | None]
    load: Callable[[], tuple[Any, MakeService]]

    def read(self, arguments: Sequence[str] | None) -> Any:
        """The options that a command line gives; None: that of this process.

        :raises SystemExit: there is nothing to run; what there is to say was said.
        """
        arguments = sys.argv[1:] if arguments is None else arguments
        options = read_command_line(self.options, self.name, arguments)
        reason = self.start_error(options)
        if reason is not None:
            text = f"failed to instantiate {self.name} - {reason}"
            cannot_start(self.name, text, options.log_format)
        return options

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """Run in the foreground; the exit code.

        :raises SystemExit: it does not come to that (`read`).
        """
        options = self.read(arguments)
        # Not at the top, for the same reason as `load`: it brings all of Twisted's transports.
        from nsqtx.reactor import install_if_possible

        install_if_possible()
        reactor, make = self.load()
        raise_file_limit()
        form = options.log_format
        observer = install(options.log_prefix, options.log_level, form=form)
        service = self._steered(make, options, reactor, observer, arguments, None)
        return run_in_foreground(reactor, service, self.name, form)

    def _steered(
        self,
        make: MakeService,
        options: Any,
        reactor: Any,
        observer: NsqLogObserver | None,
        arguments: Sequence[str] | None,
        stream: LogStream | None,
    ) -> IService:
        """Make the service; if it can be steered by signals, let it be."""
        # The service may change its own.
        read = attrs.evolve(options)
        service = make(options, reactor, observer)
        if isinstance(service, SteeredService):
            arguments = sys.argv[1:] if arguments is None else arguments
            then = self.at_hangup(service, read, arguments)
            handle_signals(reactor, service, lambda: _hung_up(stream, then))
        return service

    def at_hangup(
        self, service: SteeredService, read: Any, arguments: Sequence[str]
    ) -> Callable[[], None]:
        """What SIGHUP makes the service do, beside what becomes of the log file.

        ``read`` is what the command line, ``arguments``, gave at the start.
        """
        return Reload(arguments, read, self.start_error, service)

    def make_service(self, given: TwistdOptions) -> IService:
        """The service that ``twistd`` runs."""
        options = given.read
        reactor, make = self.load()
        raise_file_limit()
        config = given.parent or {}
        stream = twistd_stream(config, reactor)
        observer = None
        if stream is not None:
            observer = NsqLogObserver(
                stream, options.log_prefix, options.log_level, options.log_format
            )
        service = self._steered(make, options, reactor, observer, given.arguments, stream)
        return TwistdService(
            service,
            observer,
            lambda text: fail_under_twistd(self.name, text, config, stream, options.log_format),
            reactor,
        )


def _hung_up(stream: LogStream | None, then: Callable[[], None]) -> None:
    """SIGHUP: begin the log file anew if it was moved away, then do what else there is to do."""
    if isinstance(stream, LogFile):
        try:
            # A `LogFile` that cannot open its file again would have none at all.
            with open(stream.path, "ab"):
                pass
            stream.reopen()
        except OSError as error:
            log.error("SIGHUP: the log file stays as it is - {error}", error=error)
    then()


class TwistdOptions(twisted_usage.Options):
    """The command line for ``twistd``. ``read`` has what it says."""

    program: ClassVar[Program]
    read: Any
    arguments: Sequence[str] | None = None
    parent: Any = None

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        self.arguments = options
        self.read = self.program.read(options)

    def getUsage(self, width: int | None = None) -> str:
        return usage(self.program.options, self.program.name)
