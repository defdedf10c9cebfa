"""NSQ, the realtime message queue, on Twisted."""

from nsqtx.version import __version__

__all__ = ["__version__"]
