"""Calls of a script on the bundled server and on ktserver: microseconds of a call, on one connection and on many."""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from bench.client import Extent
from bench.generator import Generator, Target, Turn, build, troubles
from bench.report import Report, Setting, left_out, medians, ratios, table
from bench.servers import BUNDLED, KTSERVER, Program

SCRIPT = Path(__file__).with_name("scripts.lua")
PROCEDURES = ("get", "increment", "echo", "accept")
CONNECTIONS = (1, 50)
KEYS = 1_000
FULL = Extent(15, 1.0)
QUICK = Extent(5, 0.3)


def playing(program: Program) -> Program:
    """A server of Kyoto Tycoon's that runs the script."""
    *head, database = program.command
    return replace(program, command=(*head, "-scr", str(SCRIPT).replace("{", "{{").replace("}", "}}"), database))


SERVERS = (playing(BUNDLED), playing(KTSERVER))
Samples: TypeAlias = dict[tuple[int, str], dict[str, list[float]]]
"""By the number of connections and the procedure: for each server the microseconds of a call, one sample a round."""


@dataclass
class Result:
    """What was measured, and each server's turns, which tell what went wrong."""

    samples: Samples = field(default_factory=dict)
    turns: dict[str, list[Turn]] = field(default_factory=dict)


def add_options(parser: argparse.ArgumentParser) -> None:
    """There are none but the common ones."""


def measure(options: argparse.Namespace, folder: Path, stack: ExitStack, say: Callable[[str], None]) -> Report:
    extent = QUICK if options.quick else FULL
    generator = build(folder)
    notes: list[str] = []
    addresses: dict[str, str] = {}
    for server in SERVERS:
        try:
            address = f"127.0.0.1:{stack.enter_context(server.run()).port}"
        except (OSError, RuntimeError) as error:
            notes.append(left_out(server.name, str(error)))
            say(notes[-1])
            continue
        generator.store(Target("kt", address), 1, range(KEYS))
        addresses[server.name] = address
    return report(take_turns(generator, addresses, extent, say), options.setting, notes)


def take_turns(generator: Generator, addresses: dict[str, str], extent: Extent, say: Callable[[str], None]) -> Result:
    """Have the servers called in turn, in a new order each time."""
    rng = random.Random(0)
    result = Result(turns={name: [] for name in addresses})
    for connections in CONNECTIONS:
        for procedure in PROCEDURES:
            say(f"scripts: {procedure} on {connections}")
            samples = result.samples[connections, procedure] = {name: [] for name in addresses}
            for _ in range(extent.rounds):
                for name in rng.sample(list(addresses), len(addresses)):
                    target = Target(procedure, addresses[name])
                    turn = generator.mix(target, connections, KEYS, 100, extent.batch_seconds)
                    samples[name].append(1e6 / turn.rate)
                    result.turns[name].append(turn)
    return result


def report(result: Result, setting: Setting, notes: Sequence[str]) -> Report:
    wrong = [trouble for name, turns in result.turns.items() for trouble in troubles(name, turns)]
    return Report("scripts", [setting.section("Servers: in memory", *notes, *wrong), *_sections(result)])


def _sections(result: Result) -> Iterator[str]:
    names = list(result.turns)
    if not names:
        return
    yield "## Calls of a script"
    yield (
        f"Median microseconds from one reply to the next, over TCP and the binary protocol; {KEYS:,} records of 200 "
        "bytes. `get` returns one, `increment` counts, `echo` returns a key and 200 bytes that it is given, `accept` "
        "stores a record again as a visitor."
    )
    for connections in CONNECTIONS:
        columns = [result.samples[connections, procedure] for procedure in PROCEDURES]
        header = ["1 connection" if connections == 1 else f"{connections} connections", *PROCEDURES]
        rows = [medians(name, columns, name) for name in names]
        if len(names) > 1:
            rows.append(ratios(f"{names[0]} / {names[1]}", columns, *names[:2]))
        yield table(header, rows)
