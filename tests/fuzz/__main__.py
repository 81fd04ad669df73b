"""Fuzz every decoder: ``python -m tests.fuzz [SECONDS [TARGET]]``, seconds for each, and tell what was done.

A crash, an input that takes more than ten seconds and memory beyond 512 MiB are failures, which end their target. New
inputs go into ``.build/fuzz``; one that fails is kept there, and belongs into the corpus once its fault is mended.
`python -m tests.fuzz 0` only measures which lines the inputs reach that there are.
"""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.fuzz.lines import ROOT, Lines, in_functions, noting

CORPUS: Final = Path(__file__).parent / "corpus"
FOUND: Final = ROOT / ".build" / "fuzz"
LONGEST: Final = 8192
# What the fuzzer calls an input that failed.
FAILED: Final = ("crash-", "timeout-", "oom-", "leak-")


def fuzz(target: str, seconds: int) -> None:
    """Fuzz one target in this process, which does not return."""
    import atheris  # type: ignore[import-not-found]

    with atheris.instrument_imports(include=["kt_core", "kt_cache"]):
        from tests.fuzz.targets import TARGETS

    found = FOUND / target
    found.mkdir(parents=True, exist_ok=True)
    limits = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=512", f"-max_len={LONGEST}"]
    arguments = [sys.argv[0], *limits, "-print_final_stats=1", f"-artifact_prefix={found}/"]
    logging.disable(logging.WARNING)  # of whatever is refused
    atheris.Setup([*arguments, str(found), str(CORPUS / target)], TARGETS[target])
    atheris.Fuzz()


def replay(target: str) -> None:
    """Print which lines the inputs of a target reach, as JSON."""
    from tests.fuzz.targets import TARGETS

    logging.disable(logging.WARNING)
    with noting() as lines:
        for path in inputs(target):
            with suppress(Exception):  # it was told when it was found
                TARGETS[target](path.read_bytes())
    sys.stdout.write(json.dumps({path: sorted(found) for path, found in lines.items()}))


def inputs(target: str) -> Iterator[Path]:
    """Yield the inputs of a target that there are, without those that failed."""
    for folder in (CORPUS / target, FOUND / target):
        if folder.is_dir():
            yield from (path for path in sorted(folder.iterdir()) if not path.name.startswith(FAILED))


def failed(target: str) -> set[str]:
    """Return the names of the inputs on which a target has ever failed."""
    return {path.name for path in (FOUND / target).glob("*-*") if path.name.startswith(FAILED)}


def run(function: str, target: str, *arguments: int) -> subprocess.CompletedProcess[str]:
    """Call a function of this module for a target in a process of its own."""
    code = f"from tests.fuzz.__main__ import {function}; {function}{(target, *arguments)!r}"
    line = [sys.executable, "-c", code]
    with tempfile.TemporaryDirectory(prefix="kt-fuzz-") as directory:  # the fuzzer ends without tidying up
        environ = {**os.environ, "TMPDIR": directory}
        return subprocess.run(line, capture_output=True, text=True, errors="replace", check=False, env=environ)


def main(seconds: str = "60", only: str = "") -> int:
    """Fuzz all targets, or one, each in a process of its own, and tell of it; return the exit status."""
    failures = 0
    together: Lines = defaultdict(set)
    tell = sys.stdout.write
    tell(f"{'target':24}{'executions':>12}{'per second':>12}{'inputs':>8}{'lines':>7}  findings\n")
    for target in sorted(path.name for path in CORPUS.iterdir()):
        if only not in ("", target):
            continue
        said, before = "", failed(target)
        if int(seconds):
            done = run("fuzz", target, int(seconds))
            said, failures = done.stderr, failures + bool(done.returncode)
            (FOUND / f"{target}.log").write_text(said)
        executed, speed = (
            (re.search(rf"stat::{name}:\s*(\d+)", said) or ["", "-"])[1]
            for name in ("number_of_executed_units", "average_exec_per_sec")
        )
        lines: dict[str, list[int]] = json.loads(run("replay", target).stdout)
        for path, numbers in lines.items():
            together[path].update(numbers)
        reached = sum(map(len, lines.values()))
        counts = f"{executed:>12}{speed:>12}{sum(1 for _ in inputs(target)):>8}{reached:>7}"
        tell(f"{target:24}{counts}  {', '.join(failed(target) - before) or 'none'}\n")
        sys.stdout.flush()
    if not only:
        tell_of_modules(together)
    if failures:
        sys.stderr.write(f"{failures} targets failed; see their logs and inputs in {FOUND}\n")
    return min(failures, 1)


def tell_of_modules(lines: Lines) -> None:
    """Print how many lines of its functions some target reaches, for each module of which one does."""
    sys.stdout.write(f"\n{'module':44}{'lines':>7}{'reached':>9}\n")
    for name, reached in sorted(lines.items()):
        every = in_functions(ROOT / name)
        if reached & every:
            sys.stdout.write(f"{name:44}{len(every):>7}{len(reached & every) / len(every):>9.0%}\n")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
