"""The commands that look at a cache: ``ping``, ``stats``, ``keys``, ``ttl``."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from statistics import median
from time import monotonic, perf_counter
from typing import Any

from kt_cache.commands.target import Site, Target
from kt_cache.stores.base import Stats
from kt_core.errors import KTError
from kt_core.sizes import in_bytes
from kt_core.terminal import CommandFailed, Terminal, printable


def ping(site: Site, target: Target, given: argparse.Namespace, terminal: Terminal) -> None:
    took: list[float] = []
    where = {"alias": target.alias, "location": target.location}
    try:
        for _ in range(given.count):
            start = perf_counter()
            if not target.store.ping():
                raise CommandFailed(f"{target.alias}: {target.location} does not answer")
            took.append((perf_counter() - start) * 1e6)
    except (CommandFailed, KTError) as error:
        if given.json:
            terminal.line(json.dumps({**where, "answers": False, "error": str(error)}))
        if isinstance(error, CommandFailed):
            raise
        raise CommandFailed(f"{target.alias}: {target.location} is out of order: {error}") from error
    figures = {"median_us": round(median(took), 2), "slowest_us": round(max(took), 2)}
    if given.json:
        terminal.line(json.dumps({**where, "answers": True, **figures}))
    else:
        text = "{median_us:,.1f} µs (median of {count}; slowest {slowest_us:,.1f} µs)".format(
            **figures, count=given.count
        )
        terminal.line(f"{target.alias}: {target.location} answers in {text}", "good")


def stats(site: Site, target: Target, given: argparse.Namespace, terminal: Terminal) -> None:
    before: tuple[float, Stats] | None = None
    try:
        while True:
            now, seen = monotonic(), target.store.stats()
            if given.json:
                about = {"alias": target.alias, **asdict(seen), "hit_ratio": seen.hit_ratio}
                terminal.line(json.dumps(about))
            else:
                if given.watch:
                    terminal.clear()
                terminal.table([("alias", target.alias), *_figures(seen), *_pace(before, (now, seen))])
            if not given.watch:
                return
            before = now, seen
            terminal.pause(given.watch)
            if not given.json and not terminal.interactive:
                terminal.line()
    except KeyboardInterrupt:
        terminal.line()


def _figures(stats: Stats) -> Iterator[tuple[str, str]]:
    reads = stats.hits + stats.misses
    bound = f" of {in_bytes(stats.max_size)} ({stats.size / stats.max_size:.1%})" if stats.max_size else ""
    yield "store", stats.store
    yield "location", stats.location
    yield "entries", f"{stats.entries:,}"
    yield "size", f"{in_bytes(stats.size)}{bound}"
    yield "hit ratio", "no reads yet" if stats.hit_ratio is None else f"{stats.hit_ratio:.1%} of {reads:,} reads"
    for name in ("hits", "misses", "evictions", "expirations", "processes"):
        number = getattr(stats, name)
        yield name, "not known by this store" if number is None else f"{number:,}"
    if stats.lag is not None:
        yield "lag of the copy", f"{stats.lag * 1000:,.0f} ms"


def _pace(before: tuple[float, Stats] | None, now: tuple[float, Stats]) -> Iterator[tuple[str, str]]:
    if before is not None and now[0] > before[0]:
        reads = now[1].hits + now[1].misses - before[1].hits - before[1].misses
        yield "reads/s", f"{reads / (now[0] - before[0]):,.0f}"


def keys(site: Site, target: Target, given: argparse.Namespace, terminal: Terminal) -> None:
    if not given.ttl and not given.size:
        for stored in islice(target.fitting(given.glob), given.limit):
            key = target.to_key(stored)
            terminal.line(json.dumps({"key": key}) if given.json else printable(key))
        return
    for entry in islice(target.entries(given.glob), given.limit):
        key = target.to_key(entry.key)
        columns: dict[str, Any] = {"ttl": _left(entry.left)} if given.ttl else {}
        columns |= {"size": entry.size} if given.size else {}
        if given.json:
            terminal.line(json.dumps({"key": key, **columns}))
        else:
            left = [f"{'never' if columns['ttl'] is None else columns['ttl']:>10}"] if given.ttl else []
            size = [f"{in_bytes(entry.size):>10}"] if given.size else []
            terminal.line("  ".join([*left, *size, printable(key)]))


def _left(seconds: float | None) -> int | None:
    """Return whole seconds left: None for ever, 0 for no record."""
    if seconds is None:
        return 0
    return None if seconds == math.inf else math.ceil(seconds)


def ttl(site: Site, target: Target, given: argparse.Namespace, terminal: Terminal) -> None:
    left = target.store.ttl_many([target.to_stored(key) for key in given.key])
    times = {key: _left(left.get(target.to_stored(key))) for key in given.key}
    if given.json:
        terminal.line(json.dumps(times))
        return
    words = {None: "never expires", 0: "is not there"}
    terminal.table((printable(key), words.get(seconds, f"{seconds} seconds left")) for key, seconds in times.items())
