"""The options of to_nsq. As the original it has no ``-version``."""

from __future__ import annotations

import attrs

from nsqtx.client.addresses import valid_address
from nsqtx.kinds import INT, STRING, STRINGS
from nsqtx.options import option
from nsqtx.tools.destinations import PRODUCER_OPTIONS, writer_config
from nsqtx.tools.sources import ClientOption
from nsqtx.wire.names import valid_name

__all__ = ["ToNsqOptions", "start_error"]


@attrs.define
class ToNsqOptions:
    """All options."""

    topic: str = option(STRING, "", "topic to publish to")
    delimiter: str = option(STRING, "\n", "byte at which the input is cut into records")
    rate: int = option(INT, 0, "records a second at most; 0 for no limit")
    nsqd_tcp_address: list[str] = option(
        STRINGS, (), "nsqd to publish to, host:port (given several times, each gets everything)"
    )
    producer_opt: list[ClientOption] = option(
        PRODUCER_OPTIONS,
        (),
        "option of the client library, as name,value (may be given several times)",
    )

    @property
    def delimiter_byte(self) -> bytes:
        """As bytes. What the shell gave need not be UTF-8."""
        return self.delimiter.encode("utf-8", "surrogateescape")


def start_error(options: ToNsqOptions) -> str | None:
    """What keeps to_nsq from starting with these options."""
    if not options.topic:
        return "--topic required"
    if len(options.delimiter_byte) != 1:
        return "--delimiter must be a single byte"
    try:
        writer_config(options.producer_opt, "to_nsq")
        for address in options.nsqd_tcp_address:
            valid_address(address)
    except ValueError as error:
        return f"failed to create nsq.Producer - {error}"
    if not options.nsqd_tcp_address:
        return "--nsqd-tcp-address required"
    if not valid_name(options.topic):
        # What nsqd would answer to the first record.
        return f'E_BAD_TOPIC PUB topic name "{options.topic}" is not valid'
    return None
