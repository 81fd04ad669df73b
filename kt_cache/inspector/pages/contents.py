"""What a sample of a cache's records shows."""

from __future__ import annotations

from kt_cache.inspector.asking import Wanted
from kt_cache.inspector.markup import Markup, element, join
from kt_cache.inspector.pages.frame import OWN, Frame, entries_table, table
from kt_cache.inspector.survey import Group, Life, Survey
from kt_cache.inspector.wording import NOT_KNOWN, count_text, key_markup, size_text

_ORDERS = {"size": "Bytes", "records": "Records", "recent": "Used in the last minute"}


def show(frame: Frame, found: Survey | None, wanted: Wanted, order: str, total: int, problem: str) -> str:
    """Show what a sample of the records has shown."""
    if found is None:
        return frame.whole(frame.name, problem=problem)
    if found.is_whole:
        looked = f"All {count_text(found.records, 'record')} were looked at"
    else:
        looked = f"The first {count_text(found.records, 'record')} were looked at, of {total:,} in the store"
    own = f", {found.own:,} of them {OWN} (locks, tags, limits, history)" if found.own else ""
    where = (
        join(
            "Of what begins with ",
            element("code", key_markup(wanted.selection.prefix)),
            " (",
            element("a", "the keys", href=frame.link("keys", wanted.parameters())),
            "). ",
        )
        if not wanted.is_all
        else None
    )
    return frame.whole(
        frame.name,
        element("p", where, f"{looked}{own}.", class_="muted"),
        element("h2", "Time left"),
        _lives(found.lives),
        element("h2", "Prefixes", id="prefixes"),
        _groups(frame, found.groups, wanted, order),
        element("h2", "Largest values"),
        entries_table(frame, found.largest, "No record was found."),
        element("h2", "Used last"),
        element("p", f"When a record was used last is {NOT_KNOWN}.")
        if found.latest is None
        else join(
            element("p", "Reads are noted once the store begins to fill; until then, only writes.", class_="muted"),
            entries_table(frame, found.latest, "No record was found."),
        ),
        problem=problem,
    )


def _lives(lives: list[Life]) -> Markup:
    most = max((life.records for life in lives), default=0)
    rows = (
        element(
            "tr",
            element("th", life.name, scope="row"),
            element("td", bar(life.records / most if most else 0), class_="bar-cell"),
            element("td", f"{life.records:,}", class_="figure"),
            element("td", size_text(life.size), class_="figure"),
        )
        for life in lives
    )
    return table(("Time left", "", "Records", "Bytes"), rows, figures_from=2)


def _groups(frame: Frame, groups: list[Group], wanted: Wanted, order: str) -> Markup:
    if not groups:
        return element("p", "No record was found.")
    knows_uses = groups[0].recent is not None
    orders = {name: title for name, title in _ORDERS.items() if knows_uses or name != "recent"}
    choices = (
        element(
            "a",
            title,
            href=frame.link("contents", {**wanted.parameters(), "order": name}) + "#prefixes",
            aria_current="true" if name == order else None,
        )
        for name, title in orders.items()
    )
    shown = sorted(groups, key=lambda group: (-(getattr(group, order) or 0), group.prefix))
    shown, rest = shown[:20], shown[20:]
    most = max(getattr(group, order) or 0 for group in shown) or 1
    rows = [
        element(
            "tr",
            element("th", _group_link(frame, group, wanted), scope="row"),
            element("td", bar((getattr(group, order) or 0) / most), class_="bar-cell"),
            element("td", f"{group.records:,}", class_="figure"),
            element("td", size_text(group.size), class_="figure"),
            element("td", f"{group.recent:,}", class_="figure") if knows_uses else None,
        )
        for group in shown
    ]
    more = (
        element("p", f"and {count_text(len(rest), 'smaller prefix', 'smaller prefixes')}.", class_="muted")
        if rest
        else None
    )
    columns = ("Prefix", "", "Records", "Bytes", *(["Used in the last minute"] if knows_uses else []))
    return join(
        element("p", "Sorted by ", element("span", choices, class_="choices"), class_="muted"),
        table(columns, rows, figures_from=2),
        more,
        None if knows_uses else element("p", f"Which prefixes are used most is {NOT_KNOWN}.", class_="muted"),
    )


def _group_link(frame: Frame, group: Group, wanted: Wanted) -> Markup:
    if not group.prefix:
        return element("span", "(without a prefix)", class_="odd")
    below = Wanted.below(group.prefix)
    page = "keys" if group.prefix == wanted.selection.prefix else "contents"
    link = element("a", element("code", key_markup(group.prefix)), href=frame.link(page, below.parameters()))
    return join(link, element("span", " the others", class_="odd") if group.is_rest else None)


def bar(share: float) -> Markup:
    return element(
        "svg",
        element("rect", width=f"{100 * share:.2f}%", height="100%"),
        class_="bar-svg",
        aria_hidden="true",
        focusable="false",
    )
