"""How much a peer may ask for."""

from __future__ import annotations

import attrs

__all__ = [
    "MAX_LINE",
    "MIN_HEARTBEAT_INTERVAL",
    "MIN_MSG_TIMEOUT",
    "MIN_OUTPUT_BUFFER_SIZE",
    "Limits",
]

#: A command line, its line feed included, in bytes (nsqd-tcp section 3).
MAX_LINE = 16384
#: The least a client may ask for (nsqd-tcp section 7.2): milliseconds, milliseconds, bytes.
MIN_HEARTBEAT_INTERVAL = 1000
MIN_MSG_TIMEOUT = 1000
MIN_OUTPUT_BUFFER_SIZE = 64


@attrs.frozen
class Limits:
    """The limits of a server, with their defaults (nsqd-tcp section 12).

    Sizes are in bytes, times in milliseconds. The names are those of the options.
    """

    max_msg_size: int = 1024 * 1024
    max_body_size: int = 5 * 1024 * 1024
    max_rdy_count: int = 2500
    max_req_timeout: int = 3_600_000
    max_msg_timeout: int = 900_000
    max_heartbeat_interval: int = 60_000
    max_output_buffer_size: int = 65536
    min_output_buffer_timeout: int = 25
    max_output_buffer_timeout: int = 30_000
    max_deflate_level: int = 6

    @property
    def max_message_count(self) -> int:
        """How many messages one MPUB may have: each takes at least five bytes."""
        return (self.max_body_size - 4) // 5
