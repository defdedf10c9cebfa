"""nsqd from the command line, as the ``nsqd`` command and as ``twistd -n nsqd``.

Exit codes and texts are those of the original (nsqd-engine sections 7.3 and 14): 0 after SIGINT or
SIGTERM, ``--help`` and ``--version``; 1 when nsqd cannot start; 2 for a wrong command line.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from typing import Any

from twisted.application.service import IService
from twisted.python import usage as twisted_usage

from nsqtx import logs
from nsqtx.kinds import Unparsable
from nsqtx.nsqd.options import NsqdOptions, start_error
from nsqtx.options import (
    ConfigError,
    HelpWanted,
    UsageError,
    read_file,
    read_flags,
    read_options,
    usage,
)
from nsqtx.version import NSQ_VERSION, RUNTIME

__all__ = ["Options", "main", "makeService", "raise_file_limit", "read"]

PREFIX = "[nsqd] "
#: What is reported in the original's short form when a file gives it a bad value.
NAMED = ("log_level", "tls_required", "tls_min_version")


def read(arguments: Sequence[str]) -> NsqdOptions:
    """The options that a command line, and the file it names, give.

    :raises HelpWanted, UsageError, Unparsable: as `read_flags`.
    :raises ConfigError: as `read_file`.
    """
    flags = read_flags(NsqdOptions, arguments)
    percentiles = flags.get("e2e_processing_latency_percentile")
    if percentiles is not None:
        percentiles.sort(reverse=True)
    path = flags.get("config", "")
    file = read_file(NsqdOptions, path, NAMED) if path and not flags.get("version") else {}
    return read_options(NsqdOptions, flags, file)


def raise_file_limit() -> None:
    """Let the process open as many files as it is allowed to: a connection each, and segments."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            pass  # as many as before, then


def _service(options: NsqdOptions, reactor: Any, observer: logs.NsqLogObserver) -> IService:
    # Not at the top: importing Klein installs the reactor, which `--version` need not wait for.
    from nsqtx.nsqd.service import NsqdService

    service = NsqdService(options, reactor, observer)
    assert IService.providedBy(service)
    return service


class Options(twisted_usage.Options):
    """The same command line for ``twistd``."""

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        arguments = sys.argv[1:] if options is None else options
        try:
            self.nsqd = read(arguments)
        except HelpWanted:
            print(self.getUsage())
            raise SystemExit(0) from None
        except (UsageError, ConfigError) as error:
            raise twisted_usage.UsageError(str(error)) from None
        except Unparsable as error:
            raise twisted_usage.UsageError(f"Could not parse: {error}") from None
        if self.nsqd.version:
            print(_version())
            raise SystemExit(0)

    def getUsage(self, width: int | None = None) -> str:
        return usage(NsqdOptions, "nsqd")


def makeService(options: Options) -> IService:
    """The service that ``twistd`` runs."""
    from twisted.internet import reactor

    error = start_error(options.nsqd)
    if error is not None:
        raise twisted_usage.UsageError(f"failed to instantiate nsqd - {error}")
    raise_file_limit()
    observer = logs.install_beside_twistd(options.nsqd.log_prefix, options.nsqd.log_level)
    return _service(options.nsqd, reactor, observer)


def _version() -> str:
    return f"nsqd v{NSQ_VERSION} (built w/{RUNTIME})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run nsqd in the foreground; the exit code."""
    try:
        options = read(sys.argv[1:] if arguments is None else arguments)
    except HelpWanted:
        sys.stderr.write(usage(NsqdOptions, "nsqd"))
        return 0
    except UsageError as error:
        sys.stderr.write(f"{error}\n{usage(NsqdOptions, 'nsqd')}")
        return 2
    except Unparsable as error:
        print(time.strftime("%Y/%m/%d %H:%M:%S"), f"Could not parse: {error}", file=sys.stderr)
        return 1
    except ConfigError as error:
        logs.fatal(PREFIX, str(error))
        return 1
    if options.version:
        print(_version())
        return 0
    reason = start_error(options)
    if reason is not None:
        logs.fatal(PREFIX, f"failed to instantiate nsqd - {reason}")
        return 1
    return _run(options)


def _run(options: NsqdOptions) -> int:
    from twisted.internet import reactor

    from nsqtx.nsqd.service import StartError

    loop: Any = reactor
    raise_file_limit()
    observer = logs.install(options.log_prefix, options.log_level)
    service = _service(options, loop, observer)
    try:
        service.startService()
    except StartError as error:
        logs.fatal(options.log_prefix, str(error))
        return 1
    loop.addSystemEventTrigger("before", "shutdown", service.stopService)
    loop.run()
    return 0
