"""Options: declared once per daemon, read from the command line and a TOML file.

A daemon's options are an attrs class whose fields are made by `option`. From that one declaration
come the flag, the key in the file, the entry under ``/config``, the default and the usage text::

    @attrs.define
    class Options:
        msg_timeout: int = option(DURATION, "1m", "time before a message is sent again")

The syntax is the original's (nsqd-engine section 14): ``-flag`` or ``--flag``, ``=value`` or a word
of its own, what is no flag ends the flags. A flag beats the file, the file beats the default.
"""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Sequence
from typing import Any, TypeVar

import attrs

from nsqtx.kinds import Kind

__all__ = [
    "ConfigError",
    "Declared",
    "HelpWanted",
    "UsageError",
    "config_value",
    "declared",
    "flags_or_exit",
    "option",
    "read_file",
    "read_flags",
    "read_options",
    "split_flags",
    "usage",
]

T = TypeVar("T")


class UsageError(Exception):
    """The command line is wrong: say so with the usage, exit code 2."""


class HelpWanted(Exception):
    """The command line asks for the usage: exit code 0."""


class ConfigError(Exception):
    """The configuration file cannot be used; exit code 1. The text is for the operator.

    ``early``: the original finds this out before it can log, and writes a line without prefix.
    """

    def __init__(self, text: str, early: bool = False) -> None:
        super().__init__(text)
        self.early = early


@attrs.frozen
class Declared:
    """One option as it was declared. ``key`` is None for those that no file may set."""

    name: str
    kind: Kind
    default: Any
    help: str
    key: str | None
    flag: str


def option(
    kind: Kind,
    default: Any,
    help: str,
    key: str | None = "",
    flag: str = "",
    factory: bool = False,
) -> Any:
    """A field of an options class.

    ``default`` is a value, or with ``factory`` a function that makes one. ``key`` and ``flag`` are
    only given where they are not the field's name.
    """
    metadata = {"option": (kind, help, key, flag)}
    if kind.many:
        return attrs.field(factory=lambda: list(default), metadata=metadata)
    if factory:
        return attrs.field(factory=default, metadata=metadata)
    return attrs.field(default=default, metadata=metadata)


def declared(cls: type[Any]) -> list[Declared]:
    """The options of a class, in the order of their declaration."""
    found = []
    for field in attrs.fields(cls):
        if "option" not in field.metadata:
            continue
        kind, help, key, flag = field.metadata["option"]
        default = field.default
        if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
            default = default.factory()
        key = field.name if key == "" else key
        flag = flag or field.name.replace("_", "-")
        found.append(Declared(field.name, kind, default, help, key, flag))
    return found


def read_flags(cls: type[Any], arguments: Sequence[str]) -> dict[str, Any]:
    """The options that a command line gives, by name.

    :raises HelpWanted: ``-h`` or ``--help``.
    :raises UsageError: it is wrong; the text is the first line of what Go programs say.
    :raises Unparsable: a percentile is no number.
    """
    return split_flags(cls, arguments)[0]


def split_flags(cls: type[Any], arguments: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """As `read_flags`, and what is no flag and ends them."""
    by_flag = {each.flag: each for each in declared(cls)}
    values: dict[str, Any] = {}
    left = list(arguments)
    while left:
        word = left[0]
        if len(word) < 2 or word[0] != "-":
            break
        left.pop(0)
        if word == "--":
            break
        text = word[2:] if word.startswith("--") else word[1:]
        if not text or text[0] in "-=":
            raise UsageError(f"bad flag syntax: {word}")
        flag, has_value, value = text.partition("=")
        if flag not in by_flag:
            if flag in ("h", "help"):
                raise HelpWanted
            raise UsageError(f"flag provided but not defined: -{flag}")
        each = by_flag[flag]
        if not has_value:
            if each.kind.switch:
                value = "true"
            elif left:
                value = left.pop(0)
            else:
                raise UsageError(f"flag needs an argument: -{flag}")
        try:
            parsed = each.kind.parse(value)
        except ValueError as error:
            what = "boolean value" if each.kind.switch else "value"
            link = "for" if each.kind.switch else "for flag"
            shown = json.dumps(value, ensure_ascii=False)
            raise UsageError(f"invalid {what} {shown} {link} -{flag}: {error}") from None
        if each.kind.many:
            values.setdefault(each.name, []).extend(parsed)
        else:
            values[each.name] = parsed
    for each in by_flag.values():
        if each.kind.descending and each.name in values:
            values[each.name].sort(reverse=True)
    return values, left


def flags_or_exit(
    cls: type[Any], program: str, arguments: Sequence[str]
) -> tuple[dict[str, Any], list[str]]:
    """As `split_flags`, for a process that cannot go on without.

    :raises SystemExit: help was asked for, or they are wrong; the usage was written.
    :raises Unparsable: a percentile is no number.
    """
    try:
        return split_flags(cls, arguments)
    except HelpWanted:
        sys.stderr.write(usage(cls, program))
        raise SystemExit(0) from None
    except UsageError as error:
        sys.stderr.write(f"{error}\n{usage(cls, program)}")
        raise SystemExit(2) from None


def read_file(cls: type[Any], path: str) -> dict[str, Any]:
    """The options that a TOML file gives, by name (nsqd-engine section 14.1).

    Unknown keys are ignored. What is given is checked, also where the command line overrides it.

    :raises ConfigError: it cannot be read, or a value has the wrong type.
    """
    try:
        with open(path, "rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise ConfigError(f"failed to load config file {path} - open {path}: {reason}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"failed to load config file {path} - toml: {error}") from None
    values = {}
    for each in declared(cls):
        if each.key is None or each.key not in document:
            continue
        value = document[each.key]
        try:
            values[each.name] = each.kind.coerce(value)
        except ValueError as error:
            if each.kind.checked:
                raise ConfigError(f"failed parsing {each.key} {value}") from None
            default = each.kind.default_text(each.default)
            text = f"value {value} ({default}) for field {each.key} - {error}"
            raise ConfigError(f"Resolve failed to coerce {text}", early=True) from None
    return values


def read_options(cls: type[T], flags: dict[str, Any], file: dict[str, Any]) -> T:
    """The options: flags before file before defaults."""
    return cls(**{**file, **flags})


def config_value(options: Any, key: str) -> Any:
    """What ``/config/<key>`` shows.

    :raises KeyError: there is no such option there.
    """
    for each in declared(type(options)):
        if each.key == key:
            return each.kind.show(getattr(options, each.name))
    raise KeyError(key)


def usage(cls: type[Any], program: str) -> str:
    """The usage, in the form Go programs have it: sorted, two lines each."""
    lines = [f"Usage of {program}:"]
    for each in sorted(declared(cls), key=lambda each: each.flag):
        noun = f" {each.kind.noun}" if each.kind.noun else ""
        lines.append(f"  -{each.flag}{noun}")
        text = each.help
        if each.default not in (None, 0, "", "false") and each.default != []:
            text += f" (default {each.kind.default_text(each.default)})"
        lines.append(f"    \t{text}")
    return "\n".join(lines) + "\n"
