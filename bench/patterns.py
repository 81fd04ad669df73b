"""Deleting keys by a pattern that few of them fit: seconds and memory, the embedded store beside django-redis."""

from __future__ import annotations

import argparse
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

from bench.backends import DJANGO_REDIS, KTCACHE, KTCACHE_SOCKET, Entrant, Missing, configure, enter_all, open_cache
from bench.report import Report, Setting, figure, left_out, ratio, table
from bench.workers import workers

PATTERN = "user:*:stale"
ONE_IN = 100  # keys fits
VALUE = "v" * 85
FILL = 1_000  # keys of a set_many
MAX_SIZE_PER_KEY = 860  # bytes: nothing may be evicted
SMALLEST = 256 << 20
LOOK_EVERY = 0.005  # seconds between two looks at the memory
ITERSIZE = 10_000  # which users of django-redis are told to try


@dataclass(frozen=True)
class Extent:
    """How much a run measures."""

    keys: int
    rounds: int


FULL = Extent(1_000_000, 3)
QUICK = Extent(100_000, 2)


class Turn(NamedTuple):
    """One deletion: the seconds it took, how many keys it said it deleted, the bytes its process grew by."""

    seconds: float
    deleted: int
    growth: int


@dataclass(frozen=True)
class Way:
    """A cache, and the size of the batches it is told to list keys in; None for its own."""

    name: str
    title: str
    entrant: Entrant
    itersize: int | None = None


@dataclass
class Results:
    """The turns of each way."""

    keys: int
    ways: list[Way] = field(default_factory=list)
    turns: dict[str, list[Turn]] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keys", metavar="N", type=int, help=f"how many there are (default: {FULL.keys:,})")


def measure(options: argparse.Namespace, folder: Path, stack: ExitStack, say: Callable[[str], None]) -> Report:
    extent = QUICK if options.quick else FULL
    extent = replace(extent, keys=options.keys or extent.keys)
    configure(folder)
    results = Results(extent.keys)
    embedded = replace(KTCACHE, options={"max_size": max(SMALLEST, extent.keys * MAX_SIZE_PER_KEY)})
    entrants, results.missing = enter_all((embedded, KTCACHE_SOCKET, DJANGO_REDIS), folder, stack, say)
    for entrant in entrants:
        say(f"patterns: {extent.keys:,} keys for {entrant.title}")
        _fill(entrant, range(extent.keys))
        results.ways.append(Way(entrant.name, entrant.title, entrant))
        if entrant.name == DJANGO_REDIS.name:
            title = f"{entrant.title}, itersize {ITERSIZE:,}"
            results.ways.append(Way(f"{entrant.name}-{ITERSIZE}", title, entrant, ITERSIZE))
    take_turns(results, folder, extent.rounds, say)
    return report(results, options.setting)


def take_turns(results: Results, folder: Path, rounds: int, say: Callable[[str], None]) -> None:
    """Delete what fits in each way once a round, in a new order and a new process each time, and store it again."""
    rng = random.Random(0)
    results.turns = {way.name: [] for way in results.ways}
    for number in range(rounds):
        say(f"patterns: round {number + 1} of {rounds}")
        for way in rng.sample(results.ways, len(results.ways)):
            with workers(1, _delete, way.entrant.config, way.itersize, folder) as (pipe,):
                results.turns[way.name].append(pipe.recv())
            _fill(way.entrant, range(0, results.keys, ONE_IN))


def name_of(number: int) -> str:
    """The key of a number: those that fit the pattern are scattered among the others."""
    return f"user:{number * 0x9E3779B97F4A7C15 % 2**64:016x}:{'fresh' if number % ONE_IN else 'stale'}"


def _fill(entrant: Entrant, numbers: range) -> None:
    cache = open_cache(entrant.config)
    for start in range(0, len(numbers), FILL):
        cache.set_many({name_of(number): VALUE for number in numbers[start : start + FILL]})


def _delete(pipe: Connection, config: Mapping[str, Any], itersize: int | None, folder: Path, number: int) -> None:
    configure(folder)
    cache: Any = open_cache(config)
    cache.get("warm")
    more = {} if itersize is None else {"itersize": itersize}
    with Watch() as watch:
        start = perf_counter()
        deleted = cache.delete_pattern(PATTERN, **more)
        seconds = perf_counter() - start
    pipe.send(Turn(seconds, deleted, watch.growth))
    pipe.recv()  # until it is closed


class Watch:
    """Looks at this process's own memory, without what it shares with others through files, while something runs."""

    def __init__(self) -> None:
        self._before = self._most = _own_memory()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    @property
    def growth(self) -> int:
        """Bytes that it had more at its highest."""
        return self._most - self._before

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._most = max(self._most, _own_memory())

    def _look(self) -> None:
        while not self._over.wait(LOOK_EVERY):
            self._most = max(self._most, _own_memory())


def _own_memory() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise OSError("this system does not tell a process's own memory")


def report(results: Results, setting: Setting) -> Report:
    sections = [
        setting.section(*(left_out(peer.title, peer.reason) for peer in results.missing)),
        "## Deleting by pattern",
        f"`cache.delete_pattern({PATTERN!r})` over {results.keys:,} keys, of which one in {ONE_IN} fits, in a new "
        "process each time; the caches take turns in rounds. Medians, the median of the ratios to the first within "
        "each round, and the most that the calling process's own memory ever grew by.",
        table(
            ["", "seconds", "keys/s looked at", "times the first", "memory, MiB"],
            [_row(results, way.name, way.title) for way in results.ways],
        ),
        *_troubles(results),
    ]
    return Report("patterns", sections)


def _row(results: Results, name: str, title: str) -> Sequence[str]:
    seconds = {name: [turn.seconds for turn in turns] for name, turns in results.turns.items()}
    taken = median(seconds[name])
    times = ratio(seconds, name, results.ways[0].name)
    growth = max(turn.growth for turn in results.turns[name]) / 2**20
    return [title, figure(taken), figure(results.keys / taken), figure(times), figure(growth)]


def _troubles(results: Results) -> list[str]:
    wanted = len(range(0, results.keys, ONE_IN))
    return [
        f"{way.title} said {turn.deleted:,} instead of {wanted:,}."
        for way in results.ways
        for turn in results.turns[way.name]
        if turn.deleted != wanted
    ]
