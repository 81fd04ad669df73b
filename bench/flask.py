"""Flask's caches beside each other: calls, memoized functions and cached pages; and a page with a session."""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from bench import calls, charts
from bench.backends import GROUP, VALUE, VALUE_SIZE
from bench.calls import ARTICLES, COUNTERS, Batch, Operation, Samples
from bench.disk import LASTING_TEMPORARY
from bench.flask_sites import (
    BACKENDS,
    BASIS,
    KEEPERS,
    PAGE,
    REDIS_CACHE,
    REDIS_SESSIONS,
    Caller,
    Site,
    open_site,
    open_visitor,
)
from bench.report import Report, Setting, left_out, medians, ratios, table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench.report import Series

MEMOIZED = 100  # different calls of a memoized function, and addresses of a cached page
PANELS = ("get", "set", "memoize, hit", "cached page")

T = TypeVar("T")


@dataclass(frozen=True)
class Extent:
    """How much a run measures."""

    rounds: int
    batch_seconds: float
    session_rounds: int
    session_seconds: float


FULL = Extent(80, 0.003, 50, 0.04)
QUICK = Extent(12, 0.002, 8, 0.02)


def add_options(parser: argparse.ArgumentParser) -> None:
    """There are none but the common ones."""


def measure(options: argparse.Namespace, folder: Path, stack: ExitStack, say: Callable[[str], None]) -> Report:
    extent = QUICK if options.quick else FULL
    notes: list[str] = []

    def enter(title: str, open_it: Callable[[], T]) -> Iterator[T]:
        try:
            yield open_it()
        # Whatever a third party's package raises on this machine is the reason to print.
        except Exception as error:
            notes.append(left_out(title, f"{type(error).__name__}: {error}"))
            say(notes[-1])

    caches: dict[str, list[Batch[Any]]] = {}
    for number, backend in enumerate(BACKENDS):
        for site in enter(backend.title, partial(open_site, backend, folder / f"cache-{number}", stack)):
            say(f"calls: warming up {backend.title}")
            caches[backend.title] = [Batch(operation, site, extent.batch_seconds) for operation in operations()]
    # A folder on a disk: what outlives the machine's crash costs nothing in memory.
    disk = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kt-bench-", dir=_lasting())))
    sessions: dict[str, list[Batch[Any]]] = {}
    for number, keeper in enumerate(KEEPERS):
        for visitor in enter(keeper.title, partial(open_visitor, keeper, disk / f"sessions-{number}", stack)):
            say(f"sessions: warming up {keeper.title}")
            sessions[keeper.title] = [Batch(page, visitor, extent.session_seconds) for page in pages()]
    return report(
        calls.take_turns(caches, extent.rounds, say),
        calls.take_turns(sessions, extent.session_rounds, say),
        f"{options.place}; of sessions that outlive the machine's crash: {disk.parent}",
        options.setting,
        notes,
    )


def _lasting() -> Path:
    return LASTING_TEMPORARY if LASTING_TEMPORARY.is_dir() else Path(tempfile.gettempdir())


# -- caches ------------------------------------------------------------------------------------------------


def operations() -> list[Operation[Site]]:
    """Every operation measured, on resident keys in an order that is not theirs."""
    resident = list(ARTICLES)
    random.Random(0).shuffle(resident)
    groups = [resident[start : start + GROUP] for start in range(0, len(resident), GROUP)]
    return [
        _calls("get", "get", resident),
        _calls("set", "set", resident, VALUE),
        _calls(f"get_many {GROUP}", "get_many", groups),
        _calls("add, key exists", "add", resident, VALUE),
        _calls("inc", "inc", COUNTERS),
        _calls("get by Cache", "front_get", resident),
        _calls("memoize, hit", "memoized", range(MEMOIZED)),
        Operation("cached page", lambda site, paths: _visit(site.visit, paths), [f"/{n}" for n in range(MEMOIZED)]),
    ]


def _calls(title: str, method: str, subjects: Sequence[Any], *others: Any) -> Operation[Site]:
    def loop(site: Site, subjects: Iterable[Any]) -> None:
        call = getattr(site, method)
        with site.app.app_context():
            for subject in subjects:
                call(subject, *others)

    return Operation(title, loop, subjects)


# -- sessions ----------------------------------------------------------------------------------------------


def pages() -> list[Operation[Caller]]:
    """The pages of `session_site`, each asked for again and again."""
    return [Operation("looks at it", _visit, ["/look"]), Operation("changes it", _visit, ["/change"])]


def _visit(visitor: Caller, paths: Iterable[str]) -> None:
    for path in paths:
        visitor(path)


# -- report ------------------------------------------------------------------------------------------------


def report(caches: Samples, sessions: Samples, place: str, setting: Setting, notes: Sequence[str]) -> Report:
    sections = [setting.section(f"Files: {place}; servers: in memory, unix sockets", *notes)]
    drawn: dict[str, Callable[[], Figure]] = {}
    if caches:
        sections += _cache_sections(caches)
        panels: list[tuple[str, Series]] = [(f"{title}, µs", caches[title]) for title in PANELS]
        names = list(panels[0][1])
        ours = {name for name in names if name.startswith("KT")}
        drawn["flask"] = partial(charts.dots, panels, dict(zip(names, names, strict=True)), ours, BASIS)
    if sessions:
        sections += _session_sections(sessions)
    return Report("flask", sections, drawn)


def _cache_sections(samples: Samples) -> Iterator[str]:
    header, columns = ["", *samples], list(samples.values())
    names = list(columns[0])
    yield "## Caches"
    yield (
        f"Median microseconds of a call of the backend ({len(ARTICLES):,} keys, values of {VALUE_SIZE} bytes pickled), "
        "of `get` by the `Cache` of Flask-Caching before it, of a memoized function whose value is there, and of a "
        f"page of {PAGE:,} bytes that is, from the request to the last byte, as a WSGI server calls it. Backends take "
        "turns in short rounds."
    )
    yield table(header, (medians(name, columns, name) for name in names))
    for basis in (BASIS, REDIS_CACHE):
        if basis in names:
            yield f"The same as ratio to {basis} (median of the ratios within each round):"
            yield table(header, (ratios(name, columns, name, basis) for name in names))


def _session_sections(samples: Samples) -> Iterator[str]:
    rates = [{name: [1e6 / us for us in own] for name, own in page.items()} for page in samples.values()]
    header, names = ["", *(f"a page that {title}" for title in samples)], list(rates[0])
    yield "## Sessions"
    yield (
        "Requests a second of one process, called as a WSGI server does: a page with a session of a shop's basket, "
        "permanent, so that each request gives it its lifetime anew. Where it says commit or appendfsync, what has "
        "been answered outlives the machine's crash."
    )
    yield table(header, (medians(name, rates, name) for name in names))
    if REDIS_SESSIONS in names:
        yield f"The same as ratio to {REDIS_SESSIONS} (median of the ratios within each round):"
        yield table(header, (ratios(name, rates, name, REDIS_SESSIONS) for name in names))
