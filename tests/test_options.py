"""Options: one declaration, read from a command line and a TOML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

from nsqtx.durations import MINUTE, SECOND
from nsqtx.kinds import (
    BOOL,
    DURATION,
    FLOATS,
    INT,
    LOG_LEVEL,
    STRING,
    STRINGS,
    TLS_REQUIRED,
    Unparsable,
)
from nsqtx.options import (
    ConfigError,
    Declared,
    HelpWanted,
    UsageError,
    config_value,
    declared,
    option,
    read_file,
    read_flags,
    read_options,
    usage,
)


@attrs.define
class Options:
    """An option of each kind."""

    version: bool = option(BOOL, False, "print the version", key=None)
    msg_timeout: int = option(DURATION, MINUTE, "time to finish a message")
    max_rdy_count: int = option(INT, 2500, "the largest RDY")
    node_id: int = option(INT, lambda: 41 + 1, "a node", key="id", factory=True)
    deflate: bool = option(BOOL, True, "allow deflate")
    log_level: str = option(LOG_LEVEL, "info", "log level")
    tls_required: str = option(TLS_REQUIRED, "false", "require TLS")
    data_path: str = option(STRING, "", "directory")
    lookupd: list[str] = option(STRINGS, ["d:1"], "addresses", flag="lookupd-tcp-address")
    percentile: list[float] = option(FLOATS, [], "percentiles", key="percentiles")
    not_an_option: int = 7


def write(path: Path, text: str) -> str:
    """A configuration file of that text."""
    file = path / "c.toml"
    file.write_text(text)
    return str(file)


def read(path: Path, text: str, *arguments: str) -> Options:
    """The options of a file and a command line."""
    return read_options(
        Options, read_flags(Options, arguments), read_file(Options, write(path, text))
    )


def test_flag_key_and_default_come_from_the_declaration() -> None:
    """The flag is the name with dashes, the key is the name, unless said otherwise."""
    found = {each.name: (each.flag, each.key, each.default) for each in declared(Options)}
    assert found == {
        "version": ("version", None, False),
        "msg_timeout": ("msg-timeout", "msg_timeout", MINUTE),
        "max_rdy_count": ("max-rdy-count", "max_rdy_count", 2500),
        "node_id": ("node-id", "id", 42),
        "deflate": ("deflate", "deflate", True),
        "log_level": ("log-level", "log_level", "info"),
        "tls_required": ("tls-required", "tls_required", "false"),
        "data_path": ("data-path", "data_path", ""),
        "lookupd": ("lookupd-tcp-address", "lookupd", ["d:1"]),
        "percentile": ("percentile", "percentiles", []),
    }
    assert all(isinstance(each, Declared) for each in declared(Options))


def test_the_default_of_a_list_is_not_shared() -> None:
    """Two sets of options do not change each other's lists."""
    one, two = Options(), Options()
    one.lookupd.append("x")
    assert two.lookupd == ["d:1"]


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        ([], {}),
        (["-data-path=/x"], {"data_path": "/x"}),
        (["--data-path=/x"], {"data_path": "/x"}),
        (["--data-path", "/x"], {"data_path": "/x"}),
        (["--data-path", "-x"], {"data_path": "-x"}),
        (["--data-path="], {"data_path": ""}),
        (["--data-path=a=b"], {"data_path": "a=b"}),
        (["--data-path=a", "--data-path=b"], {"data_path": "b"}),
        (["--deflate=false"], {"deflate": False}),
        (["--deflate", "--data-path=x"], {"deflate": True, "data_path": "x"}),
        (["--deflate", "false", "--data-path=x"], {"deflate": True}),
        (["--tls-required"], {"tls_required": "true"}),
        (["--tls-required", "tcp-https", "--nope"], {"tls_required": "true"}),
        (["--tls-required=tcp-https"], {"tls_required": "tcp-https"}),
        (["--", "--data-path=x"], {}),
        (["-", "--data-path=x"], {}),
        (["", "--data-path=x"], {}),
        (["word", "--nope"], {}),
        (
            ["--lookupd-tcp-address=a:1", "-lookupd-tcp-address", "b:2"],
            {"lookupd": ["a:1", "b:2"]},
        ),
        (["--percentile=0.5,0.99", "--percentile=0.9"], {"percentile": [0.99, 0.9, 0.5]}),
        (
            ["--msg-timeout=5s", "--max-rdy-count=0x10"],
            {"msg_timeout": 5 * SECOND, "max_rdy_count": 16},
        ),
    ],
)
def test_a_command_line_is_read_as_go_does(arguments: list[str], values: dict[str, Any]) -> None:
    """One or two dashes, a value behind = or in the next word; the first other word ends it."""
    assert read_flags(Options, arguments) == values


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--nope"], "flag provided but not defined: -nope"),
        (["-nope=1"], "flag provided but not defined: -nope"),
        (["--not-an-option=1"], "flag provided but not defined: -not-an-option"),
        (["--node_id=1"], "flag provided but not defined: -node_id"),
        (["---x"], "bad flag syntax: ---x"),
        (["-=1"], "bad flag syntax: -=1"),
        (["--=1"], "bad flag syntax: --=1"),
        (["--data-path"], "flag needs an argument: -data-path"),
        (["--msg-timeout=60"], 'invalid value "60" for flag -msg-timeout: parse error'),
        (["--msg-timeout="], 'invalid value "" for flag -msg-timeout: parse error'),
        (
            ["--data-path=x", "--max-rdy-count", "\n"],
            r'invalid value "\n" for flag -max-rdy-count: parse error',
        ),
        (["--deflate=maybe"], 'invalid boolean value "maybe" for -deflate: parse error'),
        (["--deflate="], 'invalid boolean value "" for -deflate: parse error'),
        (
            ["--tls-required=maybe"],
            'invalid boolean value "maybe" for -tls-required: '
            'strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
        (["--nope", "--help"], "flag provided but not defined: -nope"),
    ],
)
def test_a_wrong_command_line_is_refused_with_gos_text(arguments: list[str], text: str) -> None:
    """The first thing that is wrong is named; control characters are shown escaped."""
    with pytest.raises(UsageError) as caught:
        read_flags(Options, arguments)
    assert str(caught.value) == text


