"""What a soak has found, in Markdown, with a chart of how it went over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from tests.soak.board import Figure
from tests.soak.soak import Outcome, Sample

_MEBIBYTE: Final = 1 << 20
_SHOWN: Final = 20  # faults of each place

_PANELS: Final[dict[str, Callable[[Sample], float]]] = {
    "operations": lambda sample: sample.operations,
    "faults injected": lambda sample: sample.injected,
    "wrong answers and lost writes": lambda sample: sample.wrong,
    "memory of all processes, MiB": lambda sample: sample.memory / _MEBIBYTE,
    "files, MiB": lambda sample: sample.files / _MEBIBYTE,
}
_COLORS: Final = ("#c2410c", "#0369a1", "#15803d", "#7e22ce", "#a16207", "#be123c", "#0f766e", "#334155")
_WIDTH, _HEIGHT, _LEFT, _TOP = 760, 130, 40, 30  # pixels of a panel, and around it


def write(outcomes: Sequence[Outcome], seed: str, folder: Path) -> Path:
    """Write the summary and the chart; return the path of the summary."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "soak.svg").write_text(chart(outcomes))
    path = folder / "soak.md"
    path.write_text(summary(outcomes, seed))
    return path


def summary(outcomes: Sequence[Outcome], seed: str) -> str:
    """Return the summary."""
    head = ("store", "s", "operations", "no answer", "refused", "missing", "forks", "faults", "wrong", "lost")
    rows = [head, ("---", *["---:"] * (len(head) - 1)), *map(_row, outcomes)]
    growth = [("store", "memory", "", "", "files", "", ""), ("---", *["---:"] * 6), *map(_growth, outcomes)]
    sections = [
        "# Soak",
        f"Seed: `{seed}`. *No answer*: operations that ended in an error; each may have happened or not. "
        "*Refused*: for want of room. *Missing*: records that expired, or were evicted or forgotten.",
        _table(rows),
        "MiB, a quarter of the way into the soak, at its end, and at most:",
        _table(growth),
        "![over time](soak.svg)",
    ]
    for outcome in outcomes:
        injected = ", ".join(f"{count} {name}" for name, count in sorted(outcome.injected.items()))
        sections += [f"## {outcome.name}", f"Injected: {injected or 'nothing'}."]
        sections += [f"Left out: {text}." for text in outcome.left_out]
        sections += [f"- `{fault}`" for fault in outcome.faults[:_SHOWN]]
    return "\n\n".join(sections) + "\n"


def _row(outcome: Outcome) -> tuple[str, ...]:
    figures = outcome.figures
    counts = [
        *(figures.get(Figure(number), 0) for number in range(Figure.WRONG)),
        outcome.injected.total(),
        figures.get(Figure.WRONG, 0),
        figures.get(Figure.LOST, 0),
    ]
    return (outcome.name, f"{outcome.seconds:.0f}", *(f"{count:,}" for count in counts))


def _growth(outcome: Outcome) -> tuple[str, ...]:
    samples = outcome.samples
    if not samples:
        return (outcome.name, *[""] * 6)
    early, last = samples[len(samples) // 4], samples[-1]
    sizes = [
        *(early.memory, last.memory, max(sample.memory for sample in samples)),
        *(early.files, last.files, max(sample.files for sample in samples)),
    ]
    return (outcome.name, *(f"{size / _MEBIBYTE:.0f}" for size in sizes))


def _table(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def chart(outcomes: Sequence[Outcome]) -> str:
    """Return the chart as SVG: a panel for each figure, a line for each store."""
    parts = [_legend(outcomes)]
    for number, (title, figure) in enumerate(_PANELS.items()):
        parts.append(_panel(title, figure, outcomes, _TOP * 2 + number * (_HEIGHT + _TOP)))
    height = _TOP * 2 + len(_PANELS) * (_HEIGHT + _TOP)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH + 2 * _LEFT}" height="{height}" '
        f'font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="white"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _legend(outcomes: Sequence[Outcome]) -> str:
    names = [
        f'<tspan fill="{_COLORS[number % len(_COLORS)]}" dx="12">{escape(outcome.name)}</tspan>'
        for number, outcome in enumerate(outcomes)
    ]
    return f'<text x="{_LEFT}" y="20">{"".join(names)}</text>'


def _panel(title: str, figure: Callable[[Sample], float], outcomes: Sequence[Outcome], top: int) -> str:
    every = [sample for outcome in outcomes for sample in outcome.samples]
    longest = max((sample.at for sample in every), default=0) or 1
    largest = max(map(figure, every), default=0)
    scale = largest or 1
    lines = [
        f'<text x="{_LEFT}" y="{top}" font-weight="bold">{escape(title)}, '
        f"0 to {largest:,.0f} in {longest:,.0f} s</text>",
        f'<rect x="{_LEFT}" y="{top + 5}" width="{_WIDTH}" height="{_HEIGHT - 5}" fill="none" stroke="#cbd5e1"/>',
    ]
    for number, outcome in enumerate(outcomes):
        points = " ".join(
            f"{_LEFT + sample.at / longest * _WIDTH:.1f},{top + _HEIGHT - figure(sample) / scale * (_HEIGHT - 10):.1f}"
            for sample in outcome.samples
        )
        lines.append(f'<polyline points="{points}" fill="none" stroke="{_COLORS[number % len(_COLORS)]}"/>')
    return "\n".join(lines)
