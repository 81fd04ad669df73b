"""How the caches are doing: all of them in a table, and one of them live."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kt_cache.inspector.asking import address
from kt_cache.inspector.figures import PROBES, Figures
from kt_cache.inspector.markup import Markup, element, join
from kt_cache.inspector.pages.frame import Frame, scroll, table
from kt_cache.inspector.wording import DASH, NOT_KNOWN, percent, size_text


def overview(frame: Frame, rows: Iterable[tuple[str, Figures | str]]) -> str:
    """Show all caches in a table; of one that cannot be asked, why."""
    body = []
    for name, figures in rows:
        head = element("th", element("a", name, href=address(frame.root, name)), scope="row")
        if isinstance(figures, str):
            body.append(element("tr", head, element("td", figures, colspan=5, class_="bad")))
        else:
            stats = figures.stats
            cells = (
                f"{stats.entries:,}",
                size_text(stats.size),
                percent(figures.now.hit_ratio),
                f"{stats.processes:,}",
            )
            body.append(
                element(
                    "tr", head, element("td", stats.store), (element("td", cell, class_="figure") for cell in cells)
                )
            )
    columns = ("Cache", "Store", "Entries", "Size", "Hit ratio", "Processes")
    return frame.whole(
        "Caches",
        table(columns, body, figures_from=2) if body else element("p", "No cache of this site is kept by kt-cache."),
    )


_CHARTS = (
    ("reads", "Reads a second"),
    ("ratio", "Hit ratio"),
    ("latency", "Time of a read"),
    ("size", "Size"),
    ("entries", "Entries"),
    ("removals", "Evictions and expirations a second"),
)


def one(frame: Frame, figures: Figures | None, settings: Mapping[str, str], problem: str) -> str:
    """Show how the store is doing, to be kept up to date by the script."""
    return frame.whole(
        frame.name,
        element(
            "div",
            element("p", element("span", "This part needs JavaScript to stay up to date.", id="state", role="status")),
            element("button", "Pause", type="button", id="pause", hidden=True),
            class_="bar",
        ),
        _tiles(figures),
        element("h2", "Over time", id="over-time"),
        element("p", "", id="reading", role="status", class_="away"),
        element("div", (_chart(name, title) for name, title in _CHARTS), class_="charts", aria_labelledby="over-time"),
        element(
            "p",
            f"At each refresh this page times {PROBES} reads of a small record, which are taken off the other "
            "figures. Samples are kept in the cache itself, one every 5 seconds while somebody looks.",
            class_="muted",
        ),
        _about(figures, settings),
        problem=problem,
    )


def _tiles(figures: Figures | None) -> Markup:
    stats = figures.stats if figures else None
    latency = figures.latency if figures else None
    full = f"of {size_text(stats.max_size)}" if stats and stats.max_size else "no bound"
    tiles = (
        ("ratio", "Hit ratio", percent(figures.now.hit_ratio) if figures else DASH, "since the beginning"),
        ("reads", "Reads a second", DASH, f"{figures.now.reads:,.0f} in all" if figures else ""),
        (
            "latency",
            "Time of a read",
            f"{latency.median:.1f} µs" if latency else DASH,
            f"95 %: {latency.slow:.1f} µs, slowest: {latency.slowest:.1f} µs" if latency else "",
        ),
        ("size", "Size", size_text(stats.size) if stats else DASH, full if stats else ""),
        ("entries", "Entries", f"{stats.entries:,}" if stats else DASH, "expired ones not yet reclaimed included"),
        ("evictions", "Evictions", _number(stats.evictions) if stats else DASH, "to make room"),
        ("expirations", "Expirations", _number(stats.expirations) if stats else DASH, "reclaimed"),
        ("processes", "Processes", f"{stats.processes:,}" if stats else DASH, "have it open"),
    )
    return element(
        "dl",
        (
            element(
                "div",
                element("dt", title),
                element("dd", value, id=f"{name}-value", class_="value" if len(value) < 14 else "value long"),
                element("dd", note, id=f"{name}-note", class_="note"),
            )
            for name, title, value, note in tiles
        ),
        id="live",
        class_="tiles",
    )


def _number(number: int | None) -> str:
    return NOT_KNOWN if number is None else f"{number:,}"


def _chart(name: str, title: str) -> Markup:
    caption = element("figcaption", element("b", title), element("span", class_="reading"))
    return element(
        "figure",
        caption,
        element("div", element("p", "No figures yet."), class_="plot"),
        class_="chart",
        data_chart=name,
    )


def _about(figures: Figures | None, settings: Mapping[str, str]) -> Markup:
    known = {"store": figures.stats.store, "where": figures.stats.location} if figures else {}
    rows = (
        element("tr", element("th", name, scope="row"), element("td", value))
        for name, value in {**known, **settings}.items()
    )
    return join(element("h2", "Settings"), scroll(element("table", element("tbody", rows), class_="facts")))
