"""Routing where NSQ differs from Klein (nsqd-http section 3). Paths in, decisions out.

A path that has no route, but would have one for the same method with its slashes, dots and case
put right, is redirected there. A path with routes for other methods only is refused with the list
of those. HEAD is not GET.
"""

from __future__ import annotations

from collections.abc import Container, Iterable

__all__ = ["Routes", "clean_path"]


def clean_path(path: str) -> str:
    """The shortest path of the same meaning: no ``//``, ``.`` or ``..``; a last slash stays."""
    segments: list[str] = []
    parts = path.split("/")
    for part in parts:
        if part == "..":
            del segments[-1:]
        elif part not in ("", "."):
            segments.append(part)
    if segments and parts[-1] in ("", ".", ".."):
        segments.append("")
    return "/" + "/".join(segments)


def _lower(text: str) -> str:
    """Lower case, ASCII only: no route has other letters, and they must not fold into these."""
    return text.lower() if text.isascii() else text


class Routes:
    """The routes of an app: pairs of a Klein path and its methods. ``<x>`` is any one segment."""

    def __init__(self, rules: Iterable[tuple[str, Iterable[str]]]) -> None:
        self._rules = [(path.split("/"), frozenset(methods)) for path, methods in rules]

    def under(self, base: str, without: Container[str] = ()) -> Routes:
        """The same routes under a base path, which has no slash at its end, but for some."""
        rules = [("/".join(segments), methods) for segments, methods in self._rules]
        return Routes(
            ((base + path).rstrip("/") if base else path, methods)
            for path, methods in rules
            if path not in without
        )

    def allowed(self, path: str) -> list[str]:
        """The methods of exactly this path, OPTIONS included, sorted; empty if it has none."""
        methods = {
            method
            for segments, methods in self._rules
            if _matched(segments, path.split("/"), fold=False) is not None
            for method in methods
        }
        return sorted(methods | {"OPTIONS"}) if methods else []

    def redirect(self, method: str, path: str) -> str | None:
        """Where a path without a route leads when it is put right; None: nowhere."""
        cleaned = clean_path(path)
        toggled = cleaned[:-1] if cleaned.endswith("/") else cleaned + "/"
        for candidate in (cleaned, toggled):
            for segments, methods in self._rules:
                found = _matched(segments, candidate.split("/"), fold=True)
                if found is not None and method in methods and found != path:
                    return found
        return None


def _matched(rule: list[str], segments: list[str], fold: bool) -> str | None:
    """The path as the rule spells it, None if it is another. ``fold``: whatever its case."""
    if len(rule) != len(segments):
        return None
    spelled = []
    for wanted, given in zip(rule, segments, strict=True):
        if wanted.startswith("<"):
            if not given:
                return None
            spelled.append(given)
        elif wanted == given or (fold and wanted == _lower(given)):
            spelled.append(wanted)
        else:
            return None
    return "/".join(spelled)
