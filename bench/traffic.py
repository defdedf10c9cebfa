"""The bytes that the load programs send, built before the clock starts."""

from __future__ import annotations

import random
import struct

from bench.jobs import HttpPublish, Publish

__all__ = [
    "HTTP_OK",
    "OK",
    "bodies",
    "http_request",
    "mpub",
    "pub",
    "publish_rounds",
    "topic_names",
]

OK = b"\0\0\0\x06\0\0\0\0OK"
#: What a request over HTTP is answered with, but for the date.
HTTP_OK = (
    b"HTTP/1.1 200 OK\r\nDate: Sat, 28 Nov 2026 00:00:00 GMT\r\n"
    b"X-Nsq-Content-Type: nsq; version=1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 2\r\n\r\nOK"
)

# Bodies have no zero bytes, so readers can find the heads of frames by a search.
LETTERS = b"abcdefghijklmnopqrstuvwxyz0123456789"

MIXED_SIZES = (50, 350)


def bodies(count: int, size: int, seed: int = 1) -> list[bytes]:
    """Message bodies of ``size`` bytes; of a random size between 50 and 350 when it is 0."""
    source = random.Random(seed)
    text = bytes(source.choices(LETTERS, k=1024))
    text *= size // len(text) + 2
    made = []
    for _ in range(count):
        length = size or source.randint(*MIXED_SIZES)
        start = source.randrange(1024)
        made.append(text[start : start + length])
    return made


def pub(topic: str, body: bytes) -> bytes:
    """One PUB."""
    return f"PUB {topic}\n".encode() + struct.pack(">I", len(body)) + body


def mpub(topic: str, messages: list[bytes]) -> bytes:
    """One MPUB."""
    inner = struct.pack(">I", len(messages)) + b"".join(
        struct.pack(">I", len(body)) + body for body in messages
    )
    return f"MPUB {topic}\n".encode() + struct.pack(">I", len(inner)) + inner


def topic_names(topic: str, count: int) -> list[str]:
    """The topics of a workload; all names have the same length."""
    return [topic] if count == 1 else [f"{topic}_{number:05}" for number in range(count)]


def publish_rounds(job: Publish) -> list[list[bytes]]:
    """The commands that are sent round and round, in blocks that are sent as one piece."""
    names = topic_names(job.topic, job.topics)
    if job.batch:
        seeds = range(16 if job.size == 0 else 1)
        commands = [
            mpub(name, bodies(job.batch, job.size, seed)) for name in names for seed in seeds
        ]
    else:
        each = bodies(256 if job.size == 0 else 1, job.size)
        commands = [pub(name, body) for name in names for body in each]
    per_block = max(1, min(job.window // 4, job.commands))
    while job.commands % per_block:
        per_block -= 1
    while len(commands) < per_block:
        commands += commands
    return [
        commands[start : start + per_block]
        for start in range(0, len(commands) - per_block + 1, per_block)
    ]


def http_request(job: HttpPublish) -> bytes:
    """One request, as Go's clients send it."""
    body = b"\n".join(bodies(job.batch or 1, job.size))
    path = "mpub" if job.batch else "pub"
    lines = [
        f"POST /{path}?topic={job.topic} HTTP/1.1",
        "Host: 127.0.0.1:4151",
        "User-Agent: Go-http-client/1.1",
        f"Content-Length: {len(body)}",
        "Content-Type: application/octet-stream",
        "Accept-Encoding: gzip",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
