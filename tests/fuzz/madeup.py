"""Inputs without a fuzzer: seeds that were changed at random, always the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tests.fuzz.targets import Target

__all__ = ["made_up"]


def made_up(target: Target, count: int, seed: int = 0) -> Iterator[bytes]:
    """The seeds of a target as they are, and so many inputs that were made of them."""
    yield from target.seeds
    random = Random(seed)
    for _ in range(count):
        data = bytearray(random.choice(target.seeds))
        for _ in range(random.randrange(1, 8)):
            _change(data, random, target)
        yield bytes(data)


def _change(data: bytearray, random: Random, target: Target) -> None:
    at = random.randrange(len(data) + 1)
    kind = random.randrange(7)
    if kind == 0 and at < len(data):
        data[at] = random.randrange(256)
    elif kind == 1 and at < len(data):
        data[at] ^= 1 << random.randrange(8)
    elif kind == 2:
        data[at:at] = random.choice(target.words)
    elif kind == 3:
        data[at:at] = random.randbytes(random.randrange(1, 12))
    elif kind == 4:
        del data[at : at + random.randrange(1, 12)]
    elif kind == 5:
        other = random.choice(target.seeds)
        data[at:] = other[random.randrange(len(other)) :]
    else:
        end = min(len(data), at + random.randrange(1, 40))
        data[at:at] = data[at:end]
