"""Reading a copy of a server on this machine: calls beside the server's own and others', and how far it is behind."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median, quantiles
from time import monotonic, sleep

from bench import calls
from bench.backends import (
    KTCACHE,
    KTCACHE_PORT,
    OURS,
    REDIS_CACHE,
    Entrant,
    Missing,
    Peer,
    configure,
    enter_all,
    open_cache,
)
from bench.report import Report, Series, Setting, figure, left_out, medians, ratios, table
from bench.servers import KTSERVER, MASTER, Address, with_log
from bench.workers import workers

REPLICA = Peer(
    "replica",
    "KTCache (kt, replica)",
    OURS,
    "kt://127.0.0.1:{port}/0?replica=embedded://{folder}/copy",
    program=MASTER,
)
PEERS = (KTCACHE, REPLICA, KTCACHE_PORT, REDIS_CACHE)
OPERATIONS = ("get", "miss", f"get_many {calls.GROUP}")
MASTERS = {"bundled server": MASTER, "ktserver": with_log(KTSERVER)}
RATE = 10_000  # writes a second
BURST = 0.005  # seconds between two groups of them
KEYS = 100_000
PROBE_EVERY = 0.02
LOOK_EVERY = 0.0002
CATCH_UP = 1.5  # seconds


@dataclass
class Lag:
    """Seconds from when a write was acknowledged until another process read it from its copy, and the load then."""

    title: str
    seconds: list[float]
    rate: float


@dataclass
class Results:
    """All a run measured."""

    entrants: list[Entrant] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    samples: calls.Samples = field(default_factory=dict)
    lags: list[Lag] = field(default_factory=list)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rate", metavar="N", type=int, default=RATE, help="writes a second (default: %(default)s)")


def measure(options: argparse.Namespace, folder: Path, stack: ExitStack, say: Callable[[str], None]) -> Report:
    results = Results()
    configure(folder)
    results.entrants, results.missing = enter_all(PEERS, folder, stack, say)
    results.samples = _calls(results.entrants, 10 if options.quick else 60, say)
    seconds = 3.0 if options.quick else 15.0
    for title, program in MASTERS.items():
        if program.installed():
            for rate in (0, options.rate):
                say(f"lag: {title}, {rate} writes a second")
                with program.run() as address:
                    place = folder / f"{title}-{rate}".replace(" ", "-")
                    place.mkdir(mode=0o700)
                    results.lags.append(_lag(title, address, place, rate, seconds))
        else:
            results.missing.append(Missing(title, title, "not on PATH"))
    return report(results, options.setting)


def _calls(entrants: Sequence[Entrant], rounds: int, say: Callable[[str], None]) -> calls.Samples:
    batches: dict[str, list[calls.Batch[calls.BaseCache]]] = {}
    wanted = [operation for operation in calls.operations() if operation.title in OPERATIONS]
    for entrant in entrants:
        cache = open_cache(entrant.config)
        calls.fill(cache, calls.ARTICLES)
        sleep(CATCH_UP)  # until then this process reads what it has written from the server
        batches[entrant.name] = [calls.Batch(operation, cache, 0.003) for operation in wanted]
    return calls.take_turns(batches, rounds, say)


# -- how far the copy is behind ----------------------------------------------------------------------------


def _lag(title: str, address: Address, place: Path, rate: int, seconds: float) -> Lag:
    """Have one process write at a rate, one set a probe now and then, and one look for it in its copy."""
    with workers(3, _take_part, address, place, rate, seconds) as (loader, setter, looker):
        looker.recv()  # its copy is complete
        for pipe in (loader, setter, looker):
            pipe.send(None)
        written, set_at, seen_at = loader.recv(), setter.recv(), looker.recv()
    every = [max(0.0, seen_at[number] - when) for number, when in set_at.items() if number in seen_at]
    return Lag(title, every, written / seconds)


def _take_part(pipe: Connection, address: Address, place: Path, rate: int, seconds: float, number: int) -> None:
    (_load, _set, _look)[number](pipe, address, place, rate, seconds)
    pipe.recv()  # until all are done


def _load(pipe: Connection, address: Address, place: Path, rate: int, seconds: float) -> None:
    from kt_core.kyoto import operations as ops
    from kt_core.transport import Address as Server
    from kt_core.transport import Connection as ToServer
    from kt_core.wire.kt_binary import NEVER_XT

    connection = ToServer(Server(port=address.port), 10)
    value = b"v" * 200
    pipe.recv()
    start, written = monotonic(), 0
    while (elapsed := monotonic() - start) < seconds:
        due = int(rate * elapsed) - written
        if due > 0:
            records = [(0, b"%d" % ((written + n) % KEYS), value, NEVER_XT) for n in range(due)]
            connection.run(ops.set_bulk(records))
            written += due
        sleep(BURST)
    pipe.send(written)


def _set(pipe: Connection, address: Address, place: Path, rate: int, seconds: float) -> None:
    configure(place)
    cache = open_cache(KTCACHE_PORT.config(place, address))
    pipe.recv()
    set_at: dict[int, float] = {}
    start = monotonic()
    while monotonic() - start < seconds:
        number = len(set_at)
        cache.set("probe", number)
        set_at[number] = monotonic()
        sleep(PROBE_EVERY)
    pipe.send(set_at)


def _look(pipe: Connection, address: Address, place: Path, rate: int, seconds: float) -> None:
    configure(place)
    cache = open_cache(REPLICA.config(place, address))
    cache.get("probe")
    sleep(CATCH_UP)
    pipe.send(None)
    pipe.recv()
    seen_at: dict[int, float] = {}
    end = monotonic() + seconds + 0.5
    last = None
    while (now := monotonic()) < end:
        found = cache.get("probe")
        if found != last:
            last = found
            seen_at[found] = now
        sleep(LOOK_EVERY)
    pipe.send(seen_at)


# -- the report --------------------------------------------------------------------------------------------


def report(results: Results, setting: Setting) -> Report:
    notes = [left_out(peer.title, peer.reason) for peer in results.missing]
    return Report("replica", [setting.section(*notes), *_speed(results), *_lags(results.lags)])


def _speed(results: Results) -> Sequence[str]:
    if not results.samples:
        return []
    every: list[Series] = list(results.samples.values())
    header = ["", *results.samples]
    parts = [
        "## Reading",
        f"Median microseconds of a Django cache call in one process ({calls.RESIDENT:,} keys), peers taking turns in "
        "short rounds; the copy belongs to a server on this machine, which is asked for nothing.",
        table(header, (medians(entrant.title, every, entrant.name) for entrant in results.entrants)),
    ]
    for basis in (KTCACHE, REDIS_CACHE):
        if basis.name in {entrant.name for entrant in results.entrants}:
            parts += [
                f"As ratio to {basis.title} (median of the ratios within each round):",
                table(header, (ratios(entrant.title, every, entrant.name, basis.name) for entrant in results.entrants)),
            ]
    return parts


def _lags(lags: Sequence[Lag]) -> Sequence[str]:
    rows = []
    for lag in lags:
        cuts = quantiles(lag.seconds, n=100)
        rows.append(
            [
                lag.title,
                f"{lag.rate:,.0f}",
                *(figure(seconds * 1e3) for seconds in (median(lag.seconds), cuts[89], cuts[98])),
                f"{len(lag.seconds):,}",
            ]
        )
    return [
        "## Lag",
        "Milliseconds from the acknowledgement of a write on the master until a worker reads the value from the copy "
        f"by `cache.get`, which it calls every {LOOK_EVERY * 1e3:.1f} ms; master, follower, load (values of 200 bytes, "
        f"in groups every {BURST * 1e3:.0f} ms), writer and reader are processes of one machine.",
        table(["master", "writes/s", "median", "90 %", "99 %", "probes"], rows),
    ]
