"""Fuzz every decoder: ``python -m tests.fuzz [SECONDS [TARGET]]``, seconds for each; a failure ends it.

A crash, an input that takes more than ten seconds and memory beyond 512 MiB are failures. New inputs go into
``.build/fuzz``; one that fails is kept there, and belongs into the corpus once its fault is mended.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
FOUND = Path(__file__).parents[2] / ".build" / "fuzz"


def fuzz(target: str, seconds: int) -> None:
    """Fuzz one target in this process, which does not return."""
    import atheris  # type: ignore[import-not-found]

    with atheris.instrument_imports(include=["kt_core", "kt_cache"]):
        from tests.fuzz.targets import TARGETS

    found = FOUND / target
    found.mkdir(parents=True, exist_ok=True)
    limits = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=512", "-max_len=4096", "-print_final_stats=1"]
    arguments = [sys.argv[0], *limits, f"-artifact_prefix={found}/", str(found), str(CORPUS / target)]
    atheris.Setup(arguments, TARGETS[target])
    atheris.Fuzz()


def main(seconds: str = "60", only: str = "") -> int:
    """Fuzz all targets, or one, each in a process of its own; return the exit status."""
    for target in sorted(path.name for path in CORPUS.iterdir()):
        if only in ("", target):
            code = f"from tests.fuzz.__main__ import fuzz; fuzz({target!r}, {int(seconds)})"
            if status := subprocess.run([sys.executable, "-c", code], check=False).returncode:
                sys.stderr.write(f"{target} failed; the input is in {FOUND / target}\n")
                return status
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
