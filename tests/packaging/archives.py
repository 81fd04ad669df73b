"""The sdist and the wheel: building them without the index, for the backend is installed already, and reading them."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import PathDistribution
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

MOMENT = "1700000000"
"""Seconds since the epoch that the archives say they are of."""


class Archives(NamedTuple):
    """What is published."""

    sdist: Path
    wheel: Path

    @classmethod
    def find(cls, folder: Path) -> Archives:
        """Return those that were built into a folder."""
        (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
        return cls(sdist, wheel)


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
    return Archives.find(folder)


def metadata(wheel: Path) -> PathDistribution:
    """Return what a wheel says of itself."""
    (folder,) = (path for path in zipfile.Path(wheel).iterdir() if path.name.endswith(".dist-info"))
    return PathDistribution(folder)


def requirements(wheel: Path, extra: str) -> Iterator[str]:
    """Yield what a wheel requires with an extra, each as if it had been asked for by itself."""
    for text in metadata(wheel).requires or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            requirement.marker = None
            yield str(requirement)
