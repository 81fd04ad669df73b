"""The bundled server passes the tests of `ukt`, a client that knows nothing of it, and runs its library of scripts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.foreign.environments import python_with
from tests.foreign.sources import ROOT

PATIENCE = 120  # seconds; it takes about 25


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the driver printed."""
    python = python_with("ukt", "ukt==0.4.8", "msgpack")
    binary = tmp_path_factory.mktemp("bin") / "ktserver"
    binary.write_text(f'#!/bin/sh\ncd {ROOT} && exec {sys.executable} -m kt_core.server "$@"\n')
    binary.chmod(0o755)
    done = subprocess.run(
        [python, Path(__file__).with_name("ukt_driver.py")],
        env={**os.environ, "KT_BINARY": str(binary), "PATH": f"{binary.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_every_test_of_the_client_passes(report: dict[str, Any]) -> None:
    assert not report["failed"], "\n\n".join(f"{name}\n{text}" for name, text in report["failed"].items())
    assert not report["skipped"]
    assert len(report["ran"]) == 107
