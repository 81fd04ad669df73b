"""Fetch the source distribution of an installed package, for the tests that its wheel leaves out."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / ".build" / "sources"


class SourceUnavailableError(Exception):
    """The package index did not give the source distribution."""


def source_of(package: str) -> Path:
    """Return the unpacked source of exactly the installed version, downloading it the first time.

    Any number of processes may call this at once.
    """
    installed = version(package)
    target = SOURCES / f"{package}-{installed}"
    SOURCES.mkdir(parents=True, exist_ok=True)
    with (SOURCES / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            with tempfile.TemporaryDirectory(dir=SOURCES) as scratch:
                # Renamed when complete, so that a run that was cut short leaves nothing that looks whole.
                _unpack(_download(package, installed, Path(scratch))).rename(target)
    return target


def _download(package: str, installed: str, directory: Path) -> Path:
    requirement = f"{package}=={installed}"
    # pip prepares the metadata of what it downloads, with a build backend that it installs for the purpose.
    # Hence --no-binary for this package alone: with :all: the backend itself would have to be built.
    options = ["--quiet", "--no-deps", "--no-binary", package, "--dest", str(directory)]
    pip = [sys.executable, "-m", "pip", "download", *options, requirement]
    done = subprocess.run(pip, capture_output=True, text=True)
    archives = list(directory.glob("*.tar.gz"))
    if done.returncode or not archives:
        raise SourceUnavailableError(
            f"The tests of {requirement} are only in its source distribution, which needs the package index"
            f" once. Run the tests again where the index can be reached. This command failed:\n"
            f"{' '.join(pip)}\n{done.stdout}{done.stderr}"
        )
    return archives[0]


def _unpack(archive: Path) -> Path:
    directory = archive.parent / "unpacked"
    with tarfile.open(archive) as tar:
        # The filter came with Python 3.11.4; for an earlier one the names and kinds are looked at here.
        kept = [one for one in tar if (one.isfile() or one.isdir()) and not {"..", "/"} & set(Path(one.name).parts)]
        filtered: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        tar.extractall(directory, kept, **filtered)
    (top,) = directory.iterdir()
    return top
