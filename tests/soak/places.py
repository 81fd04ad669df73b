"""The places of a soak: which stores are opened, what runs behind them, and what they promise."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kt_core.transport import Address
from tests.aerospike.server import Cluster
from tests.fix_aerospike import AEROSPIKE_KINDS, serving
from tests.fix_servers import answers, free_port
from tests.soak.model import Promise

_PATIENCE: Final = 30  # seconds


@dataclass(frozen=True)
class Place:
    """A store to be soaked.

    `shift` is by how many seconds the clock of some workers may be wrong; the promise allows for it where it counts.
    """

    url: str
    promise: Promise
    command: tuple[str, ...] = ()
    options: dict[str, object] = field(default_factory=dict)
    shift: float = 0.0
    linger: float = 0.0
    given: bool = False
    """Whether its server runs anyway, and is not to be harmed."""

    def server(self, folder: Path) -> Server | Node | None:
        """Return what is to run behind it, if anything is."""
        if self.command:
            return Server(self, folder)
        return Node() if self.url.startswith("aerospike") and not self.given else None

    @property
    def found(self) -> bool:
        """Whether this machine has what it takes."""
        if self.url.startswith("aerospike"):
            return bool(AEROSPIKE_KINDS)
        return not self.command or shutil.which(self.command[0]) is not None


_BUNDLED: Final = (sys.executable, "-m", "kt_core.server")
_LISTEN: Final = ("-host", "127.0.0.1", "-port", "{port}", "-le")
_LINGER: Final = 6.0
_SHIFT: Final = 0.5
_WHOLE: Final = Promise(early=0.01, late=2.1)  # Kyoto Tycoon and Aerospike keep whole seconds

PLACES: Final[dict[str, Place]] = {
    "embedded": Place(
        "embedded://{folder}/data/cache",
        Promise(early=_SHIFT, evicts=True),
        options={"max_size": "4MiB"},
        shift=_SHIFT,
    ),
    "embedded-commit": Place(
        "embedded://{folder}/data/sessions",
        Promise(early=_SHIFT),
        options={"max_size": "32MiB", "durability": "commit", "eviction": "none"},
        shift=_SHIFT,
    ),
    "kt": Place(
        "kt://127.0.0.1:{port}",
        _WHOLE,
        (*_BUNDLED, *_LISTEN, "{folder}/data/soak.kct"),
        shift=_SHIFT,
        linger=_LINGER,
    ),
    "ktserver": Place(
        "kt://127.0.0.1:{port}",
        Promise(_WHOLE.early, _WHOLE.late, forgets=True),
        ("ktserver", *_LISTEN, "*"),
        shift=_SHIFT,
        linger=_LINGER,
    ),
    "tt": Place(
        "tt://127.0.0.1:{port}",
        Promise(early=_SHIFT, late=0.01),
        (*_BUNDLED, "--tyrant", *_LISTEN, "{folder}/data/soak.tch"),
        shift=_SHIFT,
        linger=_LINGER,
    ),
    "ttserver": Place(
        "tt://127.0.0.1:{port}",
        Promise(early=_SHIFT, late=0.01, forgets=True),
        ("ttserver", *_LISTEN, "*"),
        shift=_SHIFT,
        linger=_LINGER,
    ),
    "aerospike": Place("aerospike://127.0.0.1:{port}/test/soak", _WHOLE, shift=_SHIFT, linger=_LINGER),
}
if "real" in AEROSPIKE_KINDS:
    with serving("real") as _real:
        PLACES["aerospike-real"] = Place(_real.url("soak-{run}"), _WHOLE, shift=_SHIFT, linger=_LINGER, given=True)


class Server:
    """The process behind a place, at a port that it keeps."""

    def __init__(self, place: Place, folder: Path) -> None:
        self.address = Address(port=free_port())
        self._command = [part.format(folder=folder, port=self.address.port) for part in place.command]
        self.process: subprocess.Popen[bytes] | None = None
        self._log = folder / "server.log"

    def start(self) -> None:
        """Start it and wait until it listens."""
        with self._log.open("ab") as log:
            # ktserver and ttserver write what they do to their output.
            self.process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + _PATIENCE
        while not answers(self.address):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self._command} does not start: {self._log}")
            time.sleep(0.02)

    def kill(self) -> None:
        """End it at once."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def pause(self, wait: Callable[[], None]) -> None:
        """Let it stand still as long as `wait` takes."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            wait()
        finally:
            self.process.send_signal(signal.SIGCONT)


class Node:
    """The Aerospike test server, of which the node is stopped and started; its records stay."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.cluster.__enter__()
        self.address = Address(*self.cluster.hosts[0])

    def kill(self) -> None:
        self.cluster.__exit__(None, None, None)
