"""``kt bench``: a small load of gets and sets, on one place or on two that take turns."""

from __future__ import annotations

import argparse
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from kt_core.commands.console import OK, Column, Console
from kt_core.commands.places import Place, Row, open_place
from kt_core.commands.places.base import BATCH
from kt_core.errors import KTError

_ROUNDS: Final = 3
_COLUMNS: Final = (
    Column("url"),
    Column("ops/s", "{:,.0f}".format, True),
    Column("median µs", "{:,.1f}".format, True),
    Column("p99 µs", "{:,.1f}".format, True),
    Column("misses", "{:,}".format, True),
)


@dataclass
class Outcome:
    """What one place has done: the microseconds that each operation took, and the seconds that all took together."""

    took: list[float] = field(default_factory=list)
    seconds: float = 0.0
    misses: int = 0


def bench(given: argparse.Namespace, console: Console) -> int:
    """Load places with gets and sets, and tell how they took it."""
    urls = given.url or [given.at]
    outcomes = [Outcome() for _ in urls]
    keys = [b"kt-bench:%d:%d" % (os.getpid(), number) for number in range(given.keys)]
    for url in urls:
        with closing(open_place(url, create=True)) as place:
            place.ping()
    for round_ in range(_ROUNDS):
        # In turn, so that whatever else the machine does meets them all.
        for url, outcome in zip(urls, outcomes, strict=True):
            with closing(open_place(url, create=True)) as place:
                try:
                    _load(place, keys, given, outcome, console)
                finally:
                    with suppress(KTError):  # what went wrong before is told
                        place.remove(keys)
            console.progress(round_ + 1, _ROUNDS)
    console.end()
    rows = [{"url": url, **_figures(outcome)} for url, outcome in zip(urls, outcomes, strict=True)]
    console.rows(_COLUMNS, rows)
    if len(rows) == 2 and not console.as_json and rows[0]["ops/s"] and rows[1]["ops/s"]:
        ratio = rows[1]["ops/s"] / rows[0]["ops/s"]
        console.terminal.line(f"the second does {ratio:.2f} times as many operations a second as the first")
    return OK


def _load(place: Place, keys: Sequence[bytes], given: argparse.Namespace, outcome: Outcome, console: Console) -> None:
    """Let all workers ask for a round's share of the time, and add what they have done to the outcome."""
    value = b"v" * given.size
    rows = [Row(key, value) for key in keys]
    for at in range(0, len(rows), BATCH):
        place.put(rows[at : at + BATCH])
    ended = threading.Event()

    def work(number: int) -> Outcome:
        random, own, timer = Random(number), Outcome(), console.timer  # noqa: S311 - no secret
        try:
            while not ended.is_set():
                row, reads = random.choice(rows), random.random() * 100 < given.get
                start = timer()
                if reads:
                    own.misses += place.get(row.key) is None
                else:
                    place.put([row])
                own.took.append((timer() - start) * 1e6)
        except BaseException:
            ended.set()  # nobody waits for the others when one has failed
            raise
        return own

    start = console.timer()
    with ThreadPoolExecutor(given.connections) as workers:
        found = [workers.submit(work, number) for number in range(given.connections)]
        try:
            ended.wait(given.seconds / _ROUNDS)
        finally:
            ended.set()
    outcome.seconds += console.timer() - start
    for own in found:
        outcome.took += own.result().took
        outcome.misses += own.result().misses


def _figures(outcome: Outcome) -> dict[str, Any]:
    took = sorted(outcome.took) or [0.0]
    return {
        "ops/s": round(len(outcome.took) / outcome.seconds, 1),
        "median µs": round(took[len(took) // 2], 2),
        "p99 µs": round(took[len(took) * 99 // 100], 2),
        "misses": outcome.misses,
    }
