"""Many processes that miss one value at once: how often it is computed, and how long they wait."""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import NamedTuple

from bench.backends import (
    KTCACHE,
    KTCACHE_SOCKET,
    LOCMEM,
    REDIS_CACHE,
    Entrant,
    Missing,
    configure,
    enter_all,
    open_cache,
)
from bench.report import Report, Setting, figure, left_out, table
from bench.workers import workers

PROCESSES = 32
SECONDS = 0.2  # that the value takes, and that wait for others: a query, a rendering elsewhere
HEAD_START = 0.1  # seconds for the order to reach every process before it counts
PEERS = (KTCACHE, KTCACHE_SOCKET, REDIS_CACHE, LOCMEM)


class Turn(NamedTuple):
    """What one process saw: the seconds until it had the value, and how often it computed that itself."""

    seconds: float
    computed: int


@dataclass
class Results:
    """The turns of every process, a list for each round."""

    entrants: list[Entrant] = field(default_factory=list)
    rounds: dict[str, list[list[Turn]]] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", metavar="N", type=int, help="how often they miss it (default: 20, quick: 3)")


def measure(options: argparse.Namespace, folder: Path, stack: ExitStack, say: Callable[[str], None]) -> Report:
    results = Results()
    configure(folder)
    results.entrants, results.missing = enter_all(PEERS, folder, stack, say)
    take_turns(results, folder, options.rounds or (3 if options.quick else 20), say)
    return report(results, options.setting)


def take_turns(results: Results, folder: Path, rounds: int, say: Callable[[str], None]) -> None:
    """Have all processes miss a new value of every cache in each round."""
    rng = random.Random(0)
    names = [entrant.name for entrant in results.entrants]
    results.rounds = {name: [] for name in names}
    say(f"stampede: starting {PROCESSES} processes")
    with workers(PROCESSES, _work, results.entrants, folder) as pipes:
        for pipe in pipes:
            pipe.recv()
        for number in range(rounds):
            say(f"stampede: round {number + 1} of {rounds}")
            for name in rng.sample(names, len(names)):
                start = perf_counter() + HEAD_START
                for pipe in pipes:
                    pipe.send((name, f"value:{number}", start))
                results.rounds[name].append([pipe.recv() for pipe in pipes])


def _work(pipe: Connection, entrants: Sequence[Entrant], folder: Path, number: int) -> None:
    configure(folder)
    caches = {entrant.name: open_cache(entrant.config) for entrant in entrants}
    for cache in caches.values():
        cache.get("warm")
    pipe.send(None)
    while True:
        name, key, start = pipe.recv()
        computed: list[None] = []

        def compute(computed: list[None] = computed) -> str:
            computed.append(None)
            sleep(SECONDS)
            return "value"

        sleep(max(0.0, start - perf_counter()))
        caches[name].get_or_set(key, compute)
        pipe.send(Turn(perf_counter() - start, len(computed)))


def report(results: Results, setting: Setting) -> Report:
    sections = [
        setting.section(*(left_out(peer.title, peer.reason) for peer in results.missing)),
        "## A stampede",
        f"{PROCESSES} processes call `cache.get_or_set(key, compute)` for one missing key at the same moment; "
        f"computing waits {SECONDS * 1e3:.0f} ms. Medians over the rounds of how often it was computed, when the "
        "last caller had its value and when half of them had, in milliseconds.",
        table(
            ["", "computed", "slowest caller, ms", "median caller, ms"],
            [_row(entrant.title, results.rounds[entrant.name]) for entrant in results.entrants],
        ),
    ]
    return Report("stampede", sections)


def _row(title: str, rounds: Sequence[Sequence[Turn]]) -> Sequence[str]:
    computed = median(sum(turn.computed for turn in turns) for turns in rounds)
    slowest = median(max(turn.seconds for turn in turns) for turns in rounds)
    middle = median(median(turn.seconds for turn in turns) for turns in rounds)
    return [title, f"{computed:,.0f}", figure(slowest * 1e3), figure(middle * 1e3)]
