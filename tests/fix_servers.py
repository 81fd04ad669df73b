"""Servers for tests, as a plugin of pytest: each kind that this machine has, started once and stopped at the end."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import pytest

from kt_core.transport import Address

DATABASES = ("*", "%")
"""The databases of every Kyoto Tycoon server, by number; the second one keeps its keys in order."""

SCRIPT = Path(__file__).with_name("procedures.lua")

_COMMANDS = {
    "bundled": [sys.executable, "-m", "kt_core.server"],
    "ktserver": ["ktserver"],
    "bundled tyrant": [sys.executable, "-m", "kt_core.server", "--tyrant"],
    "ttserver": ["ttserver"],
}


def _found(*kinds: str) -> list[str]:
    return [kind for kind in kinds if shutil.which(_COMMANDS[kind][0])]


KINDS = _found("bundled", "ktserver")
MASTERS = KINDS  # each of them keeps an update log if it is told to
TYRANT_KINDS = _found("bundled tyrant", "ttserver")

PATIENCE = 30
"""Seconds that a server may take to start, to end, or to answer where that is not what is tested."""

PATIENTLY = f"?timeout={PATIENCE}"
"""Ends the locations of caches whose timeouts are not what is tested: a busy machine may hold a server for a second."""


def with_log(directory: Path, sid: int = 1) -> tuple[str, ...]:
    """Return the arguments of a Kyoto Tycoon server that keeps its update log in a directory."""
    return "-ulog", str(directory), "-sid", str(sid)


@contextmanager
def running(
    kind: str, *arguments: str, address: Address | None = None, databases: Sequence[str] = DATABASES
) -> Iterator[Address]:
    """Run a server, at an address or on a free port."""
    for _ in range(10):
        where = address or Address(port=free_port())
        command = [*_COMMANDS[kind], "-host", where.host, "-port", str(where.port), "-le", *arguments, *databases]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            if _listens(process, where):
                yield where
                return
        finally:
            process.terminate()
            process.wait(PATIENCE)
    raise AssertionError(f"{kind} does not start")


def free_port() -> int:
    """Return a port that nobody listens on, of those that every kind takes."""
    while True:
        port = random.randrange(20_000, 32_768)  # ktserver takes none beyond
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def _listens(process: subprocess.Popen[bytes], address: Address) -> bool:
    """Wait until a server listens, or has ended because somebody was faster to take the port."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        if answers(address):
            return True
        time.sleep(0.01)
    return False


def answers(address: Address) -> bool:
    """Tell whether somebody listens at an address."""
    try:
        address.connect(1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="session")
def start_kyoto() -> Iterator[Callable[[str], Address]]:
    """Return a function that gives the address of a running server of a kind, the same for all tests."""
    with ExitStack() as servers:

        @cache
        def start(kind: str) -> Address:
            return servers.enter_context(running(kind))

        yield start


@pytest.fixture(scope="session", params=KINDS)
def kyoto(request: pytest.FixtureRequest, start_kyoto: Callable[[str], Address]) -> Address:
    """Return the address of a running server, one of each kind."""
    return start_kyoto(request.param)


@pytest.fixture(scope="session", params=KINDS)
def scripted_kyoto(request: pytest.FixtureRequest) -> Iterator[Address]:
    """Return the address of a running server with the procedures of `SCRIPT`, one of each kind."""
    with running(request.param, "-scr", str(SCRIPT)) as address:
        yield address


@pytest.fixture(scope="session")
def start_tyrant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], Address]]:
    """Return a function that gives the address of a running server of a kind with a database, the same for all tests.

    A database in a file is in a directory that is removed later.
    """
    with ExitStack() as servers:

        @cache
        def start(kind: str, database: str) -> Address:
            path = str(tmp_path_factory.mktemp("tyrant") / database) if "." in database else database
            return servers.enter_context(running(kind, databases=[path]))

        yield start


def pytest_report_header() -> list[str]:
    return [f"Kyoto Tycoon servers: {', '.join(KINDS)}", f"Tokyo Tyrant servers: {', '.join(TYRANT_KINDS)}"]
