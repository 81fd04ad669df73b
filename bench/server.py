"""Servers under a closed loop of load: requests a second and latency, in short rounds by turns."""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from statistics import median

from bench import charts, generator
from bench.generator import KEY_SIZE, VALUE_SIZE, Generator, Target, Turn, troubles
from bench.report import Report, Series, Setting, figure, left_out, medians, ratios, table
from bench.servers import BUNDLED, KTSERVER, REDIS, Program

CONNECTIONS = (1, 50, 500)
GET_PERCENTS = (90, 50)
FILLERS = 50  # connections
PAUSE = 0.05  # seconds after a turn: a server then has closed its connections, and works no more


@dataclass(frozen=True)
class Extent:
    """How much a run measures."""

    keys: int
    rounds: int
    seconds: float


FULL = Extent(100_000, 15, 1.0)
QUICK = Extent(20_000, 3, 0.5)


@dataclass(frozen=True)
class Server:
    """A server to be measured."""

    name: str
    title: str
    protocol: str
    program: Program

    def start(self, stack: ExitStack, over_socket: bool) -> Target:
        """Start it; the stack stops it."""
        if over_socket and not self.program.has_socket:
            raise RuntimeError("it has no unix socket")
        address = stack.enter_context(self.program.run())
        return Target(self.protocol, address.socket if over_socket else f"127.0.0.1:{address.port}")


OURS = Server("bundled", "bundled server", "kt", BUNDLED)
REDIS_SERVER = Server("redis", "redis-server", "redis", REDIS)
SERVERS = (OURS, Server("ktserver", "ktserver", "kt", KTSERVER), REDIS_SERVER)


@dataclass(frozen=True)
class Load:
    """One kind of load."""

    connections: int
    get_percent: int

    @property
    def title(self) -> str:
        noun = "connection" if self.connections == 1 else "connections"
        return f"{self.connections} {noun}, {self.get_percent}/{100 - self.get_percent}"


LOADS = [Load(connections, percent) for connections in CONNECTIONS for percent in GET_PERCENTS]
Turns = Mapping[Load, Mapping[str, Sequence[Turn]]]  # load -> server -> one turn a round


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sockets", action="store_true", help="over unix sockets, without the servers that have none")


def measure(options: argparse.Namespace, folder: Path, stack: ExitStack, say: Callable[[str], None]) -> Report:
    extent = QUICK if options.quick else FULL
    load = generator.build(folder)
    targets: dict[str, Target] = {}
    notes = []
    for server in SERVERS:
        try:
            targets[server.name] = server.start(stack, options.sockets)
        except (OSError, RuntimeError) as error:
            notes.append(left_out(server.title, str(error)))
            say(notes[-1])
    name = "server-sockets" if options.sockets else "server"
    turns = take_turns(load, targets, extent, say)
    return report(name, turns, extent.keys, options.setting, notes)


def take_turns(load: Generator, targets: Mapping[str, Target], extent: Extent, say: Callable[[str], None]) -> Turns:
    """Fill every server, then put each load on each once a round, servers in a new order each time."""
    rng = random.Random(0)
    turns: dict[Load, dict[str, list[Turn]]] = {kind: {name: [] for name in targets} for kind in LOADS}
    for target in targets.values():
        load.store(target, FILLERS, range(extent.keys))
    for number in range(extent.rounds):
        say(f"server: round {number + 1} of {extent.rounds}")
        for kind, samples in turns.items():
            for name in rng.sample(list(targets), len(targets)):
                samples[name].append(
                    load.mix(targets[name], kind.connections, extent.keys, kind.get_percent, extent.seconds)
                )
                time.sleep(PAUSE)
    return turns


def report(name: str, turns: Turns, keys: int, setting: Setting, notes: Sequence[str]) -> Report:
    titles = {server.name: server.title for server in SERVERS if server.name in turns[LOADS[0]]}
    rates = [_series(turns[kind], lambda turn: turn.rate) for kind in LOADS]
    header = ["", *(kind.title for kind in LOADS)]
    sections = [
        setting.section("Servers: in memory, no persistence", *notes),
        "## Servers",
        "Median requests a second of a closed loop: each connection sends its next request when the last one is "
        f"answered. Get and set of random ones of {keys:,} keys in percent (90/10: 90 % get), keys of {KEY_SIZE} "
        f"bytes, values of {VALUE_SIZE}, a lifetime on every set. Servers take turns in short rounds; all share the "
        "processors with the one thread that makes the load and checks every reply.",
        table(header, (medians(title, rates, own) for own, title in titles.items())),
        *_troubles(turns, titles),
        "Latency: medians of each round's 50th, 99th and 99.9th percentile in microseconds:",
        table(header, ([title, *(_latency(turns[kind][own]) for kind in LOADS)] for own, title in titles.items())),
    ]
    if OURS.name in titles and len(titles) > 1:
        tails = [_series(turns[kind], lambda turn: turn.p99) for kind in LOADS]
        rows = [
            ratios(f"{what}, to {title}", columns, OURS.name, other)
            for other, title in titles.items()
            if other != OURS.name
            for what, columns in (("requests a second", rates), ("99th percentile", tails))
        ]
        sections += ["The bundled server as ratio to others (median of the ratios within each round):"]
        sections += [table(header, rows)]
    panels = [(f"{kind.title}: requests/s", samples) for kind, samples in zip(LOADS, rates, strict=True)]
    return Report(name, sections, {name: partial(charts.dots, panels, titles, {OURS.name})})


def _series(turns: Mapping[str, Sequence[Turn]], of: Callable[[Turn], float]) -> Series:
    return {name: [of(turn) for turn in own] for name, own in turns.items()}


def _latency(turns: Sequence[Turn]) -> str:
    return " / ".join(
        figure(median(times))
        for times in ([turn.p50 for turn in turns], [turn.p99 for turn in turns], [turn.p999 for turn in turns])
    )


def _troubles(turns: Turns, titles: Mapping[str, str]) -> Iterator[str]:
    for name, title in titles.items():
        yield from troubles(title, chain.from_iterable(turns[kind][name] for kind in LOADS))
