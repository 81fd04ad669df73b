"""Virtual environments of their own for packages that the project does not depend on, made once below `.build`."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

from tests.foreign.sources import ROOT

ENVIRONMENTS = ROOT / ".build" / "environments"


class EnvironmentUnavailableError(Exception):
    """The package index did not give the packages, or they could not be built."""


def python_with(name: str, *requirements: str) -> Path:
    """Return the interpreter of an environment with these packages, which is made the first time."""
    directory = ENVIRONMENTS / f"{name}-{sys.version_info.major}.{sys.version_info.minor}"
    python = directory / "bin" / "python"
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    with (ENVIRONMENTS / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = directory / "made-of"
        if not made.exists() or made.read_text().split("\n") != list(requirements):
            shutil.rmtree(directory, ignore_errors=True)
            _run([sys.executable, "-m", "venv", str(directory)])
            _run([str(python), "-m", "pip", "install", "--quiet", *requirements])
            made.write_text("\n".join(requirements))
    return python


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EnvironmentUnavailableError(
            "The tests of other clients need the package index once, and a C compiler. Run the tests again where there"
            f" are both. This command failed:\n{' '.join(command)}\n{done.stdout}{done.stderr}"
        )
