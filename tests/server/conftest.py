from __future__ import annotations

from collections.abc import Iterator

import pytest

from kt_core.server import Server
from tests.clock import Clock
from tests.server.exchange import Wire, connect
from tests.server.pair import Pair
from tests.server.running import serving

DATABASES = ("%", "*")
"""Of the server that most tests share: one that keeps its records in order, and one that does not."""

_clock = Clock()


@pytest.fixture(scope="session")
def running() -> Iterator[Server]:
    """A server that keeps running."""
    with serving(*DATABASES, clock=_clock) as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    """The clock of the server."""
    _clock.seconds = Clock().seconds
    return _clock


@pytest.fixture
def server(running: Server, clock: Clock) -> Server:
    """The same, with nothing in its databases."""
    with connect(running) as wire:
        for number in range(len(DATABASES)):
            wire.call("clear", DB=number)
    return running


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    """A connection to it."""
    with connect(server) as wire:
        yield wire


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if Pair.compared:
        terminalreporter.write_line(f"Requests answered by the bundled server as by ktserver: {Pair.compared}")
