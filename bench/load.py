"""A machine's load: operations a second of four processes, nine reads to a write, keys after Zipf's law."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter, sleep
from typing import NamedTuple

from django.core.cache.backends.base import BaseCache

from bench.backends import VALUE, Entrant, configure, fill, open_cache
from bench.workers import workers
from bench.zipf import zipf_ranks

PROCESSES = 4
WRITES = 0.1
EXPONENT = 0.99
PLAN = 50_000
STEP = 20  # operations between two looks at the clock
HEAD_START = 0.01  # seconds for the order to reach every process before it counts


class Turn(NamedTuple):
    """What one process did in one peer's turn."""

    operations: int
    seconds: float
    misses: int  # all keys are there: a miss is a lost entry
    errors: int


@dataclass
class Result:
    """Operations a second in all, one sample a round, and what went wrong meanwhile."""

    samples: dict[str, list[float]] = field(default_factory=dict)
    misses: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)


def measure(
    entrants: Sequence[Entrant],
    folder: Path,
    keys: int,
    rounds: int,
    seconds: float,
    say: Callable[[str], None],
) -> Result:
    """Give every peer a turn of `seconds` in each round, in a new order each time."""
    rng = random.Random(0)
    names = [entrant.name for entrant in entrants]
    result = Result({name: [] for name in names}, dict.fromkeys(names, 0), dict.fromkeys(names, 0))
    with workers(PROCESSES, _work, list(entrants), folder, keys) as pipes:
        for entrant in entrants:
            say(f"load: filling {entrant.title}")
            for pipe in pipes if entrant.private else pipes[:1]:
                pipe.send(("fill", entrant.name))
                pipe.recv()
        for number in range(rounds):
            say(f"load: round {number + 1} of {rounds}")
            for name in rng.sample(names, len(names)):
                start = perf_counter() + HEAD_START
                for pipe in pipes:
                    pipe.send(("run", name, start, start + seconds))
                turns: list[Turn] = [pipe.recv() for pipe in pipes]
                result.samples[name].append(sum(turn.operations / turn.seconds for turn in turns))
                result.misses[name] += sum(turn.misses for turn in turns)
                result.errors[name] += sum(turn.errors for turn in turns)
    return result


def _work(pipe: Connection, entrants: list[Entrant], folder: Path, keys: int, number: int) -> None:
    """Fill a cache, or put load on one, at each order."""
    configure(folder)
    caches = {entrant.name: open_cache(entrant.config) for entrant in entrants}
    names = [f"load:{key}" for key in range(keys)]
    random.Random(1).shuffle(names)
    rng = random.Random(number)
    plan = cycle([(names[rank], rng.random() < WRITES) for rank in zipf_ranks(keys, PLAN, EXPONENT, seed=number)])
    while True:
        order, name, *times = pipe.recv()
        if order == "fill":
            fill(caches[name], names)
            pipe.send(None)
        else:
            pipe.send(_turn(caches[name], plan, *times))


def _turn(cache: BaseCache, plan: Iterator[tuple[str, bool]], start: float, end: float) -> Turn:
    get, put = cache.get, cache.set
    operations = misses = errors = 0
    sleep(max(0.0, start - perf_counter()))
    begun = now = perf_counter()
    while now < end:
        for key, write in islice(plan, STEP):
            try:
                if write:
                    put(key, VALUE)
                elif get(key) is None:
                    misses += 1
            # A peer that fails under load is reported, and measured on.
            except Exception:
                errors += 1
        operations += STEP
        now = perf_counter()
    return Turn(operations, now - begun, misses, errors)
