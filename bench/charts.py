"""The charts of a run, as SVG that is the same for the same figures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.backends import BASIS, GROUP, KTCACHE
from bench.load import PROCESSES
from bench.report import Results, Series, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OURS, THEIRS = "#c2410c", "#64748b"
LABEL = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"}
PANELS = ("get", "set", f"get_many {GROUP}")
STYLE: Any = {
    "svg.hashsalt": "kt-cache",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
}


def draw(results: Results, folder: Path) -> list[Path]:
    """Write the charts of what was measured; return their paths."""
    import matplotlib

    matplotlib.use("svg")
    with matplotlib.rc_context(STYLE):
        paths = []
        for name, chart in (("latency", _latency(results)), ("growth", _growth(results))):
            if chart:
                paths.append(folder / f"{name}.svg")
                chart.savefig(paths[-1], metadata={"Date": None, "Creator": None})
        return paths


def _latency(results: Results) -> Figure | None:
    from matplotlib.figure import Figure

    panels = list(_panels(results))
    if not panels:
        return None
    rows = (len(panels) + 1) // 2
    chart = Figure(figsize=(9, 0.7 + rows * (0.8 + 0.26 * len(results.entrants))), layout="constrained")
    axes = chart.subplots(rows, 2, sharey=True, squeeze=False).flat
    for axis, (title, samples) in zip(axes, panels, strict=False):
        _dots(axis, title, samples, results)
    for axis in list(axes)[len(panels) :]:
        axis.remove()
    return chart


def _panels(results: Results) -> Iterator[tuple[str, Series]]:
    if results.calls:
        for operation in PANELS:
            yield f"{operation}: µs a call (less is better)", results.calls[operation]
    if results.load:
        yield f"{PROCESSES} processes: operations/s (more is better)", results.load.samples


def _dots(axis: Axes, title: str, samples: Series, results: Results) -> None:
    """A row for each peer: its median on a logarithmic scale, and the basis as a line to compare with."""
    axis.set_title(title)
    axis.set_xscale("log")
    axis.minorticks_off()
    axis.axvline(median(samples[BASIS]), color=THEIRS, linewidth=0.8, linestyle=":")
    for row, entrant in enumerate(results.entrants):
        value = median(samples[entrant.name])
        color = OURS if entrant.name == KTCACHE.name else THEIRS
        axis.plot(value, row, "o", color=color, markersize=6)
        beside: Any = {"xytext": (7, 0), "textcoords": "offset points", "va": "center", "bbox": LABEL}
        axis.annotate(figure(value), (value, row), color=color, **beside)
    axis.set_yticks(range(len(results.entrants)), [entrant.title for entrant in results.entrants])
    axis.set_ylim(len(results.entrants) - 0.5, -0.5)
    axis.margins(x=0.33)
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.grid(axis="y", linewidth=0.4)


def _growth(results: Results) -> Figure | None:
    from matplotlib.figure import Figure

    if not (results.growth and results.growth.rows):
        return None
    rows = results.growth.rows
    chart = Figure(figsize=(9, 3.6), layout="constrained")
    times, sizes = chart.subplots(1, 2)
    for title in dict.fromkeys(row.title for row in rows):
        own = [row for row in rows if row.title == title]
        color = OURS if title == KTCACHE.title else THEIRS
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
        axis.set_xscale("log")
        axis.set_xlabel("entries")
        axis.xaxis.set_major_formatter("{x:,.0f}")
        axis.grid(linewidth=0.4)
    chart.legend(loc="outside lower center", ncols=4, frameon=False)
    return chart
