"""Python code run on a tiny file system of its own: in a mount namespace, which takes no privileges where allowed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT

FILL = """
import os
from contextlib import contextmanager, suppress
@contextmanager
def filled(place):
    with open(place / "ballast", "wb", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(bytes(4096))
    try:
        yield
    finally:
        os.unlink(place / "ballast")
"""
"""The beginning of such code: a context in which its disk is full."""


def run(code: str, place: Path, size: str, *arguments: str) -> dict[str, object]:
    """Return what the code printed as JSON; its arguments are the place, then the given ones. It may not be killed."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    mount = f'mount -t tmpfs -o size={size} tmpfs "$2" && exec "$0" -c "$@"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount, sys.executable, FILL + code, str(place), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stderr)  # SIGBUS would be -7
    found: dict[str, object] = json.loads(done.stdout)
    return found
