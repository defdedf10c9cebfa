"""What a page says in place of itself."""

from __future__ import annotations

__all__ = ["PageError"]


class PageError(Exception):
    """A page of its own, with a status of HTTP; the text is for the person who looks at it."""

    def __init__(self, status: int, text: str, **more: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        #: For the template: ``hint`` and ``link``.
        self.more = more
