"""Run every block of every page, and print how many there are: ``python -m tests.docs [PAGE ...]``."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.docs.blocks import blocks
from tests.docs.pages import every_page
from tests.docs.playing import play
from tests.processes import ROOT

_COLUMNS = ("executed", "checked")


def main(names: list[str]) -> int:
    """Play the pages whose names contain one of these, or all; return 1 if one fails."""
    chosen = [page for page in every_page() if any(blocks(page)) and (not names or any(n in str(page) for n in names))]
    total: Counter[str] = Counter()
    status = 0
    _say(f"{'':<28}{'executed':>10}{'checked':>10}")
    for page in chosen:
        with TemporaryDirectory() as directory:
            try:
                counts = play(page, Path(directory))
            except AssertionError as error:
                _say(f"{page.relative_to(ROOT)!s:<28}  FAILED  {error}")
                status = 1
                continue
        total += counts
        _say(f"{page.relative_to(ROOT)!s:<28}{''.join(f'{counts[name]:>10}' for name in _COLUMNS)}")
    _say(f"{'all':<28}{''.join(f'{total[name]:>10}' for name in _COLUMNS)}")
    return status


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
