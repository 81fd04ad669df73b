"""Clients of a server that is killed under them, and what they know to be stored.

`python -m tests.server.killing HOST PORT NAME FIRST` stores numbered records, one and ten at a time, until the server
is gone, and writes the last number that was acknowledged.
"""

from __future__ import annotations

import sys
from contextlib import suppress

from kt_core.wire.kt_binary import NEVER_XT, SetBulk, encode_request
from tests.server.exchange import Wire

BULK = 10


def value_of(number: int) -> bytes:
    """Return the value of a record, of 40 bytes to 3 kB."""
    return b"%040d" % number * (1 + number % 75)


def store(wire: Wire, name: str, first: int) -> int:
    """Store the next records, and return the number of the last one."""
    count = BULK if first % 7 == 0 else 1
    keys = range(first, first + count)
    records = [(0, f"{name}/{key}".encode(), value_of(key), NEVER_XT) for key in keys]
    if wire.ask(encode_request(SetBulk(records))) != b"\xb8" + count.to_bytes(4, "big"):
        raise OSError("there was no acknowledgement")
    return keys[-1]


def main(host: str, port: str, name: str, first: str) -> None:
    """Store records until there is no server."""
    acknowledged = int(first)
    with suppress(OSError), Wire((host, int(port))) as wire:
        while True:
            acknowledged = store(wire, name, acknowledged + 1)
    sys.stdout.write(f"{acknowledged}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
