"""What all pages have: what is around them, tables, and links to keys."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from string import Template
from typing import Final

from kt_cache.inspector.asking import Access, address, encode_key
from kt_cache.inspector.assets import read_asset
from kt_cache.inspector.markup import Markup, element, join
from kt_cache.inspector.wording import DASH, key_markup, size_text, time_text
from kt_cache.reserved import kind_of
from kt_cache.stores import Entry

OWN: Final = "kt-cache's own"

_LONGEST_ADDRESS = 2000  # many servers take 4000 characters in a request's first line
_TABS = (("", "Live"), ("contents", "Contents"), ("keys", "Keys"))


@dataclass(frozen=True)
class Frame:
    """What is around every page: the caches, which of them and which tab is shown, and what the asker may do."""

    root: str
    names: Sequence[str]
    access: Access
    hidden: Mapping[str, str]
    name: str = ""
    tab: str | None = None

    def link(self, page: str = "", parameters: Mapping[str, object] = {}) -> str:
        """Return the address of a page of the cache that is shown."""
        return address(self.root, self.name, page, parameters)

    def whole(self, title: str, *main: object, problem: str = "") -> str:
        """Return the whole page."""
        return Template(read_asset("page.html").body.decode()).substitute(
            title=element("title", f"{title} · kt-cache"),
            style=element("link", rel="stylesheet", href=f"{self.root}inspector.css"),
            script=element("script", src=f"{self.root}inspector.js", defer=True),
            caches=self._caches(),
            heading=element("h1", title),
            tabs=self._tabs() if self.name else "",
            problem=element("p", problem, role="alert", class_="problem") if problem else "",
            main=join(*main),
        )

    def _caches(self) -> Markup:
        home = element("a", "kt-cache", href=self.root, class_="brand")
        links = (
            element("a", name, href=address(self.root, name), aria_current="page" if name == self.name else None)
            for name in self.names
        )
        return join(home, element("nav", links, aria_label="Caches") if len(self.names) > 1 else None)

    def _tabs(self) -> Markup:
        links = (
            element("a", text, href=self.link(tab), aria_current="page" if tab == self.tab else None)
            for tab, text in _TABS
        )
        return element("nav", links, aria_label="About this cache", class_="tabs")

    def form(
        self, method: str, page: str, fields: Mapping[str, str], *children: object, **attributes: object
    ) -> Markup:
        """Return a form; one that posts carries the hidden fields, too."""
        every = {**fields, **self.hidden} if method == "post" else fields
        hidden = (element("input", type="hidden", name=name, value=value) for name, value in every.items())
        return element("form", hidden, children, method=method, action=self.link(page), **attributes)

    def key_link(self, key: bytes, longest: int = 120) -> Markup:
        """Return what leads to a value: a link, or for a key that no address can hold a form that looks like one."""
        shown = element("code", key_markup(key, longest))
        encoded = encode_key(key)
        if len(encoded) <= _LONGEST_ADDRESS:
            return element("a", shown, href=self.link("value", {"key": encoded}))
        button = element("button", shown, class_="link")
        return self.form("post", "value", {"key": encoded}, button, class_="inline")


def refusal(frame: Frame, status: int, title: str, text: str) -> str:
    """Say that something is not to be had."""
    return frame.whole(title, element("p", text), element("p", f"({status})", class_="muted"))


def table(columns: Sequence[str], rows: Iterable[object], figures_from: int) -> Markup:
    """Return a table under the names of its columns; those from a place on hold figures."""
    heads = (
        element("th", column, scope="col", class_="figure" if place >= figures_from else None)
        if column
        else element("td")
        for place, column in enumerate(columns)
    )
    return scroll(element("table", element("thead", element("tr", heads)), element("tbody", rows)))


def scroll(table: Markup) -> Markup:
    """Return a table that scrolls by itself where it is too wide."""
    return element("div", table, class_="scroll")


def entries_table(frame: Frame, entries: list[Entry], nothing: str) -> Markup:
    """Return a table of records, or a text if there are none."""
    if not entries:
        return element("p", nothing)
    knows_uses = any(entry.used is not None for entry in entries)
    now = time.time()
    rows = (
        element(
            "tr",
            element(
                "th",
                frame.key_link(entry.key),
                element("span", f" {OWN}", class_="odd") if kind_of(entry.key) else None,
                scope="row",
            ),
            element("td", size_text(entry.size), class_="figure"),
            element("td", time_text(entry.left), class_="figure"),
            element("td", _ago(now, entry.used), class_="figure") if knows_uses else None,
        )
        for entry in entries
    )
    columns = ("Key", "Size", "Time left", *(["Used"] if knows_uses else []))
    return table(columns, rows, figures_from=1)


def _ago(now: float, used: float | None) -> str:
    if used is None:
        return DASH
    return f"{time_text(now - used)} ago" if now - used >= 1 else "just now"
