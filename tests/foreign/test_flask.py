"""`KTCache` for Flask passes Flask-Caching's own tests, and those that cachelib has for every cache."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.foreign.simple_cache import FOUND, TIMED
from tests.foreign.sources import ROOT

# How many there are of each suite at least, over a store whose clock can be moved and over one whose clock cannot.
# Later versions may add to them.
LEAST = {"cachelib": (42, 42), "flask-caching": (161, 140)}

PATIENCE = 300  # seconds; a run takes about 10, and the first time the source is downloaded


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[tuple[str, str], subprocess.Popen[str]]]:
    """Return all runs of the driver, under way."""
    driver = [sys.executable, "-X", "dev", "-m", "tests.foreign.flask_driver"]
    started = {
        (suite, store): subprocess.Popen(
            [*driver, suite, store], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for suite in LEAST
        for store in FOUND
    }
    yield started
    for run in started.values():
        run.kill()
        run.communicate()


@pytest.mark.parametrize("store", FOUND)
@pytest.mark.parametrize("suite", LEAST)
def test_every_test_passes(
    runs: dict[tuple[str, str], subprocess.Popen[str]], suite: str, store: str, record_summary: Callable[[str], None]
) -> None:
    run = runs[suite, store]
    output, errors = run.communicate(timeout=PATIENCE)
    assert not run.returncode, errors
    report = json.loads(output)
    counts = ", ".join(f"{len(report[outcome])} {outcome}" for outcome in ("passed", "failed", "skipped"))
    record_summary(f"{suite} {report['version']}'s own tests, {store}: {counts}")
    assert not report["failed"], "\n\n".join(f"{name}\n{text}" for name, text in report["failed"].items())
    assert not report["skipped"]
    assert len(report["passed"]) >= LEAST[suite][store in TIMED]
