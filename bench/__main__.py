"""The command line of the benchmark: what to measure, in which order, where the report goes."""

from __future__ import annotations

import argparse
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import calls, charts, growth, hit_ratio, load
from bench.backends import BASIS, KTCACHE, PEERS, REDIS_CACHE, Entrant, configure, prepare
from bench.report import Results, markdown

PARTS = ("calls", "load", "growth", "hit-ratio")
SHARED_MEMORY = Path("/dev/shm")
WANTED = 1 << 30  # bytes free in shared memory, else the temporary directory


@dataclass(frozen=True)
class Extent:
    """How much a run measures."""

    rounds: int
    batch_seconds: float
    load_keys: int
    load_rounds: int
    turn_seconds: float
    sizes: tuple[int, ...]
    size_batches: int
    trace_keys: int
    trace_requests: int


FULL = Extent(80, 0.003, 5_000, 40, 0.12, (10_000, 1_000_000, 5_000_000), 100, 100_000, 500_000)
QUICK = Extent(15, 0.002, 500, 8, 0.1, (10_000, 100_000), 20, 50_000, 150_000)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(sys.argv[1:] if arguments is None else arguments)
    # A polite stop ends the servers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kt-bench-", dir=options.place)))
        results = _measure(options, folder, stack)
    options.out.mkdir(parents=True, exist_ok=True)
    report = options.out / "results.md"
    report.write_text(markdown(results))
    say(f"wrote {report}")
    try:
        drawn = charts.draw(results, options.out)
    except ModuleNotFoundError as error:
        say(f"no charts: {error}")
    else:
        for chart in drawn:
            say(f"wrote {chart}")
    return 0


def say(text: str) -> None:
    """Tell how far the run is."""
    print(text, file=sys.stderr, flush=True)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure kt-cache beside every peer found on this machine, all in one run.",
        epilog="Backends: " + ", ".join(f"{peer.name} ({peer.title})" for peer in PEERS) + ".",
    )
    parser.add_argument("--quick", action="store_true", help="a minute in all: fewer rounds, fewer entries")
    parser.add_argument(
        "--only",
        metavar="NAME[,NAME]",
        type=_names_among([peer.name for peer in PEERS]),
        default={peer.name for peer in PEERS},
        help=f"measure these backends alone ({BASIS} always takes part: every ratio refers to it)",
    )
    parser.add_argument(
        "--skip",
        metavar="PART[,PART]",
        type=_names_among(PARTS),
        default=set(),
        help="leave out parts of the run: " + ", ".join(PARTS),
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path(__file__).with_name("results"),
        help="where results.md and the charts go (default: bench/results)",
    )
    parser.add_argument(
        "--place",
        metavar="DIR",
        type=Path,
        default=_default_place(),
        help="where the backends keep their files while the run lasts (default here: %(default)s)",
    )
    parser.set_defaults(command=f"python -m bench {shlex.join(arguments)}".strip())
    return parser.parse_args(arguments)


def _names_among(known: Sequence[str]) -> Callable[[str], set[str]]:
    def names(text: str) -> set[str]:
        given = set(text.split(","))
        if unknown := given.difference(known):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))} is none of {', '.join(known)}")
        return given

    return names


def _default_place() -> Path:
    """Shared memory when it has room, so that no backend's figures are those of a disk."""
    if SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free >= WANTED:
        return SHARED_MEMORY
    return Path(tempfile.gettempdir())


def _measure(options: argparse.Namespace, folder: Path, stack: ExitStack) -> Results:
    extent = QUICK if options.quick else FULL
    results = Results(options.command, str(options.place))
    configure(folder)
    for found in prepare(options.only | {BASIS}, folder, stack):
        if isinstance(found, Entrant):
            results.entrants.append(found)
        else:
            results.missing.append(found)
            say(f"left out: {found.title}: {found.reason}")
    here = {entrant.name for entrant in results.entrants}
    parts = set(PARTS) - options.skip
    if KTCACHE.name not in here:
        parts -= {"growth", "hit-ratio"}
    with_redis = REDIS_CACHE.name in here
    if "calls" in parts:
        results.calls = calls.measure(results.entrants, extent.rounds, extent.batch_seconds, say)
    if "load" in parts:
        results.load = load.measure(
            results.entrants, folder, extent.load_keys, extent.load_rounds, extent.turn_seconds, say
        )
    if "hit-ratio" in parts:
        results.hit_ratio = hit_ratio.measure(with_redis, folder, extent.trace_keys, extent.trace_requests, say)
    if "growth" in parts:  # last: an open database keeps its memory until the process ends
        results.growth = growth.measure(with_redis, folder, extent.sizes, extent.size_batches, say)
    return results


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
