"""Empty environments that a package is installed into, and what programs say in them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PATIENCE = 240  # seconds: the index may be slow
# Certificates as pip finds them: those of the system.
_UV = (sys.executable, "-m", "uv", "--quiet", "--native-tls")


@dataclass(frozen=True)
class Environment:
    """A virtual environment."""

    folder: Path

    @classmethod
    def make(
        cls, folder: Path, *requirements: str, options: Sequence[str] = (), python: str = sys.executable
    ) -> Environment:
        """Make one of an interpreter, this one unless told, and install requirements and what they require into it."""
        _run([*_UV, "venv", "--python", python, str(folder)])
        made = cls(folder)
        _run([*_UV, "pip", "install", "--python", str(made.python), *options, *requirements])
        return made

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def installed(self) -> list[str]:
        """Return what is installed, as `name==version`."""
        return _run([*_UV, "pip", "freeze", "--python", str(self.python)]).splitlines()

    def program(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of its programs, away from the checkout."""
        return self._start([str(self.folder / "bin" / name), *arguments])

    def run(self, code: str) -> subprocess.CompletedProcess[str]:
        """Run code; -I: neither the directory it is started in nor PYTHONPATH can bring modules."""
        return self._start([str(self.python), "-I", "-c", code])

    def _start(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"
    return done.stdout
