"""The launcher: it becomes the program, unless there is nobody left to end it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from kt_core.embedded import launch


def run(parent: int, *command: str) -> subprocess.CompletedProcess[str]:
    """Run the launcher as starting does."""
    arguments = [sys.executable, "-I", "-S", launch.__file__, str(parent), *command]
    return subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60)


def test_it_becomes_the_program() -> None:
    done = run(os.getpid(), "/bin/sh", "-c", 'echo "$@"; exit 7', "sh", "one two", "-three")
    assert (done.returncode, done.stdout, done.stderr) == (7, "one two -three\n", "")


def test_it_does_not_outlive_a_parent_that_was_faster() -> None:
    done = run(1, "/bin/echo", "never")
    assert (done.returncode, done.stdout) == (1, "")
    assert "was gone before it could be watched" in done.stderr


def test_a_file_that_is_no_program_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"\x7fELF?")
    file.chmod(0o700)
    done = run(os.getpid(), str(file))
    assert (done.returncode, done.stderr) == (1, f"{file} cannot be executed: Exec format error\n")
