"""SIGHUP: the configuration file is read again, and what may change while running changes.

What counts is the difference to what was read before. So an option that was changed through
``/config`` keeps that value until its line in the file is changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from twisted.logger import Logger

from nsqtx.kinds import Unparsable
from nsqtx.options import ConfigError, UsageError, declared, read_file, read_flags, read_options
from nsqtx.signals import SteeredService

__all__ = ["Reload"]

log = Logger(namespace="nsqtx.reload")


class Reload:
    """Reads the options of a running service again, each time it is called.

    ``arguments`` is the command line, ``read`` what it and the file gave at the start (nobody may
    change it), ``start_error`` says what is wrong with options, or None.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        read: Any,
        start_error: Callable[[Any], str | None],
        service: SteeredService,
    ) -> None:
        self._arguments = list(arguments)
        self._read = read
        self._start_error = start_error
        self._service = service
        # The process may change its directory before it is asked.
        self._path = os.path.abspath(read.config) if read.config else ""

    def __call__(self) -> None:
        if not self._path:
            log.info("SIGHUP: there is no configuration file to read again")
            return
        cls = type(self._read)
        try:
            flags = read_flags(cls, self._arguments)
            options = read_options(cls, flags, read_file(cls, self._path))
            reason = self._start_error(options)
        except (ConfigError, UsageError, Unparsable) as error:
            reason = str(error)
        if reason is not None:
            log.error("SIGHUP: the options stay as they are - {reason}", reason=reason)
            return
        log.info("SIGHUP: read {path} again", path=self._path)
        self._apply(options)

    def _apply(self, options: Any) -> None:
        waiting = []
        for each in declared(type(options)):
            value = getattr(options, each.name)
            if value == getattr(self._read, each.name):
                continue
            if each.name in self._service.changeable:
                log.info("SIGHUP: --{flag} is changed", flag=each.flag)
                self._service.change(each.name, value)
                setattr(self._read, each.name, value)
            else:
                # Said again each time, until there is a restart or the file is put right.
                waiting.append(f"--{each.flag}")
        if waiting:
            log.warn("SIGHUP: only a restart changes {flags}", flags=", ".join(waiting))
