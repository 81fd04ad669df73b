"""The report of a run, in Markdown: the machine, the command, and tables of medians and ratios."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING

from bench import machine

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Series = Mapping[str, Sequence[float]]  # peer -> one sample a round


@dataclass
class Report:
    """What a run has to tell: paragraphs and tables, and charts to be drawn where there is matplotlib."""

    name: str  # of its file
    sections: Sequence[str]
    charts: Mapping[str, Callable[[], Figure]] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return "\n\n".join(["# Benchmark results", *filter(None, self.sections)]) + "\n"


@dataclass(frozen=True)
class Setting:
    """Under what circumstances a run measures; made before it does."""

    command: str
    busy: float = field(default_factory=lambda: os.getloadavg()[0])

    def section(self, *notes: str) -> str:
        lines = [
            f"Command: `{self.command}`",
            f"Date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            f"Machine: {machine.processor()}, {os.cpu_count()} cores, {machine.memory()}; "
            f"{platform.system()}; load average before the run {self.busy:.1f}",
            f"{platform.python_implementation()} {platform.python_version()}; " + ", ".join(machine.versions()),
            *notes,
        ]
        return "\n".join(f"- {line}" for line in lines)


def left_out(title: str, reason: str) -> str:
    """The note about a peer that could not be measured."""
    return f"Left out: {title}: {reason}"


def figure(value: float) -> str:
    """A number with about three digits, thousands separated."""
    decimals = 3 if value < 0.1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{decimals}f}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; every column but the first holds numbers."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def medians(title: str, columns: Iterable[Series], name: str) -> list[str]:
    """A row of one peer's medians."""
    return [title, *(figure(median(samples[name])) for samples in columns)]


def ratio(samples: Series, name: str, basis: str) -> float:
    """The median of a peer's ratio to the basis in the same round: drift of the machine cancels out."""
    return median(own / other for own, other in zip(samples[name], samples[basis], strict=True))


def ratios(title: str, columns: Iterable[Series], name: str, basis: str) -> list[str]:
    """A row of one peer's ratios to another."""
    return [title, *(figure(ratio(samples, name, basis)) for samples in columns)]
