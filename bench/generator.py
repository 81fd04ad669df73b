"""The load generator: compiles `load.c`, runs it against a server, and reads what it measured."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("load.c")
KEY_SIZE = 20
VALUE_SIZE = 200


class NoCompiler(RuntimeError):
    """The generator cannot be compiled here."""


@dataclass(frozen=True)
class Turn:
    """What one run of the generator saw: latencies are microseconds, and errors are connections lost."""

    operations: int
    seconds: float
    p50: int
    p99: int
    p999: int
    misses: int
    errors: int

    @property
    def rate(self) -> float:
        """Operations a second."""
        return self.operations / self.seconds


def troubles(title: str, turns: Iterable[Turn]) -> Iterator[str]:
    """What went wrong in some turns, if anything did."""
    every = list(turns)
    misses, errors = sum(turn.misses for turn in every), sum(turn.errors for turn in every)
    if misses or errors:
        yield f"Under load {title} had lost {misses:,} keys asked for and failed {errors:,} connections."


@dataclass(frozen=True)
class Target:
    """What the generator asks: a server by its protocol, at HOST:PORT or the path of a socket."""

    protocol: str  # kt, tyrant or redis
    address: str


class Generator:
    """The compiled generator. Keys are numbers here."""

    def __init__(self, program: Path) -> None:
        self._program = program

    def store(self, target: Target, connections: int, keys: range) -> Turn:
        """Store each of the keys once."""
        return self._run(target, connections, keys)

    def mix(self, target: Target, connections: int, keys: int, get_percent: int, seconds: float) -> Turn:
        """Get and set random ones of the first `keys` keys for so long."""
        return self._run(target, connections, range(keys), get_percent, seconds)

    def _run(self, target: Target, connections: int, keys: range, *mix: float) -> Turn:
        words = [target.protocol, target.address, connections, keys.start, keys.stop, *mix]
        done = subprocess.run([self._program, *map(str, words)], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"the load on {target.address} failed: {done.stderr.strip()}")
        turn = Turn(**json.loads(done.stdout))
        if not turn.operations:
            raise RuntimeError(f"the load on {target.address} failed: no right reply on {connections} connections")
        return turn


def build(folder: Path, compiler: str = "cc") -> Generator:
    """Compile the generator into the folder."""
    if shutil.which(compiler) is None:
        raise NoCompiler(f"the load generator is written in C: install a compiler that is found as {compiler} on PATH")
    program = folder / "load"
    done = subprocess.run([compiler, "-O2", "-o", program, SOURCE], capture_output=True, text=True)
    if done.returncode:
        raise NoCompiler(f"{compiler} could not compile the load generator:\n{done.stderr}")
    return Generator(program)
