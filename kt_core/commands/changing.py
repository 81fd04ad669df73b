"""The commands that change single records, or remove them all: ``set``, ``incr``, ``del``, ``clear``."""

from __future__ import annotations

import argparse
import json
from base64 import b64decode
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from typing import Final

from kt_core.commands.console import NEGATIVE, OK, Console
from kt_core.commands.forms import read_bytes
from kt_core.commands.places import Row, open_place
from kt_core.commands.places.base import BATCH
from kt_core.database import NEVER
from kt_core.errors import InvalidInput

STANDARD: Final = "-"
"""Stands for standard input, or output."""


def set_(given: argparse.Namespace, console: Console) -> int:
    """Store a value, from the command line or from standard input."""
    if given.value is None or (given.value == STANDARD and not given.escaped):
        value = console.stdin.read()
    else:
        value = read_bytes(given.value, given.escaped)
    expiry = _expiry(given, console)
    with closing(open_place(given.at, create=True)) as place:
        place.put([Row(read_bytes(given.key, given.escaped), value, NEVER if expiry is None else expiry)])
    console.tell({"stored": 1, "size": len(value)}, f"stored, {len(value):,} bytes", "good")
    return OK


def _expiry(given: argparse.Namespace, console: Console) -> int | None:
    """Return the expiry in milliseconds that was asked for, None for none."""
    if given.xt is not None:
        return int((given.xt + 1) * 1000)  # it is seen to the end of that second
    return None if given.ttl is None else int((console.clock() + given.ttl) * 1000)


def incr(given: argparse.Namespace, console: Console) -> int:
    """Add to a counter."""
    with closing(open_place(given.at, create=True)) as place:
        key = read_bytes(given.key, given.escaped)
        total = place.increment(key, given.number, given.start, _expiry(given, console))
    console.tell({"value": total}, f"{total:,}")
    return OK


def delete(given: argparse.Namespace, console: Console) -> int:
    """Remove records, by the keys on the command line or those that ``kt keys`` has listed."""
    if STANDARD in given.key and len(given.key) > 1:
        raise InvalidInput("write the keys, or - alone for those on standard input")
    keys = _listed(console.stdin) if given.key == [STANDARD] else (read_bytes(key, given.escaped) for key in given.key)
    removed = asked = 0
    with closing(open_place(given.at)) as place:
        while some := list(islice(keys, BATCH)):
            removed += place.remove(some)
            asked += len(some)
            console.progress(asked, None)
    console.end()
    console.tell({"removed": removed}, f"{removed:,} removed", "good" if removed == asked else "")
    return OK if removed == asked else NEGATIVE


def _listed(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the keys in lines as ``kt keys`` writes them, or the lines themselves where they are no JSON."""
    for line in lines:
        line = line.removesuffix(b"\n")
        if not line.startswith(b"{"):
            yield line
            continue
        try:
            row = json.loads(line)
            yield b64decode(row["key_base64"], validate=True) if "key_base64" in row else row["key"].encode()
        except (ValueError, KeyError, AttributeError):
            raise InvalidInput(f'{line!r} names no key: write {{"key": "..."}} a line, as kt keys does') from None


def clear(given: argparse.Namespace, console: Console) -> int:
    """Remove every record of a database."""
    with closing(open_place(given.at)) as place:
        count = place.count()
        question = f"Remove all {count:,} records of {given.at}?"
        if not (given.yes or console.aside.confirm(question, "--yes")):
            console.tell({"removed": 0}, "nothing was removed")
            return NEGATIVE
        place.clear()
    console.tell({"removed": count}, f"{count:,} removed", "good")
    return OK
