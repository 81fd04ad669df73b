"""Servers with a port for memcached's clients, and conversations on it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from kt_core.server import Server
from kt_core.server.memcached import MemcachedOptions
from kt_core.transport import Address
from tests.fix_servers import KINDS, answers, free_port, running
from tests.server.exchange import Wire
from tests.server.running import serving

Conversation = Sequence[tuple[bytes, bytes]]
"""What is sent, and what comes back; an empty reply is none."""


def plug_in(kind: str) -> Path:
    """Return where the plug-in of a server is; the bundled one needs none."""
    found = shutil.which("ktserver")
    if kind == "bundled" or found is None:
        return Path("ktplugservmemc.so")
    return Path(found).resolve().parent.parent / "libexec" / "ktplugservmemc.so"


PLUGGED = [kind for kind in KINDS if kind == "bundled" or plug_in(kind).exists()]
"""The kinds of servers that have clients of memcached."""


@contextmanager
def plugged(kind: str, options: str) -> Iterator[tuple[str, int]]:
    """Run a server of a kind; yield where memcached's clients are served."""
    port = free_port()
    flags = ["-plsv", str(plug_in(kind)), "-plex", f"port={port}#{options}"]
    with running(kind, *flags, databases=["%"]) as address:
        beside = Address(address.host, port)
        while not answers(beside):  # the original listens there a little later
            time.sleep(0.01)
        yield address.host, port


@contextmanager
def serving_memcached(*databases: str, clock: Any = None, **options: Any) -> Iterator[Server]:
    """Run a server in a thread, as `serving` does; the options are those for memcached's clients."""
    more = {} if clock is None else {"clock": clock}
    with serving(*databases, memcached=MemcachedOptions(port=0, **options), **more) as server:
        yield server


def connect(server: Server) -> Wire:
    """Connect to it as a client of memcached."""
    return Wire(("127.0.0.1", server.memcached_port))


def ask(wire: Wire, request: bytes) -> bytes:
    """Send a request, and return the reply up to the end of the line that ends it; whatever comes before a hang-up."""
    wire.send(request)
    received = b""
    ends = (b"END\r\n",) if request.startswith((b"get", b"stats")) else (b"\r\n",)
    while not received.endswith(ends):
        byte = wire.read(1)
        if not byte:
            break
        received += byte
    return received


def hold(wire: Wire, conversation: Conversation) -> None:
    """Have a conversation."""
    for sent, reply in conversation:
        wire.send(sent)
        assert (sent, wire.read(len(reply))) == (sent, reply)
    patience = wire.socket.gettimeout()
    wire.socket.settimeout(0.02)
    with suppress(TimeoutError):
        assert not wire.read(1)
    wire.socket.settimeout(patience)
