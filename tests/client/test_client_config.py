"""Settings of Readers and Writers: bounds, and options given as text."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from nsqtx.client.config import ClientConfig, ReaderConfig, WriterConfig
from nsqtx.client.errors import ConfigError


@pytest.mark.parametrize(
    "settings",
    [
        {"dial_timeout": 0},
        {"dial_timeout": float("nan")},
        {"read_timeout": 301},
        {"heartbeat_interval": 0},
        {"heartbeat_interval": 0.5},
        {"heartbeat_interval": 61},
        {"output_buffer_size": 63},
        {"output_buffer_timeout": 0.0001},
        {"deflate_level": 0},
        {"deflate_level": 10},
        {"deflate": True, "snappy": True},
        {"tls_cert": "cert.pem"},
        {"tls_min_version": "ssl3.0"},
        {"tls_v1": "false"},
        {"lookupd_poll_jitter": 1.1},
        {"max_msg_size": 10},
    ],
)
def test_bounds(settings: dict[str, Any]) -> None:
    """What is out of bounds is refused, and the text names the setting."""
    with pytest.raises(ConfigError) as caught:
        ClientConfig(**settings)
    if "tls_v1" not in settings:
        assert next(iter(settings)) in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"heartbeat_interval": -1},
        {"heartbeat_interval": 60},
        {"output_buffer_size": -1},
        {"output_buffer_size": 0},
        {"output_buffer_timeout": -1},
        {"output_buffer_timeout": 0},
        {"max_msg_size": 0},
        {"deflate": True},
    ],
)
def test_what_is_special(settings: dict[str, Any]) -> None:
    """-1 turns off, and 0 leaves it to nsqd, where that is so."""
    config = ClientConfig(**settings)
    assert {name: getattr(config, name) for name in settings} == settings


def test_a_consumer_needs_heartbeats() -> None:
    """A Writer may do without, a Reader may not."""
    WriterConfig(heartbeat_interval=-1)
    with pytest.raises(ConfigError, match="heartbeat"):
        ReaderConfig(heartbeat_interval=-1)


@pytest.mark.parametrize(
    "settings",
    [
        {"max_outstanding": 0},
        {"when_full": "block"},
        {"strategy": "best"},
        {"publish_timeout": -1},
        {"max_publish_attempts": 0},
        {"replicas": 0},
        {"batch_count": 0},
    ],
)
def test_bounds_of_writers(settings: dict[str, Any]) -> None:
    """The same is so for the settings of a Writer."""
    with pytest.raises(ConfigError, match=next(iter(settings))):
        WriterConfig(**settings)


@pytest.mark.parametrize(
    ("name", "text", "attribute", "value"),
    [
        ("read_timeout", "90s", "read_timeout", 90),
        ("read-timeout", "1m30s", "read_timeout", 90),
        ("heartbeat_interval", "5000", "heartbeat_interval", 5),
        ("heartbeat_interval", "-1", "heartbeat_interval", -1),
        ("deflate_level", "3", "deflate_level", 3),
        ("lookupd_poll_jitter", "0.5", "lookupd_poll_jitter", 0.5),
        ("tls_v1", None, "tls_v1", True),
        ("tls-v1", "false", "tls_v1", False),
        ("client_id", "me", "client_id", "me"),
        ("auth_secret", "s", "auth_secret", "s"),
        ("skip_lookupd_authorization", "true", "lookupd_authorization", True),
    ],
)
def test_options_as_text(name: str, text: str | None, attribute: str, value: Any) -> None:
    """Tools set settings by the original's names and Go's units."""
    assert getattr(WriterConfig().with_option(name, text), attribute) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("no_such", "1"),
        ("read_timeout", "soon"),
        ("read_timeout", None),
        ("deflate_level", "high"),
        ("deflate_level", "10"),
        ("tls_v1", "perhaps"),
        ("tls_config", "x"),
    ],
)
def test_bad_options(name: str, text: str | None) -> None:
    """What is no setting, or no value for it, is refused."""
    with pytest.raises(ConfigError):
        ClientConfig().with_option(name, text)


def test_options_of_the_other_role_are_passed_over() -> None:
    """A tool gives its options to consumers and producers alike."""
    assert WriterConfig().with_option("max_in_flight", "5") == WriterConfig()


def test_secrets_are_not_shown() -> None:
    """A config that gets into a log shows no secret."""
    assert "hidden" not in repr(ClientConfig(auth_secret="hidden"))


def test_every_default_is_allowed() -> None:
    """Defaults pass their own checks, set explicitly."""
    for cls in (ClientConfig, ReaderConfig, WriterConfig):
        config: Any = cls()
        assert attrs.evolve(config) == config
