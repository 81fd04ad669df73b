"""Start the runs of Django's tests ahead of all other tests, and collect them after: they mostly sleep."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from functools import cached_property
from typing import Any

import pytest

from tests.foreign.sources import ROOT

# Seconds for one run, which takes about 25 and the first time downloads Django's source as well.
PATIENCE = 300


class DriverRun:
    """One run of the driver, under way from the moment this is made."""

    def __init__(self, backend: str, pattern: str = "*") -> None:
        self._directory = tempfile.TemporaryDirectory()
        location = f"embedded://{self._directory.name}/store"
        driver = [sys.executable, "-X", "dev", "-W", "error", "-m", "tests.foreign.django_driver"]
        self._process = subprocess.Popen(
            [*driver, backend, location, pattern],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @cached_property
    def report(self) -> dict[str, Any]:
        """Wait for the end of the run and return what the driver printed."""
        output, errors = self._process.communicate(timeout=PATIENCE)
        if self._process.returncode:
            pytest.fail(f"the driver itself failed:\n{errors}", pytrace=False)
        report: dict[str, Any] = json.loads(output)
        return report

    @property
    def summary(self) -> str | None:
        """One line for the terminal, or None when nobody asked for the report."""
        if "report" not in vars(self):
            return None
        counts = (f"{len(self.report[outcome])} {outcome}" for outcome in ("passed", "failed", "skipped"))
        return ", ".join(counts)

    def stop(self) -> None:
        """End the run if it is still under way, and remove its store."""
        self._process.kill()
        self._process.communicate()
        self._directory.cleanup()


RUNS = pytest.StashKey[dict[str, DriverRun]]()


@pytest.fixture(scope="session")
def django_runs(pytestconfig: pytest.Config) -> dict[str, DriverRun]:
    """Return the runs by name: our backend, the same by way of its coroutines, and one that must fail."""
    return pytestconfig.stash[RUNS]


def _waits(item: pytest.Item) -> bool:
    return "django_runs" in getattr(item, "fixturenames", ())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_waits)


def pytest_collection_finish(session: pytest.Session) -> None:
    if any(map(_waits, session.items)) and not session.config.option.collectonly:
        session.config.stash[RUNS] = {
            "sync": DriverRun("kt_cache.django.KTCache"),
            "async": DriverRun("tests.foreign.async_twin.AsyncTwin"),
            "faulty": DriverRun("tests.foreign.async_twin.ForgetfulTwin", "*.BackendTests.test_simple"),
        }


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for name in ("sync", "async"):
        run = config.stash.get(RUNS, {}).get(name)
        if run and run.summary:
            version = run.report["django"]
            terminalreporter.write_line(f"Django {version}'s own cache tests, {name}: {run.summary}")


def pytest_unconfigure(config: pytest.Config) -> None:
    for run in config.stash.get(RUNS, {}).values():
        run.stop()
