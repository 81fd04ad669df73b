"""The page about ``kt``: its examples, run as they stand there."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from kt_core.commands.table import COMMANDS
from tests.fix_servers import running
from tests.processes import ROOT
from tests.terminals import on_terminal

PAGE = ROOT / "docs" / "kt.md"
ADDRESS = "127.0.0.1:1978"


def examples(text: str) -> Iterator[tuple[str, str]]:
    """Yield the command lines of a page, and what it says that they show."""
    blocks = re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    for block in blocks:
        starts = [*(found.start() for found in re.finditer(r"^\$ ", block, re.MULTILINE)), len(block)]
        for start, end in pairwise(starts):
            line, _, shown = block[start + 2 : end].partition("\n")
            yield line, shown


def agree(shown: str, found: str) -> bool:
    """Tell whether a page shows what was found: three dots stand for anything, and columns may be wider or narrower."""
    pattern = ".*?".join(re.escape(re.sub(" +", " ", part)) for part in shown.split("..."))
    return re.fullmatch(pattern, re.sub(" +", " ", found), re.DOTALL) is not None


def test_every_example_does_what_it_says(tmp_path: Path) -> None:
    text = PAGE.read_text()
    with running("bundled") as address:
        environ = {
            "KT_URL": f"kt://{address}",
            "NO_COLOR": "1",
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "XDG_RUNTIME_DIR": str(tmp_path),
        }
        status = 0
        for line, shown in examples(text):
            script = f"(exit {status}); {line}".replace(ADDRESS, str(address))
            status, found = on_terminal(["sh", "-c", script], columns=120, environ=environ, cwd=tmp_path)
            last = found.rpartition("\r\x1b[K")[2]  # behind the bars
            assert agree(shown.replace(ADDRESS, str(address)), last), (line, found)


def test_every_command_is_on_the_page() -> None:
    text = PAGE.read_text()
    missing = [name for name in COMMANDS if not re.search(rf"\bkt (?:--\S+ )?{name}\b|`{name}`", text)]
    assert missing == []
