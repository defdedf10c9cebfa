"""Prints the body of each message of a channel, and finishes it: ADDRESS TOPIC CHANNEL."""

from __future__ import annotations

import sys
from typing import Any

import nsq  # type: ignore[import-untyped]


def show(message: Any) -> bool:
    """Returning true finishes it."""
    print(message.body.decode(), flush=True)
    return True


if __name__ == "__main__":
    address, topic, channel = sys.argv[1:]
    reader = nsq.Reader(topic, channel, message_handler=show, nsqd_tcp_addresses=[address])
    nsq.run()
