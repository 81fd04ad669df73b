"""The command line of the benchmark: what to measure, and where the report goes."""

from __future__ import annotations

import argparse
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench import (
    aerospike,
    caches,
    charts,
    client,
    disk,
    flask,
    ownership,
    patterns,
    replica,
    scripts,
    server,
    sessions,
    stampede,
    tyrant,
)
from bench.generator import NoCompiler
from bench.report import Report, Setting

SUBJECTS = {
    "caches": caches,
    "server": server,
    "client": client,
    "disk": disk,
    "patterns": patterns,
    "stampede": stampede,
    "sessions": sessions,
    "flask": flask,
    "tyrant": tyrant,
    "aerospike": aerospike,
    "replica": replica,
    "scripts": scripts,
    "ownership": ownership,
}
SHARED_MEMORY = Path("/dev/shm")
WANTED = 1 << 30  # bytes free in shared memory, else the temporary directory


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(sys.argv[1:] if arguments is None else arguments)
    # A polite stop ends the servers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kt-bench-", dir=options.place)))
            report: Report = options.measure(options, folder, stack, say)
    except NoCompiler as error:
        say(f"bench: {error}")
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"{report.name}.md"
    path.write_text(report.text)
    say(f"wrote {path}")
    try:
        drawn = charts.draw(report.charts, options.out)
    except ModuleNotFoundError as error:
        say(f"no charts: {error}")
    else:
        for chart in drawn:
            say(f"wrote {chart}")
    return 0


def say(text: str) -> None:
    """Tell how far the run is."""
    print(text, file=sys.stderr, flush=True)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure kt-cache beside every peer found on this machine, all in one run.",
        epilog="Without a subject: caches. Each has options of its own: python -m bench SUBJECT --help",
    )
    subjects = parser.add_subparsers(title="subjects", required=True, metavar="SUBJECT")
    for name, subject in SUBJECTS.items():
        summary = (subject.__doc__ or "").strip()
        own = subjects.add_parser(name, help=summary, description=summary)
        own.add_argument("--quick", action="store_true", help="a first look: fewer rounds, fewer entries")
        own.add_argument(
            "--out",
            metavar="DIR",
            type=Path,
            default=Path(__file__).with_name("results"),
            help="where the report and its charts go (default: bench/results)",
        )
        own.add_argument(
            "--place",
            metavar="DIR",
            type=Path,
            default=_default_place(),
            help="where files are kept while the run lasts (default here: %(default)s)",
        )
        own.set_defaults(measure=subject.measure)
        subject.add_options(own)
    parser.set_defaults(setting=Setting(f"python -m bench {shlex.join(arguments)}".strip()))
    named = bool(arguments) and (arguments[0] in SUBJECTS or arguments[0] in ("-h", "--help"))
    return parser.parse_args(arguments if named else ["caches", *arguments])


def _default_place() -> Path:
    """Shared memory when it has room, so that no backend's figures are those of a disk."""
    if SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free >= WANTED:
        return SHARED_MEMORY
    return Path(tempfile.gettempdir())


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
