"""Where tools consume from: addresses, and options of the client library."""

from __future__ import annotations

from typing import Any

from nsqtx.kinds import Kind

__all__ = ["CONSUMER_OPTIONS", "parse_client_option"]


def parse_client_option(text: str) -> tuple[str, str | None]:
    """Name and value of ``name,value``; without a comma there is no value (apps section 1.4)."""
    name, comma, value = text.partition(",")
    return name.replace("-", "_"), value if comma else None


def _no_file(value: Any) -> Any:
    raise ValueError("tools have no configuration file")


CONSUMER_OPTIONS = Kind(lambda text: [parse_client_option(text)], _no_file, "value", many=True)
