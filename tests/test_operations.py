"""doc/operations.md says what is so: options, levels, files and figures by their names."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from nsqtx.broker.broker import Broker, Settings
from nsqtx.broker.stats import TopicStats
from nsqtx.nsqd.options import CHANGEABLE, NsqdOptions
from nsqtx.nsqlookupd.options import NsqlookupdOptions
from nsqtx.options import Declared, declared
from nsqtx.storage.layout import ROOT
from nsqtx.storage.metadata import FILE_NAME
from nsqtx.storage.volume import DURABILITIES
from nsqtx.web.metrics import Exposition
from tests.support.expositions import lookupd_exposition, nsqd_exposition
from tests.support.lists import ListStore

DOCUMENT = (Path(__file__).parents[1] / "doc/operations.md").read_text(encoding="utf-8")
#: Defaults that are another on each host.
HOSTS = {"node_id": "of the host name", "broadcast_address": "the host name"}


def table(head: str, section: str = "# Operations") -> list[list[str]]:
    """The cells of the first table with that head in or after a section, without the head."""
    _, _, document = DOCUMENT.partition(f"{section}\n")
    _, found, rest = document.partition(f"\n| {head} |\n")
    assert found, f"no table with the head {head}"
    lines = rest.split("\n\n", 1)[0].splitlines()[1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def row_of(each: Declared) -> list[str]:
    """What the table says of an option."""
    default = HOSTS.get(each.name)
    if default is None:
        text = each.kind.default_text(each.default).strip('"')
        if each.name == "log_level":
            text = each.default
        default = f"`{text}`" if each.default not in ("", []) else ""
    return [f"`--{each.flag}`", f"`{each.key}`" if each.key else "", default, each.help]


@pytest.mark.parametrize(
    ("options", "section"),
    [(NsqdOptions, "## Options"), (NsqlookupdOptions, "### Options of nsqlookupd")],
)
def test_the_table_of_options_is_the_declaration(options: type[Any], section: str) -> None:
    """Flag, key, default and meaning of each, in the order of the declaration."""
    found = table("flag | key | default | meaning", section)
    assert found == [[cell.strip() for cell in row_of(each)] for each in declared(options)]


def test_what_may_change_while_nsqd_runs_is_named() -> None:
    """By the keys of the file."""
    rest = DOCUMENT.partition("if it may change while nsqd runs:")[2].partition(". Limits and")[0]
    keys = {each.key for each in declared(NsqdOptions) if each.name in CHANGEABLE}
    assert set(re.findall("`(.*?)`", rest)) == keys


def test_every_level_of_durability_is_explained() -> None:
    """By its name, in the order of what it promises."""
    head = "`--durability` | OK means | nsqd is killed | the machine loses power | what it costs"
    levels = [re.findall("`(.*?)`", row[0])[0] for row in table(head)]
    assert levels == list(DURABILITIES)


def test_files_are_called_what_they_are_called() -> None:
    """The layout shown is the layout used."""
    assert f"        {FILE_NAME} " in DOCUMENT
    assert f"        {ROOT}/\n" in DOCUMENT


@pytest.mark.parametrize(
    ("figure", "of"), [(row[0].strip("`"), row[1]) for row in table("figure | of | look out for")]
)
def test_figures_to_watch_are_in_stats(figure: str, of: str) -> None:
    """Each is a key of /stats, where it is said to be."""
    broker = Broker(ListStore(), Clock().seconds, Settings())
    broker.get_topic("t").get_channel("c")
    found = TopicStats.of(broker)
    assert found is not None
    topics = list(found)
    places = {
        "nsqd": {"health", "memory", "start_time", "version"},
        "topic": set(topics[0]),
        "channel": set(topics[0]["channels"][0]),
    }
    assert figure in places[of]


def metrics(exposition: Exposition, program: str) -> list[list[str]]:
    """Name, type, labels and meaning of each family of a program's own."""
    rows: dict[str, list[str]] = {}
    labels: dict[str, set[str]] = {}
    for family in exposition.registry.collect():
        if family.name.startswith(f"{program}_"):
            ending = {"counter": "_total", "info": "_info"}.get(family.type, "")
            kind = {"info": "gauge"}.get(family.type, family.type)
            rows[family.name] = [f"`{family.name}{ending}`", kind, family.documentation]
            found = labels.setdefault(family.name, set())
            for sample in family.samples:
                found.update(sample.labels)
    return [
        [name, kind, ", ".join(sorted(labels[key] - {"le"}, reverse=True)), meaning]
        for key, (name, kind, meaning) in rows.items()
    ]


@pytest.mark.parametrize(
    ("exposition", "program", "section"),
    [
        (nsqd_exposition, "nsqd", "### Prometheus"),
        (lookupd_exposition, "nsqlookupd", "### What to watch of nsqlookupd"),
    ],
)
def test_the_table_of_metrics_is_the_registry(
    exposition: Callable[[], Exposition], program: str, section: str
) -> None:
    """Name, type, labels and meaning of each, in the order in which they come."""
    found = table("metric | type | labels | meaning", section)
    assert found == metrics(exposition(), program)
