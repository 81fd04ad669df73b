"""Single calls of one process: microseconds of each cache operation, peers taking turns in short rounds."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from time import perf_counter
from typing import Any, Generic, TypeVar

from django.core.cache.backends.base import BaseCache

from bench.backends import GROUP, VALUE, Entrant, fill, open_cache

RESIDENT = 1_000
MOST_CALLS = 4_000
ARTICLES = [f"article:{number}" for number in range(RESIDENT)]
COUNTERS = [f"counter:{number}" for number in range(GROUP)]

C = TypeVar("C")  # what is called: a cache, a client

# operation -> peer -> microseconds a call, one sample a round
Samples = dict[str, dict[str, list[float]]]


def _get(cache: BaseCache, keys: Iterable[str]) -> None:
    call = cache.get
    for key in keys:
        call(key)


def _set(cache: BaseCache, keys: Iterable[str]) -> None:
    call = cache.set
    for key in keys:
        call(key, VALUE)


def _add(cache: BaseCache, keys: Iterable[str]) -> None:
    call = cache.add
    for key in keys:
        call(key, VALUE)


def _incr(cache: BaseCache, keys: Iterable[str]) -> None:
    call = cache.incr
    for key in keys:
        call(key)


def _touch(cache: BaseCache, keys: Iterable[str]) -> None:
    call = cache.touch
    for key in keys:
        call(key)


def _get_many(cache: BaseCache, groups: Iterable[list[str]]) -> None:
    call = cache.get_many
    for group in groups:
        call(group)


def _set_many(cache: BaseCache, groups: Iterable[dict[str, Any]]) -> None:
    call = cache.set_many
    for group in groups:
        call(group)


@dataclass(frozen=True)
class Operation(Generic[C]):
    """A loop of calls, over subjects taken in turn."""

    title: str
    loop: Callable[[C, Iterable[Any]], None]
    subjects: Sequence[Any]
    undo: Callable[[C, Sequence[Any]], object] | None = None  # when the clock stands


def operations() -> tuple[Operation[BaseCache], ...]:
    """Every operation measured, on resident keys in an order that is not theirs."""
    resident = list(ARTICLES)
    random.Random(0).shuffle(resident)
    absent = [f"absent:{number}" for number in range(RESIDENT)]
    new = [f"new:{number}" for number in range(MOST_CALLS)]
    groups = [resident[start : start + GROUP] for start in range(0, RESIDENT, GROUP)]
    return (
        Operation("get", _get, resident),
        Operation("miss", _get, absent),
        Operation("set", _set, resident),
        Operation("add, key exists", _add, resident),
        Operation("add, new key", _add, new, undo=lambda cache, keys: cache.delete_many(keys)),
        Operation("incr", _incr, COUNTERS),
        Operation("touch", _touch, resident),
        Operation(f"get_many {GROUP}", _get_many, groups),
        Operation(f"set_many {GROUP}", _set_many, [dict.fromkeys(group, VALUE) for group in groups]),
    )


class Batch(Generic[C]):
    """As many calls of one operation on one cache or client as take about `seconds`."""

    def __init__(self, operation: Operation[C], called: C, seconds: float) -> None:
        self.title = operation.title
        self._operation = operation
        self._called = called
        self._subjects: Iterator[Any] = cycle(operation.subjects)
        self._calls = 1
        while (spent := self.run() * self._calls / 1e6) < seconds and self._calls < MOST_CALLS:
            self._calls = min(MOST_CALLS, max(2 * self._calls, int(self._calls * seconds / spent)))

    def run(self) -> float:
        """Microseconds a call."""
        subjects = list(islice(self._subjects, self._calls))
        start = perf_counter()
        self._operation.loop(self._called, subjects)
        elapsed = perf_counter() - start
        if self._operation.undo:
            self._operation.undo(self._called, subjects)
        return elapsed / self._calls * 1e6


def measure(entrants: Sequence[Entrant], rounds: int, seconds: float, say: Callable[[str], None]) -> Samples:
    """Time batches of every operation on every peer's cache."""
    batches: dict[str, list[Batch[BaseCache]]] = {}
    for entrant in entrants:
        say(f"calls: warming up {entrant.title}")
        cache = open_cache(entrant.config)
        fill(cache, ARTICLES)
        fill(cache, COUNTERS, 0)
        batches[entrant.name] = [Batch(operation, cache, seconds) for operation in operations()]
    return take_turns(batches, rounds, say)


def take_turns(batches: Mapping[str, Sequence[Batch[C]]], rounds: int, say: Callable[[str], None]) -> Samples:
    """Run every batch once a round, peers and operations in a new order each time."""
    rng = random.Random(0)
    samples: Samples = {}
    for name, own in batches.items():
        for batch in own:
            samples.setdefault(batch.title, {})[name] = []
    for number in range(rounds):
        say(f"calls: round {number + 1} of {rounds}")
        for name in rng.sample(list(batches), len(batches)):
            for batch in rng.sample(batches[name], len(batches[name])):
                samples[batch.title][name].append(batch.run())
    return samples
