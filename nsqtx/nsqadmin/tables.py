"""Long tables: filtered, sorted and cut into pages here, by what the URL says.

====================  ====================================
``?q=text``           rows whose name has the text in it
``?sort=depth``       ascending by that column
``?sort=-depth``      descending
``?per=50&page=2``    the second fifty rows
====================  ====================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar
from urllib.parse import quote_plus

import attrs

__all__ = ["PER", "Table", "View"]

T = TypeVar("T")

#: Rows of a page, and what else can be chosen.
PER = 100
CHOICES = (10, 25, 50, 100, 250, 500)
MAX_FILTER = 200
_NUMBER = re.compile("[0-9]{1,6}")


@attrs.frozen
class Table(Generic[T]):
    """What a table can be sorted by: a key for each column, and the column unless one is given."""

    keys: Mapping[str, Callable[[T], Any]]
    default: str
    name: Callable[[T], str]

    def view(self, rows: Iterable[T], args: Mapping[str, str]) -> View[T]:
        """The rows that the arguments ask for. What they say that makes no sense is passed over."""
        wanted = args.get("q", "")[:MAX_FILTER].strip()
        sort = args.get("sort", self.default)
        if sort.removeprefix("-") not in self.keys:
            sort = self.default
        per = int(args["per"]) if args.get("per", "") in {str(each) for each in CHOICES} else PER
        found = list(rows)
        total = len(found)
        if wanted:
            folded = wanted.lower()
            found = [row for row in found if folded in self.name(row).lower()]
        # Rows that are alike are in the order of their names, whichever way the column goes.
        found.sort(key=self.name)
        column, descending = sort.removeprefix("-"), sort.startswith("-")
        found.sort(key=self.keys[column], reverse=descending)
        pages = max(1, -(-len(found) // per))
        text = args.get("page", "1")
        page = min(max(1, int(text) if _NUMBER.fullmatch(text) else 1), pages)
        return View(
            rows=found[(page - 1) * per : page * per],
            matching=len(found),
            total=total,
            filter=wanted,
            column=column,
            descending=descending,
            per=per,
            page=page,
            pages=pages,
            default=self.default,
        )


@attrs.frozen
class View(Generic[T]):
    """A page of a table, and the links to others."""

    rows: list[T]
    matching: int
    total: int
    filter: str
    column: str
    descending: bool
    per: int
    page: int
    pages: int
    default: str

    choices = CHOICES

    @property
    def sort(self) -> str:
        """The order, as in the URL."""
        return f"-{self.column}" if self.descending else self.column

    def aria_sort(self, column: str) -> str:
        """The order of a column, in the words of ``aria-sort``."""
        if column != self.column:
            return "none"
        return "descending" if self.descending else "ascending"

    def sort_link(self, column: str, first: str = "-") -> str:
        """The query that sorts by a column: the other way round if it is sorted by already."""
        sort = f"{first}{column}"
        if column == self.column:
            sort = column if self.descending else f"-{column}"
        return self.link(sort=sort, page=1)

    def page_link(self, page: int) -> str:
        """The query of another page."""
        return self.link(page=page)

    def link(self, **changed: Any) -> str:
        """A query like this one's, except for what is given."""
        args = {"q": self.filter, "sort": self.sort, "per": self.per, "page": self.page, **changed}
        usual = {"q": "", "sort": self.default, "per": PER, "page": 1}
        kept = {name: value for name, value in args.items() if value != usual.get(name)}
        return "?" + "&".join(f"{name}={quote_plus(str(value))}" for name, value in kept.items())
