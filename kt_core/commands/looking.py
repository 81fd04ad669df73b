"""The commands that look: ``ping``, ``status``, ``report``, ``get``, ``keys``, ``count``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from statistics import median
from typing import Any, Final

from kt_core.commands.console import NEGATIVE, OK, Column, Console
from kt_core.commands.forms import in_time, read_bytes, seconds_left, to_json
from kt_core.commands.places import Place, open_place
from kt_core.commands.places.base import BATCH
from kt_core.sizes import in_bytes
from kt_core.terminal import quoted

_DATABASES: Final = (
    Column("db", str, True),
    Column("records", "{:,}".format, True),
    Column("size", in_bytes, True),
    Column("path"),
)
# What places call the same things.
_ABOUT: Final = {
    "version": ("conf_kt_version", "version"),
    "running": ("serv_running_term", "ru_real"),
    "connections": ("serv_conn_count", "fd"),
    "process": ("serv_proc_id", "pid"),
    "memory": ("sys_mem_rss", "memrss"),
    "max_size": ("max_size",),
    "eviction": ("eviction",),
    "durability": ("durability",),
    "processes": ("processes",),
    "master": ("repl_master_host", "mhost"),
}
_SHOWN: Final = {"running": in_time, "memory": in_bytes, "max_size": in_bytes}


def ping(given: argparse.Namespace, console: Console) -> int:
    """Measure round trips, after one that connects."""
    with closing(open_place(given.at)) as place:
        connecting = milliseconds(place, console)
        took: list[float] = []
        for number in range(1, given.count + 1):
            took.append(milliseconds(place, console))
            if not console.as_json:
                console.terminal.line(f"{given.at} answers: {number} in {took[-1]:.3f} ms")
            if number < given.count:
                console.pause(given.interval)
    times = {"min_ms": min(took), "median_ms": median(took), "max_ms": max(took)}
    facts = {"url": given.at, "count": len(took), "connect_ms": connecting, **times}
    console.tell(
        {name: round(value, 4) if isinstance(value, float) else value for name, value in facts.items()},
        f"{len(took)} round trips: min {min(took):.3f}, median {median(took):.3f}, max {max(took):.3f} ms; "
        f"{connecting:.3f} ms to connect",
        "good",
    )
    return OK


def milliseconds(place: Place, console: Console) -> float:
    """Return what one round trip takes."""
    start = console.timer()
    place.ping()
    return (console.timer() - start) * 1e3


def status(given: argparse.Namespace, console: Console) -> int:
    """Tell what a place is, and which databases it has."""
    with closing(open_place(given.at)) as place:
        if given.details:
            console.facts(place.status())
            return OK
        report = place.report()
        about = {name: report[key] for name, keys in _ABOUT.items() for key in keys if key in report}
        rows = [
            {"db": each["db"], "records": each["count"], "size": each["size"], "path": each["path"]}
            for each in place.databases()
        ]
    if console.as_json:
        console.json({"url": given.at, **about, "databases": rows})
        return OK
    console.facts({"url": given.at, **about}, _SHOWN)
    console.terminal.line()
    console.rows(_DATABASES, rows)
    return OK


def report(given: argparse.Namespace, console: Console) -> int:
    """Tell all that a place tells of itself, or the fields that were asked for."""
    with closing(open_place(given.at)) as place:
        found = place.report()
    absent = [name for name in given.field if name not in found]
    if absent:
        console.aside.line(f"{given.at} tells no {', '.join(absent)}", "bad")
    console.facts({name: found[name] for name in given.field or found if name in found})
    return NEGATIVE if absent else OK


def get(given: argparse.Namespace, console: Console) -> int:
    """Tell values: a single one that goes to a pipe or a file as its bytes."""
    keys = [read_bytes(key, given.escaped) for key in given.key]
    with closing(open_place(given.at)) as place:
        found = {row.key: row for row in place.get_all(keys)}
    rows = [found[key] for key in keys if key in found]
    if console.raw and len(keys) == 1 and not given.int:
        if rows:
            console.stdout.write(rows[0].value)
        return OK if rows else NEGATIVE
    for row in rows:
        if console.as_json:
            told = {"value": place.number(row.value)} if given.int else to_json("value", row.value)
            console.json({**to_json("key", row.key), **told, "ttl": seconds_left(row.expiry, console.clock())})
        else:
            text = f"{place.number(row.value):,}" if given.int else quoted(row.value)
            console.terminal.line(text if len(keys) == 1 else f"{quoted(row.key)}  {text}")
    for key in keys:
        if key not in found:
            console.aside.line(f"{quoted(key)} is not there", "bad")
    return OK if len(rows) == len(keys) else NEGATIVE


def keys(given: argparse.Namespace, console: Console) -> int:
    """List keys, with what is known of their records if that was asked for."""
    prefix = read_bytes(given.prefix, given.escaped)
    regex = None if given.regex is None else given.regex.encode("utf-8", "surrogateescape")
    listed = False
    with closing(open_place(given.at)) as place:
        found = place.keys(prefix, regex, given.limit)
        for facts in _long(place, found, console) if given.long else _short(found):
            listed = True
            key, *others = facts.values()
            if console.as_json:
                console.json(to_json("key", key) | {name: facts[name] for name in facts if name != "key"})
            elif others:
                left, size = others
                console.terminal.line(f"{in_time(left):>9}  {in_bytes(size):>8}  {quoted(key)}")
            else:
                console.terminal.line(quoted(key))
    return OK if listed else NEGATIVE


def _short(keys: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    return ({"key": key} for key in keys)


def _long(place: Place, keys: Iterator[bytes], console: Console) -> Iterator[dict[str, Any]]:
    while some := list(islice(keys, BATCH)):
        now = console.clock()
        for row in place.get_all(some):
            yield {"key": row.key, "ttl": seconds_left(row.expiry, now), "size": len(row.value)}


def count(given: argparse.Namespace, console: Console) -> int:
    """Tell the number of records."""
    with closing(open_place(given.at)) as place:
        number = place.count()
    console.tell({"count": number}, f"{number:,}")
    return OK
