"""A tool as a command: its flags, its exit code (apps sections 1.1 and 1.2)."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.application.service import IService
from twisted.internet.defer import maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from nsqtx.options import flags_or_exit, read_options
from nsqtx.tools.lines import install_lines, stamped
from nsqtx.version import NSQ_VERSION

__all__ = ["Ending", "MakeTool", "Tool", "read_tool_options"]

log = Logger(namespace="nsqtx.tools.tool")


def read_tool_options(
    cls: type[Any],
    name: str,
    arguments: Sequence[str] | None,
    start_error: Callable[[Any], str | None],
    before_version: Callable[[Any, Sequence[str]], str | None] = lambda options, left: None,
) -> Any:
    """The options that a command line gives; None: that of this process.

    ``before_version`` may refuse even ``--version``, and is told what is no flag; ``start_error``
    says what else keeps the tool from starting.

    :raises SystemExit: there is nothing to run; what there is to say was said.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    flags, left = flags_or_exit(cls, name, arguments)
    options = read_options(cls, flags, {})
    reason = before_version(options, left)
    if reason is None and flags.get("version"):
        sys.stdout.write(f"{name} v{NSQ_VERSION}\n")
        raise SystemExit(0)
    if reason is None:
        reason = start_error(options)
    if reason is not None:
        sys.stderr.write(stamped(reason) + "\n")
        raise SystemExit(1)
    return options


class Ending:
    """How a running tool ends, when it does so by itself."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._ending = False
        #: The exit code.
        self.code = 0

    def finish(self) -> None:
        """All is done: stop."""
        if not self._ending:
            self.begun()
            self._reactor.stop()

    def begun(self) -> None:
        """It is stopping already, for another reason."""
        self._ending = True

    def fail(self, text: str) -> None:
        """Say why it cannot go on, and stop."""
        if not self._ending:
            log.error("{text}", text=text)
            self.code = 1
            self.finish()

    def crash(self, failure: Failure) -> None:
        """The same for a bug."""
        if not self._ending:
            log.failure("a bug", failure)
            self.code = 1
            self.finish()


#: Makes the service of options, reactor, ending.
MakeTool = Callable[[Any, Any, Ending], IService]


@attrs.frozen
class Tool:
    """One tool. ``load`` imports reactor and service, which ``--version`` need not wait for.

    ``hangup_ends``: SIGHUP is as SIGTERM; else it kills.
    """

    name: str
    options: type[Any]
    start_error: Callable[[Any], str | None]
    load: Callable[[], tuple[Any, MakeTool]]
    hangup_ends: bool = False

    def read(self, arguments: Sequence[str] | None) -> Any:
        """The options that a command line gives; None: that of this process.

        :raises SystemExit: there is nothing to run; what there is to say was said.
        """
        return read_tool_options(self.options, self.name, arguments, self.start_error)

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """Run until it is done, fails, or is told to stop by SIGINT or SIGTERM; the exit code.

        :raises SystemExit: it does not come to that.
        """
        options = self.read(arguments)
        reactor, make = self.load()
        install_lines()
        ending = Ending(reactor)
        service = make(options, reactor, ending)

        if self.hangup_ends:
            signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(ending.finish))

        def start() -> None:
            reactor.addSystemEventTrigger("before", "shutdown", stop)
            try:
                service.startService()
            except Exception:  # noqa: BLE001  # logged, and it ends the process
                ending.crash(Failure())

        def stop() -> Any:
            ending.begun()
            return maybeDeferred(service.stopService).addErrback(
                lambda failure: log.failure("the stop was not clean", failure)
            )

        reactor.callWhenRunning(start)
        reactor.run()
        return ending.code
