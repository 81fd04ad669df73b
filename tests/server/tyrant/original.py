"""The original server, where there is one on PATH."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.server.tyrant.asking import Asker

_PATIENCE = 30  # seconds for a server to start, or to end


@contextmanager
def original(name: str, *flags: str) -> Iterator[tuple[str, int]]:
    """Run the original on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = probe.getsockname()
    command = ["ttserver", "-host", address[0], "-port", str(address[1]), "-le", *flags, name]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and process.poll() is None:
            try:
                Asker(address).close()
                break
            except OSError:
                time.sleep(0.01)
        yield address
    finally:
        process.terminate()
        process.wait(_PATIENCE)
