"""What an installation offers: commands, twistd plugins, the version, the types."""

from __future__ import annotations

import importlib
from configparser import ConfigParser
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.python.reflect import namedAny

import nsqtx
from nsqtx.allinone import tap as nsq
from nsqtx.nsqadmin import tap as nsqadmin
from nsqtx.nsqd import tap as nsqd
from nsqtx.nsqlookupd import tap as nsqlookupd
from nsqtx.tools.nsq_stat import command as nsq_stat
from nsqtx.tools.nsq_tail import command as nsq_tail
from nsqtx.tools.nsq_to_file import tap as nsq_to_file
from nsqtx.tools.nsq_to_http import command as nsq_to_http
from nsqtx.tools.nsq_to_nsq import command as nsq_to_nsq
from nsqtx.tools.to_nsq import command as to_nsq
from nsqtx.version import NSQ_VERSION, RUNTIME, __version__

ROOT = Path(__file__).parents[1]
#: Commands, and the modules that they run. Those that twistd runs as well come first.
DAEMONS = {
    "nsq": nsq,
    "nsqd": nsqd,
    "nsqlookupd": nsqlookupd,
    "nsqadmin": nsqadmin,
    "nsq_to_file": nsq_to_file,
}
PROGRAMS = {
    **DAEMONS,
    "nsq_stat": nsq_stat,
    "nsq_tail": nsq_tail,
    "nsq_to_http": nsq_to_http,
    "nsq_to_nsq": nsq_to_nsq,
    "to_nsq": to_nsq,
}


def test_the_version_is_said_once() -> None:
    """Metadata has it from the module."""
    assert distribution("nsqtx").version == __version__


def test_clients_find_the_version_of_nsq() -> None:
    """The one of the original stands where they look; ours is beside it, easy to parse."""
    assert NSQ_VERSION == "1.3.0"
    assert RUNTIME.startswith(f"nsqtx-{__version__}-python3.")
    assert not set(" ()") & set(RUNTIME)


def test_commands_are_called_by_their_names() -> None:
    """Each entry point leads to main, also of an installation that is older than its checkout."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    scripts = setup["options.entry_points"]["console_scripts"].strip().splitlines()
    assert scripts == [f"{name} = {tap.__name__}:main" for name, tap in PROGRAMS.items()]
    installed = distribution("nsqtx").entry_points.select(group="console_scripts")
    assert installed
    for command in installed:
        assert command.load() is PROGRAMS[command.name].main


def test_twistd_finds_the_daemons() -> None:
    """A plugin has no code of its own: it names the module that makes the service."""
    offered: list[Any] = list(getPlugins(IServiceMaker))
    makers = [maker for maker in offered if getattr(maker, "module", "").startswith("nsqtx.")]
    assert {maker.tapname for maker in makers} == set(DAEMONS)
    for maker in makers:
        tap: Any = DAEMONS[maker.tapname]
        assert maker.options is tap.Options
        assert namedAny(maker.module) is tap
        assert tap.makeService
        assert maker.description


def test_types_are_published() -> None:
    """Type checkers look for that file."""
    assert nsqtx.__file__ is not None
    assert Path(nsqtx.__file__).with_name("py.typed").exists()


@pytest.mark.parametrize("name", ["attrs", "klein", "prometheus-client", "treq", "twisted"])
def test_what_is_needed_is_declared(name: str) -> None:
    """With the lowest version that will do."""
    required = distribution("nsqtx").requires or []
    (found,) = [each for each in required if each.startswith(name) and "extra" not in each]
    assert ">=" in found


def modules() -> list[str]:
    """Every module of the package."""
    package = ROOT / "nsqtx"
    return sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in package.rglob("*.py")
    )


@pytest.mark.parametrize("name", modules())
def test_every_public_name_is_there(name: str) -> None:
    """What __all__ lists exists."""
    module = importlib.import_module(name)
    missing = [each for each in getattr(module, "__all__", []) if not hasattr(module, each)]
    assert missing == []
