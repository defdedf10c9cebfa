"""How a daemon of ours runs: by itself in the foreground, or under ``twistd``.

Both read the same command line and write the same log lines. Texts and exit codes are those of the
original (nsqd-engine sections 7.3, 7.4 and 14): 0 after SIGINT or SIGTERM, ``--help`` and
``--version``; 1 when the daemon cannot start; 2 for a wrong command line.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from twisted.application.service import IService, MultiService
from twisted.internet.defer import maybeDeferred
from twisted.logger import ILogObserver, Logger
from twisted.python.components import Componentized
from twisted.python.failure import Failure
from twisted.python.logfile import LogFile

from nsqtx.heap import Heap
from nsqtx.kinds import Unparsable
from nsqtx.logs import LogStream, NsqLogObserver, fatal
from nsqtx.notify import Notify
from nsqtx.options import ConfigError, flags_or_exit, read_file, read_options
from nsqtx.version import NSQ_VERSION, RUNTIME

__all__ = [
    "StartError",
    "TwistdService",
    "cannot_start",
    "fail_under_twistd",
    "raise_file_limit",
    "read_command_line",
    "run_in_foreground",
    "twistd_stream",
]

T = TypeVar("T")

log = Logger(namespace="nsqtx.run")


class StartError(Exception):
    """A daemon cannot start; the text is for the operator."""


def read_command_line(cls: type[T], program: str, arguments: Sequence[str]) -> T:
    """The options that a command line, and the file it names, give.

    :raises SystemExit: there is nothing to run; what there is to say was said.
    """
    try:
        flags, _ = flags_or_exit(cls, program, arguments)
        if flags.get("version"):
            sys.stdout.write(f"{program} v{NSQ_VERSION} (built w/{RUNTIME})\n")
            raise SystemExit(0)
        path = flags.get("config", "")
        return read_options(cls, flags, read_file(cls, path) if path else {})
    except Unparsable as error:
        sys.stderr.write(f"{_early_stamp()} Could not parse: {error}\n")
        raise SystemExit(1) from None
    except ConfigError as error:
        if error.early:
            sys.stderr.write(f"{_early_stamp()} ERROR: {error}\n")
            raise SystemExit(1) from None
        cannot_start(program, str(error))


def _early_stamp() -> str:
    return time.strftime("%Y/%m/%d %H:%M:%S")


def cannot_start(program: str, text: str, form: str = "text") -> NoReturn:
    """Say why, in that form of log lines.

    :raises SystemExit: with code 1.
    """
    fatal(program, text, form=form)
    raise SystemExit(1)


def raise_file_limit() -> None:
    """Let the process open as many files as it is allowed to: a connection each, and segments."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            # A system that calls it unlimited may still refuse that. As many as before, then.
            pass


def run_in_foreground(reactor: Any, service: IService, program: str, form: str = "text") -> int:
    """Run until SIGINT, SIGTERM or a start that failed; the exit code.

    The service starts in the running reactor, so that a start that fails half-way can close what
    it has opened. It raises `StartError` for reasons of the operator's. ``form`` is that of log
    lines. Systemd is told when it is ready.
    """
    code = 0
    notify = Notify(reactor, os.environ)
    heap = Heap(reactor)

    def failed(failure: Failure, text: str) -> None:
        nonlocal code
        code = 1
        if not failure.check(StartError):
            log.failure("a bug", failure)
        fatal(program, text or failure.getErrorMessage(), form=form)

    def start() -> None:
        try:
            service.startService()
        except Exception:  # noqa: BLE001  # logged, and it ends the process
            failed(Failure(), "")
            reactor.stop()
        else:
            heap.settle()
            reactor.addSystemEventTrigger("before", "shutdown", stop)
            notify.ready()

    def stop() -> Any:
        notify.stopping()
        heap.stop()
        stopping = maybeDeferred(service.stopService)
        return stopping.addErrback(failed, "the stop was not clean")

    reactor.callWhenRunning(start)
    reactor.run()
    return code


class TwistdService(MultiService):
    """What ``twistd`` runs: a daemon's service, with our log lines in place of twistd's.

    Twistd asks its application for a log observer, and a service is handed the application just
    before that: in `setServiceParent`. ``observer`` None leaves the log to twistd.
    Systemd is told when the reactor runs, since before that a signal would not end it cleanly.
    """

    def __init__(
        self,
        service: IService,
        observer: NsqLogObserver | None,
        fail: Callable[[str], None],
        reactor: Any,
    ) -> None:
        super().__init__()
        self._observer = observer
        self._fail = fail
        self._reactor = reactor
        self._notify: Notify | None = None
        self._heap = Heap(reactor)
        service.setServiceParent(self)

    def setServiceParent(self, parent: Any) -> None:
        super().setServiceParent(parent)
        if self._observer is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._observer)

    def startService(self) -> None:
        try:
            super().startService()
        except StartError as error:
            self._fail(str(error))
            raise
        self._heap.settle()
        self._reactor.callWhenRunning(self._ready)

    def _ready(self) -> None:
        # Made only now, since twistd may have forked.
        self._notify = Notify(self._reactor, os.environ)
        self._notify.ready()

    def stopService(self) -> Any:
        if self._notify is not None:
            self._notify.stopping()
        self._heap.stop()
        return super().stopService()


def fail_under_twistd(
    program: str,
    text: str,
    config: Mapping[str, Any],
    stream: LogStream | None,
    form: str = "text",
) -> None:
    """Say why a daemon cannot start, where its log goes. What is raised next is twistd's to report.

    :raises SystemExit: with code 1, in the foreground, since twistd would report it there by some
        thirty lines of traceback. Its pid file is removed, as twistd does otherwise.
    """
    fatal(program, text, stream, form)
    if config.get("statusPipe") is not None:
        # In the background: the process that waits for us at the other end must be told.
        return
    pid_file = config.get("pidfile")
    if pid_file:
        try:
            os.unlink(pid_file)
        except OSError:
            # Twistd copes with a stale one.
            pass
    raise SystemExit(1)


def twistd_stream(config: Mapping[str, Any], reactor: Any) -> LogStream | None:
    """Where the log goes by twistd's own options; None: what they ask for is not ours to do.

    Without any that is standard error in the foreground, and ``twistd.log`` in the background. As
    with twistd's own log, SIGUSR1 begins a new file. SIGHUP, after which a file that was moved away
    is made again, is `nsqtx.program`'s.
    """
    name = config.get("logfile") or ""
    if config.get("logger") or config.get("syslog") or name == "-":
        return None
    if config.get("nodaemon") and not name:
        return sys.stderr
    file: Any = LogFile.fromFullPath(os.path.abspath(name or "twistd.log"))
    if not signal.getsignal(signal.SIGUSR1):
        signal.signal(signal.SIGUSR1, lambda *_: reactor.callFromThread(file.rotate))
    stream: LogStream = file
    return stream
