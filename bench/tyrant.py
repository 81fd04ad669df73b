"""The client of Tokyo Tyrant beside a bare socket: microseconds of a get and a set on each server found."""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import calls
from bench.calls import Batch, Operation, Samples
from bench.client import FULL, KEYS, QUICK, VALUE
from bench.report import Report, Setting, left_out, medians, ratios, table
from bench.servers import Program

# Whether there is a record under the empty key, and that there is none.
NO_KEY, NO_RECORD = b"\xc8\x38" + bytes(4), b"\1"
LISTEN = ("-host", "127.0.0.1", "-port", "{port}", "-le", "*")
SERVERS = (
    Program("bundled server", (sys.executable, "-m", "kt_core.server", "--tyrant", *LISTEN), NO_KEY, NO_RECORD),
    Program("ttserver", ("ttserver", *LISTEN), NO_KEY, NO_RECORD),
)
CLIENTS = ("TokyoTyrant", "bare socket")


class Bare:
    """Sends requests that are packed beforehand, and takes what comes for the whole reply."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def exchange(self, requests: Iterable[bytes]) -> None:
        send, receive = self._socket.sendall, self._socket.recv
        for request in requests:
            send(request)
            receive(1 << 16)

    def close(self) -> None:
        self._socket.close()


def add_options(parser: argparse.ArgumentParser) -> None:
    """There are none but the common ones."""


def measure(options: argparse.Namespace, folder: Path, stack: ExitStack, say: Callable[[str], None]) -> Report:
    extent = QUICK if options.quick else FULL
    notes: list[str] = []
    batches: dict[str, list[Batch[Any]]] = {}
    for server in SERVERS:
        try:
            port = stack.enter_context(server.run()).port
        except (OSError, RuntimeError) as error:
            notes.append(left_out(server.name, str(error)))
            say(notes[-1])
            continue
        for client, own in zip(CLIENTS, _entrants(port, stack, extent.batch_seconds), strict=True):
            batches[f"{client} on {server.name}"] = own
    return report(calls.take_turns(batches, extent.rounds, say), options.setting, notes)


def _entrants(port: int, stack: ExitStack, seconds: float) -> Iterator[list[Batch[Any]]]:
    """Yield the batches of each client; the stack closes it."""
    from kt_core.tyrant import TokyoTyrant
    from kt_core.wire import tt_messages as tt
    from kt_core.wire.tt_binary import encode_request

    client = stack.enter_context(TokyoTyrant(port=port, serializer="none"))
    gets, sets = Operation("get", _get, KEYS), Operation("set", _set, KEYS)
    _set(client, KEYS)
    yield [Batch(operation, client, seconds) for operation in (gets, sets)]
    bare = Bare(port)
    stack.callback(bare.close)
    requests = {
        "get": [encode_request(tt.Get(key.encode())) for key in KEYS],
        "set": [encode_request(tt.Put(key.encode(), VALUE)) for key in KEYS],
    }
    yield [Batch(Operation(title, Bare.exchange, packed), bare, seconds) for title, packed in requests.items()]


def _get(client: Any, keys: Iterable[str]) -> None:
    call = client.get
    for key in keys:
        call(key)


def _set(client: Any, keys: Iterable[str]) -> None:
    call = client.set
    for key in keys:
        call(key, VALUE)


def report(samples: Samples, setting: Setting, notes: list[str]) -> Report:
    return Report("tyrant", [setting.section("Servers: in memory, no persistence", *notes), *_sections(samples)])


def _sections(samples: Samples) -> Iterator[str]:
    if not samples:
        return
    header, columns = ["", *samples], list(samples.values())
    names = list(columns[0])
    yield "## The client of Tokyo Tyrant"
    yield (
        f"Median microseconds of a call over TCP: {len(KEYS):,} keys of text, values of {len(VALUE)} bytes which "
        "nothing serializes. The bare socket sends requests that are packed already and looks at no reply."
    )
    yield table(header, (medians(name, columns, name) for name in names))
    yield "The same as ratios (median of the ratios within each round):"
    pairs = [(f"{CLIENTS[0]} on {server.name}", f"{CLIENTS[1]} on {server.name}") for server in SERVERS]
    yield table(header, (ratios(f"{own} / {other}", columns, own, other) for own, other in pairs if own in names))
