"""Run a site with gunicorn: several worker processes, one cache, and nothing left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from .door import LOCATION, SOCKET

HERE = Path(__file__).resolve().parent
DJANGO, FLASK = "example_project.wsgi", "example_project.flask_app:create_app()"
WORKERS = 2
STOPPING = 5  # seconds that the workers get to end


@dataclass(frozen=True)
class Site:
    host: str
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}/"


@contextmanager
def serve(port: int = 0) -> Iterator[Site]:
    """Serve Django's site on a loopback port (0: any free one) with a new, empty cache."""
    with new_place() as location, running(DJANGO, port, location) as site:
        yield site


@contextmanager
def new_place() -> Iterator[str]:
    """Make a place for a cache, gone with all that is in it at the end; return its location."""
    with TemporaryDirectory(prefix="kt-cache-example-") as folder:
        yield f"embedded://{folder}/cache"


@contextmanager
def running(application: str, port: int, location: str) -> Iterator[Site]:
    """Serve an application on a loopback port (0: any free one); requests may be sent at once."""
    site = _start(application, port, location)
    try:
        yield site
    finally:
        _stop(site.process)


def _start(application: str, port: int, location: str) -> Site:
    environment = {"DJANGO_SETTINGS_MODULE": "example_project.settings", LOCATION: location}
    if application == DJANGO:  # whose live page shows what comes in by the server beside the site
        environment[SOCKET] = f"{location.removeprefix('embedded://')}.sock"
    # The port is bound here and inherited: no one else can take it, and early requests wait in its queue.
    with socket.create_server(("127.0.0.1", port)) as listener:
        # Connections take this over from the listener; without it answers in several pieces stall for 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        descriptor = listener.fileno()
        command = [sys.executable, "-m", "gunicorn", "--config", str(HERE / "gunicorn_conf.py")]
        process = subprocess.Popen(
            [*command, "--bind", f"fd://{descriptor}", "--workers", str(WORKERS), application],
            cwd=HERE.parent,
            env=os.environ | environment,
            pass_fds=[descriptor],
            start_new_session=True,  # Ctrl-C is for our caller, who then has all of these stopped
        )
        return Site(*listener.getsockname(), process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOPPING)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with suppress(ProcessLookupError):  # as it is when all have ended by themselves
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
