"""What the files of nsq_to_file are called (apps section 2.4)."""

from __future__ import annotations

import os
import re
import time

import attrs

from nsqtx.tools.nsq_to_file.options import NsqToFileOptions

__all__ = ["REVISION", "FileName", "FileNameError", "file_name", "format_time", "with_revision"]

#: What stands for the number of a file among those that would have the same name.
REVISION = "<REV>"

#: The conversions there are. What else follows a percent sign stays as it is.
_CONVERSION = re.compile(r"%[AaBbdHIMmpSYyZz%]")
_PLACEHOLDER = re.compile("(<TOPIC>|<HOST>|<PID>|<DATETIME>|<REV>)")


class FileNameError(Exception):
    """A file cannot be called so."""


def format_time(form: str, seconds: float) -> str:
    """A local time in a form with ``%Y`` and the like."""
    at = time.localtime(seconds)
    return _CONVERSION.sub(lambda found: time.strftime(found[0], at), form)


@attrs.frozen
class FileName:
    """The names of one topic's files. ``form`` still has its placeholders."""

    form: str
    topic: str
    host: str
    pid: int
    datetime_format: str

    def at(self, seconds: float) -> str:
        """The name at this time, relative to a directory, with `REVISION` left in place.

        :raises FileNameError: it would lie outside of the directory. A topic may be called ``..``.
        """
        values = {
            "<TOPIC>": self.topic,
            "<HOST>": self.host,
            "<PID>": str(self.pid),
            "<DATETIME>": format_time(self.datetime_format, seconds),
            REVISION: REVISION,
        }
        name = os.path.normpath(_PLACEHOLDER.sub(lambda found: values[found[0]], self.form))
        name = name.lstrip("/")
        if name in ("", ".", "..") or name.startswith("../"):
            raise FileNameError(f"the file name {name!r} leads out of its directory")
        return name

    def pattern(self) -> re.Pattern[str]:
        """What the names of this topic's files match, of any time, process and revision."""
        patterns = {
            "<TOPIC>": re.escape(self.topic),
            "<HOST>": re.escape(self.host),
            "<PID>": "[0-9]+",
            "<DATETIME>": ".*",
            REVISION: "-([0-9]{6,})",
        }
        form = os.path.normpath(self.form).lstrip("/")
        parts = [patterns.get(part) or re.escape(part) for part in _PLACEHOLDER.split(form)]
        # Only the first is asked for; all of them are the same number.
        return re.compile("".join(parts))


def file_name(options: NsqToFileOptions, topic: str, hostname: str, pid: int) -> FileName:
    """The names of a topic's files, by the options."""
    form = options.filename_format
    if not options.numbered:
        form = form.replace(REVISION, "")
    if options.gzip and not form.endswith(".gz"):
        form += ".gz"
    short = hostname.partition(".")[0]
    host = short
    if options.host_identifier:
        host = options.host_identifier.replace("<SHORT_HOST>", short)
        host = host.replace("<HOSTNAME>", hostname)
    return FileName(form, topic, host, pid, options.datetime_format)


def with_revision(name: str, revision: int) -> str:
    """The name of that number."""
    return name.replace(REVISION, f"-{revision:06d}")
