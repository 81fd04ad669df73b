"""Servers that follow each other, as programs that can be killed and started again."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from kt_core.transport import Address
from kt_core.wire.kt_binary import GetBulk, ReplyDecoder, encode_request
from kt_core.wire.kt_binary import GetReply as Found
from tests.fix_servers import answers, free_port
from tests.processes import ROOT
from tests.server.exchange import Wire

_COMMANDS = {"bundled": [sys.executable, "-m", "kt_core.server", "-spin", "0"], "ktserver": ["ktserver"]}
_PATIENCE = 30  # seconds


class Node:
    """A server of some kind, which keeps its port and its files."""

    def __init__(
        self,
        kind: str,
        directory: Path,
        sid: int,
        *databases: str,
        master: Node | None = None,
        log: Path | None = None,
    ) -> None:
        self.address = Address(port=free_port())
        self.directory = directory / f"{kind}{sid}"
        self.directory.mkdir()
        self._databases = databases
        self._command = [*_COMMANDS[kind], "-host", "127.0.0.1", "-port", str(self.address.port), "-le"]
        self.log = log or self.directory / "log"
        self._command += ["-sid", str(sid), "-ulog", str(self.log), "-rts", str(self.directory / "rts")]
        if master is not None:
            self.follow(master)

    def follow(self, master: Node) -> None:
        """Have it follow a master from its next start on."""
        self._command += ["-mhost", master.address.host, "-mport", str(master.address.port)]

    def __enter__(self) -> Node:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Run it; it listens."""
        databases = [str(self.directory / name) if "." in name else name for name in self._databases]
        self._process = subprocess.Popen([*self._command, *databases], cwd=ROOT, stdout=subprocess.DEVNULL)
        await_(lambda: self._process.poll() is not None or answers(self.address))
        assert self._process.poll() is None, "it does not start"

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait(_PATIENCE)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(_PATIENCE)

    def wire(self) -> Wire:
        """Connect to it."""
        return Wire((self.address.host, self.address.port))

    def records(self, database: int = 0) -> dict[bytes, tuple[bytes, int]]:
        """Return value and expiry of every record; none while it cannot be asked."""
        with suppress(OSError, AssertionError), self.wire() as wire:
            ranks = wire.call("match_prefix", prefix="", DB=database).values
            keys = [name[1:] for name in ranks if name[:1] == b"_"]
            decoder = ReplyDecoder(Found)
            found = decoder.feed(wire.ask(encode_request(GetBulk([(database, key) for key in keys]))))
            assert isinstance(found, Found)
            return {key: (value, xt) for _, key, value, xt in found.records}
        return {}


def await_(condition: Callable[[], object]) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.01)
