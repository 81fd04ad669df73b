"""The report of a run: tables of what was measured, the machine, and the command that measured it."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median

from bench import calls, growth, hit_ratio, load, machine
from bench.backends import BASIS, VALUE_SIZE, Entrant, Missing

Series = Mapping[str, Sequence[float]]  # peer -> one sample a round


@dataclass
class Results:
    """All a run measured; None where a part was left out."""

    command: str
    place: str
    busy: float = field(default_factory=lambda: os.getloadavg()[0])  # before the run
    entrants: list[Entrant] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    calls: calls.Samples | None = None
    load: load.Result | None = None
    growth: growth.Result | None = None
    hit_ratio: list[hit_ratio.Row] | None = None


def figure(value: float) -> str:
    """A number with about three digits, thousands separated."""
    decimals = 3 if value < 0.1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{decimals}f}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; every column but the first holds numbers."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def ratio(samples: Series, name: str) -> float:
    """The median of a peer's ratio to the basis in the same round: drift of the machine cancels out."""
    return median(own / basis for own, basis in zip(samples[name], samples[BASIS], strict=True))


def markdown(results: Results) -> str:
    """The whole report."""
    sections = [
        "# Benchmark results",
        _setting(results),
        _speed(results),
        _growth(results.growth) if results.growth else "",
        _hit_ratio(results.hit_ratio) if results.hit_ratio else "",
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def _setting(results: Results) -> str:
    lines = [
        f"- Command: `{results.command}`",
        f"- Date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"- Machine: {machine.processor()}, {os.cpu_count()} cores, {machine.memory()}; "
        f"{platform.system()}; load average before the run {results.busy:.1f}",
        f"- {platform.python_implementation()} {platform.python_version()}; " + ", ".join(machine.versions()),
        f"- Files of every backend that has some: {results.place}; servers: unix sockets, no persistence",
        *(f"- Left out: {peer.title}: {peer.reason}" for peer in results.missing),
    ]
    return "\n".join(lines)


def _speed(results: Results) -> str:
    columns: list[tuple[str, Series]] = list((results.calls or {}).items())
    if results.load:
        columns.append((f"{load.PROCESSES} processes, ops/s", results.load.samples))
    if not columns:
        return ""
    header = ["", *(title for title, _ in columns)]
    medians = (
        [entrant.title, *(figure(median(samples[entrant.name])) for _, samples in columns)]
        for entrant in results.entrants
    )
    ratios = (
        [entrant.title, *(figure(ratio(samples, entrant.name)) for _, samples in columns)]
        for entrant in results.entrants
    )
    return "\n\n".join(
        [
            "## Cache calls",
            f"Median microseconds of a Django cache call in one process ({calls.RESIDENT:,} keys; less is "
            f"better), and operations a second of {load.PROCESSES} processes together "
            f"({1 - load.WRITES:.0%} get, {load.WRITES:.0%} set, keys after Zipf's law; more is better). "
            f"A value is a dict of {VALUE_SIZE} bytes pickled. Peers take turns in short rounds, with their "
            "default options but limits that let them keep everything; SQLite in WAL mode.",
            table(header, medians),
            "*LocMemCache* keeps a cache of its own in every process; all others share one.",
            *_troubles(results),
            "The same as ratio to LocMemCache (median of the ratios within each round):",
            table(header, ratios),
        ]
    )


def _troubles(results: Results) -> Iterator[str]:
    if not results.load:
        return
    for entrant in results.entrants:
        lost, errors = results.load.misses[entrant.name], results.load.errors[entrant.name]
        if lost or errors:
            yield f"Under load {entrant.title} had lost {lost:,} keys asked for and raised {errors:,} errors."


def _growth(result: growth.Result) -> str:
    rows = (
        [
            row.title,
            f"{row.entries:,}",
            figure(row.get),
            figure(row.set),
            f"{row.bytes_per_entry:,.0f}",
            f"{row.fill:,.0f}",
        ]
        for row in result.rows
    )
    return "\n\n".join(
        [
            "## Growth",
            "Median microseconds of get and set of random keys, and size, as entries grow: values of "
            f"{len(growth.PICKLED)} bytes pickled, keys of {len(growth.name_of(0))} characters and prefix, a "
            "timeout. Bytes per entry are `stats().size` of KTCache, and `used_memory` of Redis less that of "
            f"the empty server. KTCache is filled by `set_many` of {growth.FILL:,}, Redis by bare pipelined "
            "SETs.",
            table(["", "entries", "get, µs", "set, µs", "bytes per entry", "filled, entries/s"], rows),
            *result.notes,
        ]
    )


def _hit_ratio(rows: Sequence[hit_ratio.Row]) -> str:
    cells = (
        [
            row.title,
            row.names,
            f"{row.entries:,.0f}",
            f"{row.hits:.2%}",
            f"{row.true_lru:.2%}",
            f"{(row.hits - row.true_lru) * 100:+.2f}",
        ]
        for row in rows
    )
    return "\n\n".join(
        [
            "## Hit ratio",
            f"Cache-aside (get, on a miss set), keys after Zipf's law with exponent {hit_ratio.EXPONENT}, "
            f"room for about {hit_ratio.CAPACITY:.0%} of them, requests as fast as the store answers; beside "
            "an exact LRU with as many entries as the store held on average.",
            table(["", "names of keys", "entries held", "hits", "true LRU", "points"], cells),
        ]
    )
