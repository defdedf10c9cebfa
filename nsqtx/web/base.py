"""A Klein app whose paths are all under another: ``/ping`` is at ``/adm/ping``."""

# Most of twisted.web has no annotations.
# mypy: allow-untyped-calls

from __future__ import annotations

from typing import Any

from klein import Klein

from nsqtx.web.api import LeanResource, answer_unrouted
from nsqtx.web.routing import Routes, clean_path

__all__ = ["UnderBase"]


class UnderBase(LeanResource):
    """The root of a site.

    :param routes: those of the app, under the base path; see `Routes.under`.
    :param base: empty, or a path without a slash at its end.
    """

    def __init__(self, app: Klein, routes: Routes, base: str) -> None:
        super().__init__(app, routes)
        self._base = base

    def render(self, request: Any) -> Any:
        """Answer what no route is for; let an endpoint do the rest."""
        path, method = request.path_text, request.method.decode("ascii")
        routed = method in self._routes.allowed(path) and method != "OPTIONS"
        if not routed or clean_path(path) != path:
            return answer_unrouted(request, self._routes)
        return self.answer(request, path.removeprefix(self._base) or "/")
