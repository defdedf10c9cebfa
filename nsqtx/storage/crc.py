"""The CRC-32 of the files of a data path: that of zlib, by whichever library is fastest.

ISA-L works on 64 bytes at a time where the processor can, at more than ten times the speed of many
zlibs. For a batch of 200 messages that is a fifth of what it costs to publish them.
"""

from __future__ import annotations

try:
    from isal.isal_zlib import crc32
except ImportError:  # there is none for this processor
    from zlib import crc32

__all__ = ["crc32"]
