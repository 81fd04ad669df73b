"""Start the runs of Django's tests ahead of all other tests, and collect them after: they mostly sleep."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from itertools import count
from typing import Any

import pytest

from tests.fix_aerospike import AEROSPIKE_KINDS, serving
from tests.fix_servers import KINDS, PATIENTLY, TYRANT_KINDS, running
from tests.foreign.sources import ROOT

# The driver of each of Django's suites.
DRIVERS = {"cache": "tests.foreign.django_driver", "session": "tests.foreign.django_session_driver"}

# How many Tokyo Tyrant servers each wants.
SERVERS = {"cache": 4, "session": 1}

# Seconds for one run, which takes about 25 and the first time downloads Django's source as well.
PATIENCE = 300


AEROSPIKE = {f"Aerospike, {kind}": kind for kind in AEROSPIKE_KINDS}
"""Names of stores with what serves them."""

_numbers = count()  # a real server outlives a run, and has the sets of all


class DriverRun:
    """One run of a driver, under way from the moment this is made."""

    def __init__(self, backend: str, *, server: str | None = None, pattern: str = "*", suite: str = "cache") -> None:
        self.suite = suite
        self._needed = ExitStack()
        if server is None:
            location = f"embedded://{self._needed.enter_context(tempfile.TemporaryDirectory())}/store"
        elif server in KINDS:
            location = f"kt://{self._needed.enter_context(running(server, databases=['*'] * 4))}{PATIENTLY}"
        elif server in AEROSPIKE:
            place = self._needed.enter_context(serving(AEROSPIKE[server]))
            location = place.url(f"django-{next(_numbers)}") + PATIENTLY
        else:  # one database is all that each has
            addresses = [self._needed.enter_context(running(server, databases=["*"])) for _ in range(SERVERS[suite])]
            location = f"tt://{','.join(map(str, addresses))}{PATIENTLY}"
        driver = [sys.executable, "-X", "dev", "-W", "error", "-m", DRIVERS[suite]]
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
        self._needed.close()


SESSIONS = "kt_cache.django.sessions"
BACKENDS = {"sync": "kt_cache.django.KTCache", "async": "tests.foreign.async_twin.AsyncTwin"}
STORES = ("embedded", *KINDS, *TYRANT_KINDS, *AEROSPIKE)

RUNS = pytest.StashKey[dict[str, DriverRun]]()
LINES = pytest.StashKey[list[str]]()


@pytest.fixture
def record_summary(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Return what puts a line into the summary at the end."""
    return pytestconfig.stash.setdefault(LINES, []).append


@pytest.fixture(scope="session")
def django_runs(pytestconfig: pytest.Config) -> dict[str, DriverRun]:
    """Return the runs by name: our backend over each store, also by way of its coroutines, and one that must fail."""
    return pytestconfig.stash[RUNS]


def _waits(item: pytest.Item) -> bool:
    return "django_runs" in getattr(item, "fixturenames", ())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_waits)


def pytest_collection_finish(session: pytest.Session) -> None:
    if any(map(_waits, session.items)) and not session.config.option.collectonly:
        runs = session.config.stash[RUNS] = {
            "faulty": DriverRun("tests.foreign.async_twin.ForgetfulTwin", pattern="*.BackendTests.test_simple"),
            "faulty sessions": DriverRun("tests.foreign.faulty_sessions", pattern="*.Beside.*", suite="session"),
        }
        for store in STORES:
            for way, backend in BACKENDS.items():
                runs[f"{store}, {way}"] = DriverRun(backend, server=None if store == "embedded" else store)
            server = None if store == "embedded" else store
            runs[f"{store}, sessions"] = DriverRun(SESSIONS, server=server, suite="session")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for name, run in config.stash.get(RUNS, {}).items():
        if not name.startswith("faulty") and run.summary:
            version = run.report["django"]
            terminalreporter.write_line(f"Django {version}'s own {run.suite} tests, {name}: {run.summary}")

    for line in config.stash.get(LINES, []):
        terminalreporter.write_line(line)


def pytest_unconfigure(config: pytest.Config) -> None:
    for run in config.stash.get(RUNS, {}).values():
        run.stop()
