"""The bundled server on a file: requests a second as the keys in it grow in number."""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from bench import charts, generator
from bench.generator import KEY_SIZE, VALUE_SIZE, Generator, Target, Turn, troubles
from bench.growth import room
from bench.report import Report, Setting, figure, ratio, table
from bench.server import FILLERS, PAUSE
from bench.servers import bundled

SIZES = (10_000, 1_000_000, 10_000_000)
STEP = 250_000  # keys stored between two looks at the clock
GET_PERCENTS = (90, 50)
MAX_SIZE_PER_KEY = 1_000  # bytes: nothing may be evicted
ROOM_PER_KEY = 600  # bytes of disk, or of memory that keeps the disk's pages
SMALLEST = 256 << 20
LASTING_TEMPORARY = Path("/var/tmp")  # a disk, where the temporary directory may be memory


@dataclass(frozen=True)
class Extent:
    """How much a run measures."""

    rounds: int
    seconds: float


FULL = Extent(25, 1.0)
QUICK = Extent(5, 0.4)


@dataclass
class Results:
    """What was seen by number of keys: the turns that stored them, those of each mix, the bytes of the files."""

    filling: dict[int, list[Turn]]  # one turn a step
    turns: dict[int, dict[int, list[Turn]]]  # keys -> percent of gets -> one turn a round
    bytes: dict[int, int]

    def all_turns(self, size: int) -> Iterator[Turn]:
        yield from self.filling[size]
        for turns in self.turns[size].values():
            yield from turns

    def curves(self) -> dict[str, list[tuple[int, float]]]:
        """Operations a second by number of keys: while the most were stored, and of each mix."""
        keys, filling = 0, []
        for turn in self.filling[max(self.filling)]:
            keys += turn.operations
            filling.append((keys, turn.rate))
        curves = {"storing keys once": filling}
        for percent in GET_PERCENTS:
            title = f"{percent} % get, {100 - percent} % set"
            curves[title] = [(size, median(turn.rate for turn in own[percent])) for size, own in self.turns.items()]
        return curves


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--keys", metavar="N", type=_count, default=SIZES[-1], help="how many at most (default: %(default)s)"
    )
    parser.add_argument(
        "--durability",
        choices=("commit", "process"),
        default="commit",
        help="what an acknowledged write outlives: the machine's crash (the server's default for files), or its own",
    )
    parser.set_defaults(place=LASTING_TEMPORARY if LASTING_TEMPORARY.is_dir() else Path(tempfile.gettempdir()))


def _count(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of keys: write 1 or more")
    return int(text)


def measure(options: argparse.Namespace, folder: Path, stack: ExitStack, say: Callable[[str], None]) -> Report:
    sizes = [size for size in SIZES if size < options.keys] + [options.keys]
    wanted, free = sum(sizes) * ROOM_PER_KEY, room(folder)
    if wanted > free:
        have = f"{wanted / 1e9:.1f} GB wanted in {options.place}, {free / 1e9:.1f} GB free"
        raise SystemExit(f"bench: {have}: ask for fewer --keys")
    load = generator.build(folder)
    targets = {}
    for size in sizes:
        (folder / str(size)).mkdir()
        max_size = max(SMALLEST, size * MAX_SIZE_PER_KEY)
        server = bundled(f"{folder}/{size}/keys.kct#max_size={max_size}#durability={options.durability}")
        targets[size] = Target("kt", f"127.0.0.1:{stack.enter_context(server.run()).port}")
    results = take_turns(load, targets, QUICK if options.quick else FULL, say)
    results.bytes = {size: _occupied(folder / str(size)) for size in sizes}
    name = "disk" if options.durability == "commit" else f"disk-{options.durability}"
    return report(name, results, f"{options.place}, durability={options.durability}", options.setting)


def take_turns(load: Generator, targets: Mapping[int, Target], extent: Extent, say: Callable[[str], None]) -> Results:
    """Fill a server to each number of keys, then put each mix on each server once a round."""
    rng = random.Random(0)
    turns: dict[int, dict[int, list[Turn]]] = {size: {percent: [] for percent in GET_PERCENTS} for size in targets}
    filling = {size: _fill(load, target, size, say) for size, target in targets.items()}
    for number in range(extent.rounds):
        say(f"disk: round {number + 1} of {extent.rounds}")
        for percent in GET_PERCENTS:
            for size in rng.sample(list(targets), len(targets)):
                turns[size][percent].append(load.mix(targets[size], FILLERS, size, percent, extent.seconds))
                time.sleep(PAUSE)
    return Results(filling, turns, {})


def _fill(load: Generator, target: Target, size: int, say: Callable[[str], None]) -> list[Turn]:
    turns = []
    for start in range(0, size, STEP):
        turns.append(load.store(target, FILLERS, range(start, min(start + STEP, size))))
        say(f"disk: {start + turns[-1].operations:,} of {size:,} keys, {turns[-1].rate:,.0f} a second")
    return turns


def _occupied(folder: Path) -> int:
    """Bytes of disk that the files below a folder take: not their lengths, they may be sparse."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def report(name: str, results: Results, files: str, setting: Setting) -> Report:
    sizes = list(results.turns)
    basis = str(sizes[0])
    rates = {
        percent: {str(size): [turn.rate for turn in results.turns[size][percent]] for size in sizes}
        for percent in GET_PERCENTS
    }
    mixes = [f"{percent}/{100 - percent}" for percent in GET_PERCENTS]
    header = [
        *("keys", "stored, keys/s", "bytes a key"),
        *(f"{mix}, {what}" for mix in mixes for what in ("requests/s", "p99, µs", f"to {sizes[0]:,}")),
    ]
    rows = []
    for size in sizes:
        filled = size / sum(turn.seconds for turn in results.filling[size])
        row = [f"{size:,}", figure(filled), figure(results.bytes[size] / size)]
        for percent in GET_PERCENTS:
            tail = median(turn.p99 for turn in results.turns[size][percent])
            row += [figure(median(rates[percent][str(size)])), figure(tail)]
            row += [figure(ratio(rates[percent], str(size), basis))]
        rows.append(row)
    sections = [
        setting.section(f"Files: {files}"),
        "## Keys on disk",
        f"The bundled server on a file of its own for each number of keys, {FILLERS} connections in a closed loop: "
        f"keys of {KEY_SIZE} bytes, values of {VALUE_SIZE}, a lifetime. Every key is stored once, out of order; "
        "then random ones are got and set in percent (90/10: 90 % get), the files taking turns in short rounds; "
        "medians, and the median of the ratios to the smallest within each round.",
        table(header, rows),
        *(line for size in sizes for line in troubles(f"the file of {size:,} keys", results.all_turns(size))),
    ]
    return Report(name, sections, {name: partial(charts.keys_on_disk, results.curves())})
