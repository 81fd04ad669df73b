"""Run the site with gunicorn: several worker processes, one cache, and nothing left behind."""

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

HERE = Path(__file__).resolve().parent
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
    """Serve on a loopback port (0: any free one) with a new, empty cache; requests may be sent at once."""
    with TemporaryDirectory(prefix="kt-cache-example-") as folder:
        site = _start(port, location=f"embedded://{folder}/cache")
        try:
            yield site
        finally:
            _stop(site.process)


def _start(port: int, location: str) -> Site:
    # The port is bound here and inherited: no one else can take it, and early requests wait in its queue.
    with socket.create_server(("127.0.0.1", port)) as listener:
        # Connections take this over from the listener; without it answers in several pieces stall for 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        descriptor = listener.fileno()
        command = [sys.executable, "-m", "gunicorn", "--config", str(HERE / "gunicorn_conf.py")]
        process = subprocess.Popen(
            [*command, "--bind", f"fd://{descriptor}", "--workers", str(WORKERS)],
            cwd=HERE.parent,
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "example_project.settings", "KT_CACHE_LOCATION": location},
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
