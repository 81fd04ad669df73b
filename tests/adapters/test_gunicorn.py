"""A real gunicorn with an application loaded, and its cache used, before four workers are forked."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.adapters.conftest import AEROSPIKE
from tests.fix_servers import KINDS
from tests.processes import ROOT

_WORKERS, _CLIENTS, _EACH = 4, 8, 60


@pytest.fixture(params=["embedded", *KINDS, *AEROSPIKE])
def location(request: pytest.FixtureRequest, tmp_path: Path, locate: Callable[[str], str]) -> str:
    """Return the location of a cache, for each kind of store."""
    return f"embedded://{tmp_path}/db" if request.param == "embedded" else locate(request.param)


@pytest.fixture
def port(location: str) -> Iterator[int]:
    """The port of the running server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        command = [
            "-m",
            "gunicorn",
            "--preload",
            "--workers",
            str(_WORKERS),
            "--log-level",
            "warning",
            "--no-control-socket",
        ]
        server = subprocess.Popen(
            [sys.executable, *command, f"--bind=fd://{listener.fileno()}", "tests.adapters.preloaded:application"],
            cwd=ROOT,
            env=os.environ | {"CACHE_LOCATION": location},
            pass_fds=[listener.fileno()],
        )
        try:
            yield listener.getsockname()[1]
        finally:
            server.terminate()
            assert server.wait(30) == 0


def _ask(port: int) -> list[int]:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/")
    answer = connection.getresponse()
    assert answer.status == 200
    numbers = [int(word) for word in answer.read().split()]
    connection.close()
    return numbers


def test_preloaded_workers_share_the_cache_under_load(port: int) -> None:
    answers: list[list[int]] = []

    def visit() -> None:
        for _ in range(_EACH):
            answers.append(_ask(port))

    threads = [threading.Thread(target=visit) for _ in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    deadline = time.monotonic() + 30
    while len({worker for _, worker, _ in answers}) < 2 and time.monotonic() < deadline:
        answers.append(_ask(port))  # one worker may have taken all: ask on until another has had its turn

    assert sorted(number for number, _, _ in answers) == list(range(1, len(answers) + 1))
    workers = {worker for _, worker, _ in answers}
    (loader,) = {loaded_in for _, _, loaded_in in answers}
    assert len(workers) > 1
    assert loader not in workers
