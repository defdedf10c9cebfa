"""The client: what Twisted programs publish and consume with (doc/client.md).

::

    from nsqtx.client import Reader, ReaderConfig, Requeue, Writer

`nsqtx.client.reader` says how a Reader works, and who does what in it, `nsqtx.client.writer` how a
Writer does; `nsqtx.client.handling` what a handler may do; `nsqtx.client.errors` and
`nsqtx.client.events` what there is to catch and to watch.
"""

from nsqtx.client.backoff import Exponential, FullJitter
from nsqtx.client.batch import Batches
from nsqtx.client.config import ClientConfig, ReaderConfig, WriterConfig
from nsqtx.client.errors import (
    AlreadyAnswered,
    BadFrame,
    CommandFailed,
    ConfigError,
    ConnectError,
    ConnectionClosed,
    NsqError,
    Outcome,
    PublishFailed,
    ServerError,
    Stopped,
)
from nsqtx.client.message import Message, Requeue
from nsqtx.client.reader import Reader
from nsqtx.client.stats import ConnectionStats, DrainReport, ReaderStats
from nsqtx.client.writer import NsqdStats, Writer, WriterStats

__all__ = [
    "AlreadyAnswered",
    "BadFrame",
    "Batches",
    "ClientConfig",
    "CommandFailed",
    "ConfigError",
    "ConnectError",
    "ConnectionClosed",
    "ConnectionStats",
    "DrainReport",
    "Exponential",
    "FullJitter",
    "Message",
    "NsqError",
    "NsqdStats",
    "Outcome",
    "PublishFailed",
    "Reader",
    "ReaderConfig",
    "ReaderStats",
    "Requeue",
    "ServerError",
    "Stopped",
    "Writer",
    "WriterConfig",
    "WriterStats",
]
