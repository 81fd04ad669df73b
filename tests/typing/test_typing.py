"""mypy finds the types that the public API promises, and the mistakes that it is to find."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SAMPLE = "tests/typing/sample.py"


def test_the_sample_has_the_types_that_it_says() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy", SAMPLE], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout.splitlines()[-1].startswith(("Success", "Found")), done.stdout + done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith(SAMPLE)] == []
