"""The original's own client programs, where they are on PATH: its tests have to pass, and its manager to work."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.server.tyrant.running import serving

FOUND = shutil.which("tcrtest") is not None and shutil.which("tcrmgr") is not None
COMMANDS = {
    "write": ("127.0.0.1", "500"),
    "read": ("127.0.0.1",),
    "remove": ("127.0.0.1",),
    "rcat": ("127.0.0.1", "500"),
    "misc": ("127.0.0.1", "200"),
    "wicked": ("127.0.0.1", "500"),
}
NAMES = ["*", "+", "{}/x.tch", "{}/x.tcb"] if FOUND else []
TABLES = ["{}/x.tct"] if FOUND else []


def run(program: str, command: str, port: int, *arguments: str) -> str:
    """Run a program and return what it says; it has to succeed."""
    line = [program, command, "-port", str(port), *arguments]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, (line, done.stdout[-500:], done.stderr)
    return done.stdout


def fast(name: str, place: Path) -> str:
    return name.format(place) + ("" if name in "*+" else "#durability=process")


@pytest.mark.parametrize("name", NAMES)
def test_its_tests_pass(tmp_path: Path, name: str) -> None:
    with serving(fast(name, tmp_path)) as server:
        for command, arguments in COMMANDS.items():
            assert run("tcrtest", command, server.port, *arguments).rstrip().endswith("ok")


@pytest.mark.parametrize("name", TABLES)
def test_its_tests_of_tables_pass(tmp_path: Path, name: str) -> None:
    with serving(fast(name, tmp_path)) as server:
        assert run("tcrtest", "table", server.port, "127.0.0.1", "200").rstrip().endswith("ok")


@pytest.mark.parametrize("name", NAMES)
def test_its_manager_works(tmp_path: Path, name: str) -> None:
    with serving(fast(name, tmp_path)) as server:
        for command, arguments, said in (
            ("put", ("127.0.0.1", "k", "v"), ""),
            ("put", ("-dai", "127.0.0.1", "n", "3"), "3\n"),
            ("get", ("127.0.0.1", "k"), "v\n"),
            ("list", ("-fm", "k", "127.0.0.1"), "k\n"),
            ("misc", ("127.0.0.1", "getlist", "k"), "k\nv\n"),
            ("sync", ("127.0.0.1",), ""),
            ("out", ("127.0.0.1", "k"), ""),
            ("vanish", ("127.0.0.1",), ""),
        ):
            assert run("tcrmgr", command, server.port, *arguments) == said
        assert "record number: 0" in run("tcrmgr", "inform", server.port, "127.0.0.1")