@pytest.mark.parametrize("word", ["-h", "--h", "-help", "--help", "--help=yes"])
def test_help_is_asked_for(word: str) -> None:
    """Each spelling of help does, before anything that is wrong behind it."""
    with pytest.raises(HelpWanted):
        read_flags(Options, ["--data-path=x", word, "--nope"])


def test_a_percentile_that_is_no_number_ends_the_reading() -> None:
    """It is an error of its own kind."""
    with pytest.raises(Unparsable):
        read_flags(Options, ["--percentile=x"])


def test_defaults_without_any_words() -> None:
    """What nobody gives has its default, a list by its factory too."""
    options = read_options(Options, {}, {})
    assert options == Options()
    assert (options.node_id, options.lookupd, options.not_an_option) == (42, ["d:1"], 7)


def test_a_flag_beats_the_file_and_the_file_beats_the_default(tmp_path: Path) -> None:
    """Precedence of nsqd-engine section 14.1."""
    options = read(tmp_path, 'msg_timeout = "5s"\nmax_rdy_count = 10\n', "--msg-timeout=7s")
    assert (options.msg_timeout, options.max_rdy_count) == (7 * SECOND, 10)
    assert options.deflate is True


def test_a_list_of_flags_replaces_that_of_the_file(tmp_path: Path) -> None:
    """Lists are not joined."""
    assert read(tmp_path, 'lookupd = ["f:1", "f:2"]\n').lookupd == ["f:1", "f:2"]
    text = 'lookupd = ["f:1", "f:2"]\n'
    assert read(tmp_path, text, "--lookupd-tcp-address=c:1").lookupd == ["c:1"]


def test_a_flag_with_the_default_value_beats_the_file(tmp_path: Path) -> None:
    """It counts that it was given, not what it says."""
    assert read(tmp_path, "max_rdy_count = 10\n", "--max-rdy-count=2500").max_rdy_count == 2500


