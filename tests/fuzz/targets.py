"""What can be fuzzed: for each target, how any bytes are taken apart, and what must be true then.

The properties are those that hypothesis tests as well (`tests.support.streams`,
`tests.support.strangefiles` and so on). A fuzzer has only bytes, so a first byte or two say how the
others are cut into reads, and what else there is to choose.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

import attrs

from tests.support.anysession import any_session
from tests.support.http import request_bytes
from tests.support.lanes import any_requests, same_answers
from tests.support.nsqdapi import binary
from tests.support.parsing import mpub, sized
from tests.support.strangefiles import (
    HOW,
    Damage,
    damaged_data_path,
    metadata_of,
    takes_or_refuses,
)
from tests.support.streams import (
    answers_for_nsqd,
    frames_for_a_client,
    nothing_follows_an_error,
    same_commands,
    same_frames,
    same_lookup_events,
)

__all__ = ["TARGETS", "Target"]


def cut(data: bytes) -> list[bytes]:
    """What follows the first byte, in reads that are one longer than that byte says."""
    length = 1 + data[0] if data else 1
    return [data[at : at + length] for at in range(1, len(data), length)]


@attrs.frozen
class Target:
    """One of them. ``words`` are what inputs are likely to have, ``seeds`` what to begin with."""

    about: str
    check: Callable[[bytes], None]
    seeds: list[bytes]
    words: list[bytes]


def commands(data: bytes) -> None:
    """The parser of nsqd, locked as without TLS, or announcing MPUBs, by the lowest bits."""
    choice, reads = data[:1] or b"\0", [b"  V2", *cut(data[1:])]
    nothing_follows_an_error(
        same_commands(reads, locked=bool(choice[0] & 1), announce=bool(choice[0] & 2))
    )


def frames(data: bytes) -> None:
    """What a client reads; the first byte says how much it has asked, and if it subscribed."""
    choice, reads = data[:1] or b"\0", cut(data[1:])
    frames_for_a_client(reads, choice[0] & 3, bool(choice[0] & 4))
    same_frames(reads)


#: What says something of the moment, or of the machine: not the same of two nsqd.
_OF_THE_MOMENT = re.compile(rb"stats|metrics|debug|info|config", re.IGNORECASE)


def http(data: bytes) -> None:
    """Requests to nsqd; where answers can be compared, with the fast lane and without it."""
    reads = cut(data)
    any_requests(reads)
    if not _OF_THE_MOMENT.search(unquote_to_bytes(data)):
        # The lane answers a bad head when it ends, so every head has an end here.
        same_answers([*reads, b"\r\n\r\n"])


def options(data: bytes) -> None:
    """A configuration file of nsqd or nsqlookupd."""
    takes_or_refuses("nsqlookupd" if data[:1] == b"l" else "nsqd", data[1:])


def metadata(data: bytes) -> None:
    """An nsqd.dat."""
    metadata_of(data)


def damage_of(data: bytes) -> list[Damage]:
    """Pieces of damage: file, place (two bytes), kind, length, bytes; six at most."""
    found: list[Damage] = []
    while len(data) >= 5 and len(found) < 6:
        number, place, kind, length = struct.unpack_from(">BHBB", data)
        end = 5 + length % 64
        found.append((number, place / 0xFFFF, HOW[kind % len(HOW)], data[5:end] or b"\0"))
        data = data[end:]
    return found


def log(data: bytes) -> None:
    """What was done to a data path, after a kill or a clean stop."""
    damaged_data_path(damage_of(data[1:]), bool(data[:1] and data[0] & 1))


def _frame(kind: int, data: bytes) -> bytes:
    return struct.pack(">II", len(data) + 4, kind) + data


_MESSAGE = bytes(8) + b"\0\1" + b"0123456789abcdef" + b"body"
_PEER = {
    "broadcast_address": "b",
    "tcp_port": 1,
    "http_port": 2,
    "version": "1.3.0",
    "hostname": "h",
}
_IDENTIFY = {
    "client_id": "c",
    "feature_negotiation": True,
    "heartbeat_interval": 1000,
    "deflate": True,
    "deflate_level": 3,
    "sample_rate": 20,
    "msg_timeout": 60000,
}
_COMMANDS = [
    b"PUB t\n" + sized(b"x") + b"PUB t\n" + sized(b"y") + b"NOP\n",
    mpub(b"a", b"bc", b"bc") + b"DPUB t 100\n" + sized(b"z"),
    b"IDENTIFY\n" + sized(json.dumps(_IDENTIFY).encode()) + b"SUB t c\nRDY 10\n",
    b"SUB t c\nRDY 5\nPUB t\n" + sized(b"m") + b"FIN 0123456789abcdef\n" * 3 + b"CLS\n",
    b"AUTH\n" + sized(b"secret") + b"TOUCH 0123456789abcdef\nREQ 0123456789abcdef 0\n",
    b'IDENTIFY\n\0\0\0\x1e{"feature_negotiation": true}  SUB t#ephemeral c#ephemeral\r\nRDY 1\r\n',
]
_WORDS = [
    *(b"PUB ", b"MPUB ", b"DPUB ", b"IDENTIFY\n", b"AUTH\n", b"SUB ", b"RDY ", b"CLS\n", b"NOP\n"),
    *(
        b"FIN 0123456789abcdef\n",
        b"REQ ",
        b"TOUCH ",
        b"#ephemeral",
        b"\0\0\0\1x",
        b"\xff" * 4,
        b"\r\n",
    ),
    *(json.dumps(name).encode() + b":" for name in _IDENTIFY),
]
_REQUESTS = [
    request_bytes("POST", "/pub?topic=t", b"abc") + request_bytes("GET", "/ping"),
    request_bytes("POST", "/mpub?topic=t", b"a\nb\r\n\nc")
    + request_bytes("POST", "/put?topic=u", b"x"),
    request_bytes("POST", "/mpub?topic=t&binary=true", binary(b"a", b"bc")),
    request_bytes("POST", "/pub?topic=t&defer=5", chunks=[b"ab", b"c"]),
    request_bytes("POST", "/pub?topic=t", b"a", {"Expect": "100-continue", "Connection": "close"}),
    request_bytes("POST", "/channel/create?topic=t&channel=c&max_attempts=3"),
    request_bytes("GET", "/stats?format=json&topic=t") + request_bytes("HEAD", "/openapi.json"),
    request_bytes("PUT", "/config/log_level", b"debug") + request_bytes("GET", "/metrics"),
    request_bytes("POST", "/pub?topic=%74&topic=x", b"abc", version="HTTP/1.0"),
    request_bytes("GET", "/channel/peek?topic=t&channel=c") + b"\r\n\r\n",
]
_TOML = [
    b'ntcp_address = "127.0.0.1:0"\nsync_every = 2500\nmsg_timeout = "60s"\ndeflate = true\n',
    b'nnsqlookupd_tcp_addresses = ["a:4160", "b:4160"]\ntls_required = "tcp-https"\n',
    b'ne2e_processing_latency_percentiles = [1.0, 0.99]\ndurability = "fsync"\nid = 7\n',
    b'linactive_producer_timeout = "5m"\nbroadcast_address = "x"\nlog_level = "warn"\n',
]
_METADATA = [
    b'{"topics":[{"name":"t","paused":false,"channels":[{"name":"c","paused":true}]}],"version":"1.3.0"}',
    b'{"version":"1.3.0","topics":[],"nsqtx":{}}',
]

TARGETS = {
    "commands": Target(
        "the parser of commands, and IDENTIFY",
        commands,
        [b"\0\3" + each for each in _COMMANDS] + [b"\2\xff" + each for each in _COMMANDS],
        _WORDS,
    ),
    "session": Target(
        "nsqd over TCP, from the parser to the topics",
        lambda data: any_session(cut(data)),
        [b"\xff  V2" + each for each in _COMMANDS] + [b"\4  V2" + each for each in _COMMANDS],
        [b"  V2", *_WORDS],
    ),
    "lookup": Target(
        "the parser of protocol V1, and its IDENTIFY",
        lambda data: same_lookup_events(cut(data)),
        [
            b"\7  V1IDENTIFY\n" + sized(json.dumps(_PEER).encode()) + b"REGISTER t c\nPING\n",
            b"\xff  V1REGISTER t\nUNREGISTER t c\nPING\r\n",
        ],
        [b"  V1", b"IDENTIFY\n", b"REGISTER ", b"UNREGISTER ", b"PING\n", b"\0\0\0\2{}"]
        + [json.dumps(name).encode() + b":" for name in _PEER],
    ),
    "frames": Target(
        "frames, as clients read them",
        frames,
        [
            b"\7\x10" + _frame(0, b"OK") + _frame(0, b"_heartbeat_") + _frame(2, _MESSAGE),
            b"\2\xff" + _frame(1, b"E_FIN_FAILED x") + _frame(0, b"CLOSE_WAIT") + _frame(0, b"{}"),
            b"\1\5" + _frame(0, b"") + _frame(0, b"OK") + _frame(3, b"x") + _frame(2, b""),
        ],
        [
            _frame(0, b"OK"),
            _frame(2, _MESSAGE),
            _frame(1, b"E_INVALID"),
            b"\0\0\0\4",
            b"\0\0\3\xe8",
        ],
    ),
    "answers": Target(
        "answers of nsqlookupd, as nsqd reads them",
        lambda data: answers_for_nsqd(cut(data)),
        [
            b"\3" + sized(b"OK") * 2,
            b"\xff" + sized(json.dumps(_PEER).encode()) + sized(b"E_INVALID"),
        ],
        [sized(b"OK"), b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\4\0"],
    ),
    "http": Target(
        "requests to nsqd",
        http,
        [b"\xff" + each for each in _REQUESTS] + [b"\x1e" + each for each in _REQUESTS],
        [
            *(
                b"POST /",
                b"GET /",
                b" HTTP/1.1\r\n",
                b"\r\n\r\n",
                b"Content-Length: ",
                b"chunked\r\n",
            ),
            *(b"Transfer-Encoding: ", b"Expect: 100-continue\r\n", b"Connection: ", b"?topic=t"),
            *(
                b"&channel=c",
                b"/pub",
                b"/mpub",
                b"/stats",
                b"&binary=true",
                b"0\r\n\r\n",
                b"Host: x\r\n",
            ),
        ],
    ),
    "options": Target(
        "configuration files",
        options,
        _TOML,
        [
            b' = "',
            b" = [",
            b"true",
            b"1e9",
            b"-1",
            b'"60s"',
            b'"""',
            b"\\u0000",
            b"[x]",
            b"{ a = 1 }",
        ],
    ),
    "metadata": Target(
        "nsqd.dat",
        metadata,
        _METADATA,
        [b'"topics":', b'"name":', b'"channels":', b'"paused":', b"null", b"[]", b"{}", b"1e400"],
    ),
    "log": Target(
        "a damaged data path",
        log,
        [
            b"\0" + struct.pack(">BHBB", 1, 9000, 0, 2) + b"xy",
            b"\1" + struct.pack(">BHBB", 3, 40000, 1, 0) + struct.pack(">BHBB", 0, 0, 3, 0),
            b"\1" + struct.pack(">BHBB", 2, 0, 2, 8) + bytes(8),
        ],
        [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\1\0\2", b"\x7f\xff"],
    ),
}
