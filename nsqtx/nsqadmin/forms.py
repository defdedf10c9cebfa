"""Forms that a browser sends. They are small; everything else is refused."""

from __future__ import annotations

from urllib.parse import parse_qsl

from nsqtx.nsqadmin.errors import PageError
from nsqtx.web.args import MalformedQuery, parse_query
from nsqtx.web.site import ApiRequest

__all__ = ["MAX_FORM", "page_args", "read_form"]

#: How large a form may be, in bytes.
MAX_FORM = 16 * 1024
MAX_FIELDS = 20
_TYPE = "application/x-www-form-urlencoded"


def read_form(request: ApiRequest) -> dict[str, str]:
    """The fields of a form; of several with one name the last.

    :raises PageError: it is too large, or no form.
    """
    if request.body_too_big or len(request.body) > MAX_FORM:
        raise PageError(413, "That form is too large.")
    kind = (request.getHeader("content-type") or "").partition(";")[0].strip().lower()
    if kind != _TYPE:
        raise PageError(415, "That is not what the form sends.")
    try:
        text = request.body.decode("utf-8")
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError:
        raise PageError(400, "That form cannot be read.") from None


def page_args(request: ApiRequest) -> dict[str, str]:
    """The parameters of a page.

    :raises PageError: the query is malformed.
    """
    try:
        return parse_query(request.query)
    except MalformedQuery:
        raise PageError(400, "The address of this page is malformed.") from None
