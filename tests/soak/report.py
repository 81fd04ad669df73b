"""What a soak has found, in Markdown, beside the chart of `tests.soak.chart`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.soak.board import Figure
from tests.soak.chart import chart
from tests.soak.soak import Outcome

_MEBIBYTE: Final = 1 << 20
_SHOWN: Final = 20  # faults of each place
_COLUMNS: Final = (
    ("operations", Figure.OPERATIONS),
    ("unreached", Figure.UNREACHED),
    ("late", Figure.LATE),
    ("failed", Figure.FAILED),
    ("refused", Figure.REFUSED),
    ("missing", Figure.MISSING),
    ("forks", Figure.FORKS),
)


def write(outcomes: Sequence[Outcome], seed: str, folder: Path) -> Path:
    """Write the summary and the chart; return the path of the summary."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "soak.svg").write_text(chart(outcomes))
    path = folder / "soak.md"
    path.write_text(summary(outcomes, seed))
    return path


def summary(outcomes: Sequence[Outcome], seed: str) -> str:
    """Return the summary."""
    head = ("store", "s", *(name for name, _ in _COLUMNS), "faults", "wrong", "lost")
    rows = [head, ("---", *["---:"] * (len(head) - 1)), *map(_row, outcomes)]
    growth = [("store", "memory", "", "", "files", "", ""), ("---", *["---:"] * 6), *map(_growth, outcomes)]
    sections = [
        "# Soak",
        _verdict(outcomes),
        f"Seed: `{seed}`. Operations that ended in an error may have happened or not: the server was *unreached*, or "
        "its answer was *late*, or it *failed* to do it, as a Tokyo Tyrant server says of a full disk. *Refused*: for "
        "want of room. *Missing*: records that expired, or were evicted or forgotten.",
        _table(rows),
        "MiB, a quarter of the way into the soak, at its end, and at most:",
        _table(growth),
        "![over time](soak.svg)",
    ]
    for outcome in outcomes:
        kinds = Counter(injection.name for injection in outcome.injections)
        injected = ", ".join(f"{count} {name}" for name, count in sorted(kinds.items()))
        sections += [f"## {outcome.name}", f"Injected: {injected or 'nothing'}."]
        sections += [f"Left out: {text}." for text in outcome.left_out]
        sections += [f"- `{fault}`" for fault in outcome.faults[:_SHOWN]]
    return "\n\n".join(sections) + "\n"


def _verdict(outcomes: Sequence[Outcome]) -> str:
    wrong, lost, operations = (
        sum(outcome.figures.get(figure, 0) for outcome in outcomes)
        for figure in (Figure.WRONG, Figure.LOST, Figure.OPERATIONS)
    )
    injected = sum(len(outcome.injections) for outcome in outcomes)
    return (
        f"**{wrong:,} wrong answers and {lost:,} lost writes** in {operations:,} operations, "
        f"with {injected:,} faults injected."
    )


def _row(outcome: Outcome) -> tuple[str, ...]:
    counts = [outcome.figures.get(figure, 0) for _, figure in _COLUMNS]
    counts += [len(outcome.injections), *(outcome.figures.get(figure, 0) for figure in (Figure.WRONG, Figure.LOST))]
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
