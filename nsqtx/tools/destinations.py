"""Where tools publish to: options of the client library."""

from __future__ import annotations

from collections.abc import Iterable

from nsqtx.client.config import WriterConfig
from nsqtx.tools.sources import ClientOption, client_options, user_agent

__all__ = ["PRODUCER_OPTIONS", "writer_config"]

PRODUCER_OPTIONS = client_options(WriterConfig)

#: What nsqd takes is nsqd's to say: a message that is too large for it is refused by it.
_ANY_SIZE = 1024 * 1024 * 1024


def writer_config(options: Iterable[ClientOption], tool: str) -> WriterConfig:
    """The settings of a tool's Writer.

    :raises ConfigError: they do not go together.
    """
    config = WriterConfig(
        max_message_size=_ANY_SIZE, max_body_size=_ANY_SIZE, max_publish_attempts=1
    )
    return config.with_options([*options, ("user_agent", user_agent(tool))])