def test_percentiles_of_a_file_keep_their_order(tmp_path: Path) -> None:
    """Only those of the command line are put in descending order (nsqd-engine section 12)."""
    assert read(tmp_path, "percentiles = [0.5, 0.99]\n").percentile == [0.5, 0.99]


def test_unknown_keys_and_tables_are_ignored(tmp_path: Path) -> None:
    """Also the names of flags where the key is another, and keys that no file may set."""
    text = "node_id = 5\nversion = true\nnot_an_option = 1\nother = 1\n[nsqd]\nid = 3\n"
    assert read(tmp_path, text) == Options()


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    """The text is the original's."""
    with pytest.raises(ConfigError) as caught:
        read_file(Options, f"{tmp_path}/no")
    path = f"{tmp_path}/no"
    expected = f"failed to load config file {path} - open {path}: no such file or directory"
    assert (str(caught.value), caught.value.early) == (expected, False)


@pytest.mark.parametrize("content", [b"x = = 1\n", b"\xff\xfe", b"x = 1\nx = 2\n", b"[a\n"])
def test_a_file_that_is_no_toml_is_an_error(tmp_path: Path, content: bytes) -> None:
    """It is named, and what is wrong with it."""
    file = tmp_path / "c.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_file(Options, str(file))
    assert str(caught.value).startswith(f"failed to load config file {file} - toml: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "error", "early"),
    [
        (
            'msg_timeout = "60"',
            "Resolve failed to coerce value 60 (1m0s) for field msg_timeout"
            ' - time: missing unit in duration "60"',
            True,
        ),
        (
            "max_rdy_count = 1.5",
            "Resolve failed to coerce value 1.5 (2500) for field max_rdy_count"
            " - invalid int64 value type float64",
            True,
        ),
        ('log_level = "warning"', "failed parsing log_level warning", False),
        ('tls_required = "maybe"', "failed parsing tls_required maybe", False),
    ],
)
def test_a_wrong_value_in_a_file_is_an_error(
    tmp_path: Path, text: str, error: str, early: bool
) -> None:
    """The original finds some of these before it can log, which shows in the line."""
    with pytest.raises(ConfigError) as caught:
        read_file(Options, write(tmp_path, text))
    assert (str(caught.value), caught.value.early) == (error, early)


def test_a_wrong_value_in_a_file_is_an_error_though_a_flag_beats_it(tmp_path: Path) -> None:
    """A file is right or wrong by itself."""
    with pytest.raises(ConfigError):
        read(tmp_path, 'msg_timeout = "60"', "--msg-timeout=5s")


def test_config_shows_options_by_their_key() -> None:
    """Those without a key, and what is no option, are not there."""
    options = Options(node_id=3, log_level="warn", lookupd=[])
    shown = {key: config_value(options, key) for key in ("id", "log_level", "lookupd")}
    assert shown == {"id": 3, "log_level": 3, "lookupd": []}
    for key in ("version", "node_id", "not_an_option", "", "__class__"):
        with pytest.raises(KeyError):
            config_value(options, key)


def test_the_usage_lists_every_option() -> None:
    """Sorted by flag; the default is said where it says something."""
    assert usage(Options, "prog") == (
        "Usage of prog:\n"
        "  -data-path string\n"
        "    \tdirectory\n"
        "  -deflate\n"
        "    \tallow deflate (default true)\n"
        "  -log-level value\n"
        "    \tlog level (default INFO)\n"
        "  -lookupd-tcp-address value\n"
        "    \taddresses (default ['d:1'])\n"
        "  -max-rdy-count int\n"
        "    \tthe largest RDY (default 2500)\n"
        "  -msg-timeout duration\n"
        "    \ttime to finish a message (default 1m0s)\n"
        "  -node-id int\n"
        "    \ta node (default 42)\n"
        "  -percentile value\n"
        "    \tpercentiles\n"
        "  -tls-required\n"
        "    \trequire TLS\n"
        "  -version\n"
        "    \tprint the version\n"
    )
