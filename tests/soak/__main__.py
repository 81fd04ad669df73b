"""Soak the stores: ``python -m tests.soak [--minutes N] [--store NAME ...] [--workers N] [--seed TEXT]``.

All stores that this machine has are soaked at the same time; AEROSPIKE_HOST=host:port/namespace adds a real Aerospike
server, which is not harmed. The summary is printed, and kept with a chart in ``.build/soak``; what belongs to a
store in which something was wrong is kept there, too. The exit status is 0 if nothing was.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.processes import ROOT
from tests.soak import report
from tests.soak.places import PLACES
from tests.soak.soak import Outcome, Soak

_KEPT: Final = ROOT / ".build" / "soak"


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--store", action="append", choices=list(PLACES), help="may be given several times")
    parser.add_argument("--workers", type=int, default=3, help="processes for each store, up to 15")
    parser.add_argument("--seed", default=str(time.time_ns()), help="what the faults and the load are drawn by")
    options = parser.parse_args(arguments)
    if not 1 <= options.workers <= 15:
        parser.error("--workers: write a number from 1 to 15")
    names = [name for name, place in PLACES.items() if place.found and name in (options.store or PLACES)]
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as folder:
        soaks = {
            name: Soak(name, PLACES[name], Path(folder) / name, seed=options.seed, workers=options.workers)
            for name in names
        }
        outcomes = run(list(soaks.values()), options.minutes * 60)
        for outcome in outcomes:
            if not outcome.sound:
                kept = _KEPT / outcome.name
                shutil.rmtree(kept, ignore_errors=True)
                shutil.copytree(Path(folder) / outcome.name, kept, ignore=shutil.ignore_patterns("data"))
    path = report.write(outcomes, options.seed, _KEPT)
    sys.stdout.write(f"{path.read_text()}\n{path}\n")
    return 0 if all(outcome.sound for outcome in outcomes) else 1


def run(soaks: Sequence[Soak], seconds: float) -> list[Outcome]:
    """Let all soak at the same time; an interruption ends them sooner."""

    def one(soak: Soak) -> None:
        try:
            soak.run(seconds)
        except Exception as error:  # the others go on, and this is a fault
            soak.outcome.faults.append(f"the soak failed: {error!r}")

    threads = [threading.Thread(target=one, args=(soak,)) for soak in soaks]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        for soak in soaks:
            soak.stop()
        for thread in threads:
            thread.join()
    return [soak.outcome for soak in soaks]


if __name__ == "__main__":
    # Also of a shell that starts it in the background: nothing may be left mounted or running.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    sys.exit(main())
