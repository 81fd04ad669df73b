"""Django's caches beside each other: single calls, load, growth and hit ratio."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench import calls, charts, growth, hit_ratio, load
from bench.backends import BASIS, GROUP, KTCACHE, PEERS, REDIS_CACHE, VALUE_SIZE, Entrant, Missing, configure, prepare
from bench.report import Report, Series, Setting, figure, left_out, medians, ratios, table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS = ("get", "set", f"get_many {GROUP}")
PARTS = ("calls", "load", "growth", "hit-ratio")


@dataclass(frozen=True)
class Extent:
    """How much a run measures."""

    rounds: int
    batch_seconds: float
    load_keys: int
    load_rounds: int
    turn_seconds: float
    sizes: tuple[int, ...]
    size_batches: int
    trace_keys: int
    trace_requests: int


FULL = Extent(80, 0.003, 5_000, 40, 0.12, (10_000, 1_000_000, 5_000_000), 100, 100_000, 500_000)
QUICK = Extent(15, 0.002, 500, 8, 0.1, (10_000, 100_000), 20, 50_000, 150_000)


@dataclass
class Results:
    """All a run measured; None where a part was left out."""

    place: str
    entrants: list[Entrant] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    calls: calls.Samples | None = None
    load: load.Result | None = None
    growth: growth.Result | None = None
    hit_ratio: list[hit_ratio.Row] | None = None


def add_options(parser: argparse.ArgumentParser) -> None:
    names = [peer.name for peer in PEERS]
    parser.epilog = "Backends: " + ", ".join(f"{peer.name} ({peer.title})" for peer in PEERS) + "."
    parser.add_argument(
        "--only",
        metavar="NAME[,NAME]",
        type=_names_among(names),
        default=set(names),
        help=f"measure these backends alone ({BASIS} always takes part: every ratio refers to it)",
    )
    parser.add_argument(
        "--skip",
        metavar="PART[,PART]",
        type=_names_among(PARTS),
        default=set(),
        help="leave out parts of the run: " + ", ".join(PARTS),
    )


def _names_among(known: Sequence[str]) -> Callable[[str], set[str]]:
    def names(text: str) -> set[str]:
        given = set(text.split(","))
        if unknown := given.difference(known):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))} is none of {', '.join(known)}")
        return given

    return names


def measure(options: argparse.Namespace, folder: Path, stack: ExitStack, say: Callable[[str], None]) -> Report:
    extent = QUICK if options.quick else FULL
    results = Results(str(options.place))
    configure(folder)
    results.entrants, results.missing = prepare(options.only | {BASIS}, folder, stack, say)
    here = {entrant.name for entrant in results.entrants}
    parts = set(PARTS) - options.skip
    if KTCACHE.name not in here:
        parts -= {"growth", "hit-ratio"}
    with_redis = REDIS_CACHE.name in here
    if "calls" in parts:
        results.calls = calls.measure(results.entrants, extent.rounds, extent.batch_seconds, say)
    if "load" in parts:
        results.load = load.measure(
            results.entrants, folder, extent.load_keys, extent.load_rounds, extent.turn_seconds, say
        )
    if "hit-ratio" in parts:
        results.hit_ratio = hit_ratio.measure(with_redis, folder, extent.trace_keys, extent.trace_requests, say)
    if "growth" in parts:  # last: an open database keeps its memory until the process ends
        results.growth = growth.measure(with_redis, folder, extent.sizes, extent.size_batches, say)
    return report(results, options.setting)


def report(results: Results, setting: Setting) -> Report:
    notes = [left_out(peer.title, peer.reason) for peer in results.missing]
    place = f"Files of every backend that has some: {results.place}; servers: no persistence, unix sockets but kt's"
    sections = [
        setting.section(place, *notes),
        _speed(results),
        _growth(results.growth) if results.growth else "",
        _hit_ratio(results.hit_ratio) if results.hit_ratio else "",
    ]
    drawn: dict[str, Callable[[], Figure]] = {}
    if panels := list(_panels(results)):
        titles = {entrant.name: entrant.title for entrant in results.entrants}
        ours = {name for name in titles if name.startswith(KTCACHE.name)}
        drawn["latency"] = partial(charts.dots, panels, titles, ours, BASIS)
    if results.growth and results.growth.rows:
        drawn["growth"] = partial(charts.growth, results.growth.rows, KTCACHE.title)
    return Report("results", sections, drawn)


def _panels(results: Results) -> Iterator[tuple[str, Series]]:
    if results.calls:
        for operation in PANELS:
            yield f"{operation}: µs a call (less is better)", results.calls[operation]
    if results.load:
        yield f"{load.PROCESSES} processes: operations/s (more is better)", results.load.samples


def _speed(results: Results) -> str:
    columns: list[tuple[str, Series]] = list((results.calls or {}).items())
    if results.load:
        columns.append((f"{load.PROCESSES} processes, ops/s", results.load.samples))
    if not columns:
        return ""
    header = ["", *(title for title, _ in columns)]
    every = [samples for _, samples in columns]
    return "\n\n".join(
        [
            "## Cache calls",
            f"Median microseconds of a Django cache call in one process ({calls.RESIDENT:,} keys; less is "
            f"better), and operations a second of {load.PROCESSES} processes together "
            f"({1 - load.WRITES:.0%} get, {load.WRITES:.0%} set, keys after Zipf's law; more is better). "
            f"A value is a dict of {VALUE_SIZE} bytes pickled. Peers take turns in short rounds, with their "
            "default options but limits that let them keep everything; SQLite in WAL mode.",
            table(header, (medians(entrant.title, every, entrant.name) for entrant in results.entrants)),
            "*LocMemCache* keeps a cache of its own in every process; all others share one.",
            *_troubles(results),
            "The same as ratio to LocMemCache (median of the ratios within each round):",
            table(header, (ratios(entrant.title, every, entrant.name, BASIS) for entrant in results.entrants)),
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
