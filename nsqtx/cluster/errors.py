"""What goes wrong when a daemon is asked something."""

from __future__ import annotations

__all__ = ["ApiError"]


class ApiError(Exception):
    """A request did not bring what was asked for; the text says why, for people.

    It covers all of it: nobody answered, an answer that took too long or makes no sense, and an
    answer other than 200 (client section 10.3).
    """

    def __init__(
        self,
        text: str,
        *,
        status: int = 0,
        code: str = "",
        https_port: int = 0,
        method: str = "",
        url: str = "",
        query: str = "",
        body: bytes = b"",
        index: int | None = None,
    ) -> None:
        super().__init__(text)
        #: Of HTTP; 0: there was no answer, or it was 200 and made no sense.
        self.status = status
        #: NSQ's word for it, such as ``TOPIC_NOT_FOUND``; empty if the answer had none.
        self.code = code
        #: Where a daemon that answered ``TLS_REQUIRED`` speaks HTTPS; 0 if it said nothing.
        self.https_port = https_port
        self.method = method
        #: Without its query, in which there may be secrets.
        self.url = url
        #: That query; not for logs.
        self.query = query
        #: The answer.
        self.body = body
        #: What `Lookup.index` would be: waiting for a topic begins where there is none.
        self.index = index

    @property
    def answered(self) -> bool:
        """Whether a daemon was there and refused."""
        return self.status != 0
