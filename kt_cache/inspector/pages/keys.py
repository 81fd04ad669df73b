"""The records of a cache: listed, one taken apart, many about to be deleted."""

from __future__ import annotations

from kt_cache.inspector.anatomy import Anatomy
from kt_cache.inspector.asking import Wanted, encode_key
from kt_cache.inspector.listing import MOST_LOOKED_AT, Count, Page
from kt_cache.inspector.markup import Markup, element, join
from kt_cache.inspector.pages.frame import OWN, Frame, entries_table, scroll
from kt_cache.inspector.wording import count_text, key_markup, size_text, time_text
from kt_cache.reserved import kind_of


def show(frame: Frame, page: Page | None, wanted: Wanted, message: str, problem: str) -> str:
    """Show a page of the records that are wanted, and what can be done with all of them."""
    search = frame.form(
        "get",
        "keys",
        {},
        element("label", "Prefix or pattern", for_="match"),
        element("input", id="match", name="match", value=wanted.text, autocomplete="off", spellcheck="false"),
        element(
            "label",
            element("input", type="checkbox", name="own", value="1", checked=wanted.own),
            f" also {OWN} records",
            class_="check",
        ),
        element("button", "Find"),
        class_="search",
        role="search",
    )
    hint = element(
        "p",
        "What you write is what keys begin with, or a pattern: ",
        element("code", "*"),
        " stands for anything, ",
        element("code", "?"),
        " for one character, ",
        element("code", "[ab]"),
        " for one of some; ",
        element("code", "\\"),
        " before any of them takes it literally.",
        class_="muted",
    )
    under = (
        element("p", "Keys that begin with ", element("code", key_markup(wanted.prefix)), ".")
        if wanted.prefix
        else None
    )
    return frame.whole(
        frame.name,
        element("p", message, role="status", class_="message") if message else None,
        search,
        hint,
        under,
        _page(frame, page, wanted) if page else None,
        problem=problem,
    )


def _page(frame: Frame, page: Page, wanted: Wanted) -> Markup:
    parameters = wanted.parameters()

    def turn(text: str, number: int, rel: str) -> Markup:
        return element("a", text, href=frame.link("keys", {**parameters, "page": number}), rel=rel)

    turns = element(
        "nav",
        turn("← Previous", page.number - 1, "prev") if page.number > 1 else element("span"),
        element("span", f"Page {page.number:,}"),
        turn("Next →", page.number + 1, "next") if page.has_next else element("span"),
        aria_label="Pages",
        class_="pages",
    )
    cut = (
        element("p", f"No more than {MOST_LOOKED_AT:,} records are looked at: write a longer prefix.", class_="muted")
        if page.is_cut
        else None
    )
    may_delete = frame.access.may_delete and page.entries and not wanted.is_all
    clear = element(
        "a", "Delete all that are like this…", href=frame.link("delete", parameters), class_="button danger"
    )
    return join(
        entries_table(frame, page.entries, "No key is like that."),
        turns if page.number > 1 or page.has_next else None,
        cut,
        element("p", clear) if may_delete else None,
    )


def show_value(frame: Frame, key: bytes, found: tuple[int, float, Anatomy] | None, problem: str) -> str:
    """Show one value: its size, the seconds it has left, and what it was taken apart into."""
    head = element("p", element("code", key_markup(key, 2000)), class_="whole")
    if found is None:
        return frame.whole(
            frame.name, head, None if problem else element("p", "There is no value under this key."), problem=problem
        )
    size, left, anatomy = found
    kind = kind_of(key)
    facts = [
        ("Size", size_text(size) if size < 1024 else f"{size_text(size)} ({count_text(size, 'byte')})"),
        ("Time left", time_text(left)),
        ("Key", count_text(len(key), "byte")),
        *([("Belongs to", f"{OWN}: {kind.value.decode()}")] if kind else []),
        *anatomy.facts,
    ]
    rows = (element("tr", element("th", name, scope="row"), element("td", text)) for name, text in facts)
    delete = (
        frame.form("post", "delete", {"key": encode_key(key)}, element("button", "Delete this key", class_="danger"))
        if frame.access.may_delete
        else None
    )
    return frame.whole(
        frame.name,
        head,
        scroll(element("table", element("tbody", rows), class_="facts")),
        (
            element(
                "section",
                element("h2", view.title),
                element("pre", view.text or " ", tabindex="0", role="region", aria_label=view.title),
            )
            for view in anatomy.views
        ),
        delete,
        problem=problem,
    )


def confirm(frame: Frame, wanted: Wanted, found: Count | None, problem: str) -> str:
    """Ask whether all that is wanted is to be deleted, having said how many that are."""
    back = element("a", "Back to the keys", href=frame.link("keys", wanted.parameters()), class_="button")
    if found is None or not found.records:
        nothing = element("p", "No key is like that.") if not problem else None
        return frame.whole(frame.name, nothing, element("p", back), problem=problem)
    chosen = wanted.selection
    shown = key_markup(chosen.prefix) if chosen.fits is None else wanted.text
    at_least = "at least " if found.is_cut else ""
    many = count_text(found.records, "record")
    return frame.whole(
        frame.name,
        element("h2", f"Delete {at_least}{many}?"),
        element(
            "p",
            "Keys that " + ("begin with " if chosen.fits is None else "fit "),
            element("code", shown),
            f": {at_least}{many}, {at_least}{size_text(found.size)}. What is stored meanwhile goes, too.",
        ),
        frame.form(
            "post",
            "delete",
            {**wanted.parameters(), "confirmed": "yes"},
            element("button", f"Delete {at_least}{many}", class_="danger"),
            " ",
            back,
        ),
        problem=problem,
    )
