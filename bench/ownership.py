"""What kt-cache costs before it does anything: starting Django with it, memory a process, an entry and a connection."""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.report import Report, Setting, figure, table
from bench.servers import BUNDLED, NO_KEYS, NO_RECORDS
from kt_core.database import Database, DatabaseOptions, Environment

BACKENDS = {
    "LocMemCache": "django.core.cache.backends.locmem.LocMemCache",
    "KTCache": "kt_cache.django.KTCache",
}
IMPORTS = ("django.core.cache", "kt_cache.django", "flask_caching", "kt_cache.flask.cache", "kt_core")
CONNECTIONS = 1_000
ENTRIES, VALUE_SIZE = 100_000, 200

_IMPORT = """
from time import process_time
start = process_time()
import {module}
print(process_time() - start)
"""
_OPEN = """
from pathlib import Path
from time import process_time
from kt_core.database import Database, Environment
start = process_time()
Database(Environment.open(Path({place!r}))).set(b"key", b"value")
print(process_time() - start)
"""
_START = """
from time import process_time
start = process_time()
import django
from django.conf import settings
settings.configure(SECRET_KEY="s", BASE_DIR={folder!r}, INSTALLED_APPS=[
    "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
    "django.contrib.messages"],
    CACHES={{"default": {{"BACKEND": {backend!r}, "LOCATION": {location!r}}}}})
django.setup()
from django.core.cache import cache
cache.set("key", "value")
assert cache.get("key") == "value"
print(process_time() - start)
for line in open("/proc/self/smaps_rollup"):
    name, _, rest = line.partition(":")
    if name in ("Rss", "Pss", "Private_Clean", "Private_Dirty"):
        print(name, int(rest.split()[0]))
"""


@dataclass
class Start:
    """Django's starts with one backend: seconds of processor time, and KiB of memory after the first use."""

    seconds: list[float] = field(default_factory=list)
    memory: dict[str, list[int]] = field(default_factory=dict)

    def median(self, *names: str) -> float:
        """MiB of these kinds of memory together."""
        return sum(median(self.memory[name]) for name in names) / 1024


@dataclass
class Results:
    """What was seen."""

    imports: dict[str, list[float]] = field(default_factory=dict)
    opening: dict[str, list[float]] = field(default_factory=dict)
    starts: dict[str, Start] = field(default_factory=dict)
    entry: float = 0.0  # bytes of live pages an entry
    connection: float = 0.0  # bytes of the server a connection


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--processes", metavar="N", type=int, help="how many of each kind (default: 21, or 7 if quick)")


def measure(options: argparse.Namespace, folder: Path, stack: ExitStack, say: Callable[[str], None]) -> Report:
    results = Results()
    rounds = options.processes or (7 if options.quick else 21)
    _round(Results(), folder, "warm")  # compiles what is imported, and makes the databases that the others find
    for number in range(rounds):
        say(f"ownership: round {number + 1} of {rounds}")
        _round(results, folder, str(number))
    results.entry = _entry(folder / "entries")
    results.connection = _connection()
    return report(results, options.setting)


def _round(results: Results, folder: Path, name: str) -> None:
    """Start one process of each kind."""
    for module in IMPORTS:
        (seconds,) = _python(_IMPORT.format(module=module))
        results.imports.setdefault(module, []).append(float(seconds))
    for title, place in (("a new one", f"new-{name}"), ("one that is there", "there")):
        (seconds,) = _python(_OPEN.format(place=str(folder / place)))
        results.opening.setdefault(title, []).append(float(seconds))
    for title, backend in BACKENDS.items():
        location = f"embedded://{folder}/start" if title == "KTCache" else "start"
        seconds, *kinds = _python(_START.format(folder=str(folder), backend=backend, location=location))
        start = results.starts.setdefault(title, Start())
        start.seconds.append(float(seconds))
        for kind in kinds:
            memory, _, size = kind.partition(" ")
            start.memory.setdefault(memory, []).append(int(size))


def _python(code: str) -> list[str]:
    # Compiled modules are kept, as every site's are.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout.splitlines()


def _entry(place: Path) -> float:
    """Fill a database; return what an entry takes in it."""
    database = Database(Environment.open(place, DatabaseOptions(512 << 20, "process", "none", 1)), 0)
    for number in range(ENTRIES):
        database.set(b"key:%016d" % number, b"v" * VALUE_SIZE)
    return database.size() / ENTRIES


def _connection() -> float:
    """Open connections to a server of its own, and use each; return what one takes there."""
    with BUNDLED.run() as address, ExitStack() as stack:
        _ask(address.port, stack)
        before = _resident(address.port)
        for _ in range(CONNECTIONS):
            _ask(address.port, stack)
        return (_resident(address.port) - before) / CONNECTIONS


def _ask(port: int, stack: ExitStack) -> None:
    client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5.0))
    client.sendall(NO_KEYS)
    assert client.recv(64) == NO_RECORDS


def _resident(port: int) -> int:
    """Bytes of memory of the server on a port, as far as they are its own."""
    from kt_core import KyotoTycoon

    with KyotoTycoon("127.0.0.1", port) as client:
        process = client.report().process_id
    text = Path(f"/proc/{process}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_")) * 1024


def report(results: Results, setting: Setting) -> Report:
    basis = results.starts["LocMemCache"]
    added = [own - other for own, other in zip(results.starts["KTCache"].seconds, basis.seconds, strict=True)]
    return Report(
        "ownership",
        [
            setting.section(),
            "## Starting",
            "Fresh processes that take turns; medians of processor time, the system's included. Django's start ends "
            "after the first set and get.",
            table(
                ["what", "ms"],
                [
                    *([f"`import {name}`", figure(1e3 * median(each))] for name, each in results.imports.items()),
                    *(
                        [f"opening an embedded database, {title}, and the first write", figure(1e3 * median(each))]
                        for title, each in results.opening.items()
                    ),
                    *(
                        [f"Django with {name}", figure(1e3 * median(each.seconds))]
                        for name, each in results.starts.items()
                    ),
                    ["what KTCache adds to Django's start", figure(1e3 * median(added))],
                ],
            ),
            "## Memory of a process",
            "After the first set and get, MiB: all pages, shared ones in parts, those of the process alone.",
            table(
                ["backend", "RSS", "PSS", "USS"],
                [
                    [
                        name,
                        figure(each.median("Rss")),
                        figure(each.median("Pss")),
                        figure(each.median("Private_Clean", "Private_Dirty")),
                    ]
                    for name, each in results.starts.items()
                ],
            ),
            "## Memory of what is kept",
            table(
                ["what", "bytes"],
                [
                    [
                        f"an entry: a key of 20 bytes, a value of {VALUE_SIZE}, {ENTRIES:,} of them",
                        figure(results.entry),
                    ],
                    [f"a connection to the bundled server, {CONNECTIONS:,} of them", figure(results.connection)],
                ],
            ),
        ],
    )
