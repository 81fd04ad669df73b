"""Building the sdist and the wheel, without the index: the backend is installed already."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

MOMENT = "1700000000"
"""Seconds since the epoch that the archives say they are of."""


class Archives(NamedTuple):
    """What is published."""

    sdist: Path
    wheel: Path


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpack a sdist of ours into an empty folder, and return what it holds."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "-xzf", str(sdist), "-C", str(folder)], check=True)
    (tree,) = folder.glob("kt_cache-*")
    return tree


def build(source: Path, folder: Path) -> Archives:
    """Build both from a source tree."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)],
        cwd=source,
        env={**os.environ, "SOURCE_DATE_EPOCH": MOMENT},
        capture_output=True,
        check=True,
    )
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return Archives(sdist, wheel)
