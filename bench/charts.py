"""The charts of a run, as SVG that is the same for the same figures."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.growth import Row
from bench.report import Series, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OURS, THEIRS = "#c2410c", "#64748b"
LABEL = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"}
STYLE: Any = {
    "svg.hashsalt": "kt-cache",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
}


def draw(charts: Mapping[str, Callable[[], Figure]], folder: Path) -> list[Path]:
    """Write charts to files of their names; return their paths."""
    import matplotlib

    matplotlib.use("svg")
    paths = []
    with matplotlib.rc_context(STYLE):
        for name, chart in charts.items():
            paths.append(folder / f"{name}.svg")
            chart().savefig(paths[-1], metadata={"Date": None, "Creator": None})
    return paths


def dots(
    panels: Sequence[tuple[str, Series]], titles: Mapping[str, str], ours: Collection[str], basis: str | None = None
) -> Figure:
    """Panels of medians with a row for each peer: from zero, or in ratio to a basis on a logarithmic scale."""
    from matplotlib.figure import Figure

    rows = (len(panels) + 1) // 2
    chart = Figure(figsize=(9, 0.7 + rows * (0.8 + 0.26 * len(titles))), layout="constrained")
    axes = list(chart.subplots(rows, 2, sharey=True, squeeze=False).flat)
    for axis, (title, samples) in zip(axes, panels, strict=False):
        axis.set_title(title)
        _rows(axis, samples, titles, ours)
        if basis is None:
            axis.set_xlim(0, 1.25 * max(median(samples[name]) for name in titles))
            axis.locator_params(axis="x", nbins=5)
        else:
            axis.set_xscale("log")
            axis.minorticks_off()
            axis.margins(x=0.33)
            axis.axvline(median(samples[basis]), color=THEIRS, linewidth=0.8, linestyle=":")
        axis.xaxis.set_major_formatter("{x:,.0f}")
    for axis in axes[len(panels) :]:
        axis.remove()
    return chart


def _rows(axis: Axes, samples: Series, titles: Mapping[str, str], ours: Collection[str]) -> None:
    for row, name in enumerate(titles):
        value = median(samples[name])
        color = OURS if name in ours else THEIRS
        axis.plot(value, row, "o", color=color, markersize=6)
        beside: Any = {"xytext": (7, 0), "textcoords": "offset points", "va": "center", "bbox": LABEL}
        axis.annotate(figure(value), (value, row), color=color, **beside)
    axis.set_yticks(range(len(titles)), list(titles.values()))
    axis.set_ylim(len(titles) - 0.5, -0.5)
    axis.grid(axis="y", linewidth=0.4)


def growth(rows: Sequence[Row], ours: str) -> Figure:
    """Speed and size of caches as their entries grow."""
    from matplotlib.figure import Figure

    chart = Figure(figsize=(9, 3.6), layout="constrained")
    times, sizes = chart.subplots(1, 2)
    for title in dict.fromkeys(row.title for row in rows):
        own = [row for row in rows if row.title == title]
        color = OURS if title == ours else THEIRS
        entries = [row.entries for row in own]
        times.plot(entries, [row.get for row in own], "o-", color=color, label=f"{title}, get")
        times.plot(entries, [row.set for row in own], "s--", color=color, label=f"{title}, set", mfc="white")
        sizes.plot(entries, [row.bytes_per_entry for row in own], "o-", color=color)
    times.set_title("µs a call (less is better)")
    times.set_yscale("log")
    times.yaxis.set_major_formatter("{x:,.0f}")
    sizes.set_title("bytes per entry (less is better)")
    sizes.set_ylim(0, 1.15 * max(row.bytes_per_entry for row in rows))
    for axis in (times, sizes):
        _entries(axis)
    chart.legend(loc="outside lower center", ncols=4, frameon=False)
    return chart


def keys_on_disk(curves: Mapping[str, Sequence[tuple[int, float]]]) -> Figure:
    """Operations a second by the number of keys, a curve for each kind of load."""
    from matplotlib.figure import Figure

    chart = Figure(figsize=(9, 3.6), layout="constrained")
    axis = chart.subplots()
    for (title, points), form in zip(curves.items(), ("-", "o-", "s--"), strict=True):
        axis.plot(*zip(*points, strict=True), form, color=OURS, label=title, mfc="white", alpha=0.8)
    axis.set_title("operations/s (more is better)")
    axis.set_ylim(bottom=0)
    axis.yaxis.set_major_formatter("{x:,.0f}")
    _entries(axis)
    chart.legend(loc="outside lower center", ncols=3, frameon=False)
    return chart


def _entries(axis: Axes) -> None:
    axis.set_xscale("log")
    axis.set_xlabel("entries")
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.grid(linewidth=0.4)
