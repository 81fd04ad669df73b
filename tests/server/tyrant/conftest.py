from __future__ import annotations

from collections.abc import Iterator

import pytest

from kt_core.server.tyrant.server import TyrantServer
from kt_core.wire import tt_messages as tt
from tests.server.tyrant.asking import Asker
from tests.server.tyrant.running import connect, serving


@pytest.fixture(scope="session")
def running() -> Iterator[TyrantServer]:
    """A server that keeps running."""
    with serving("+") as running:
        yield running


@pytest.fixture
def server(running: TyrantServer) -> TyrantServer:
    """The same, with nothing in its database."""
    with connect(running) as asker:
        asker.tell(tt.Vanish())
    return running


@pytest.fixture
def asker(server: TyrantServer) -> Iterator[Asker]:
    """A connection to it."""
    with connect(server) as asker:
        yield asker


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    from tests.server.tyrant.test_differential import Pair

    if Pair.compared:
        terminalreporter.write_line(f"Requests answered by the bundled server as by ttserver: {Pair.compared}")
