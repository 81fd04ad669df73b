"""A disk that fills up under a server: writes are refused, nothing is lost, and all is well once there is room."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import small_disk

_CODE = """
import json, sys
from pathlib import Path
from kt_cache.options import Options
from kt_cache.stores import open_store
from kt_core.errors import KTError
from kt_core.server.tyrant.updates import Reader
from tests.fix_servers import running
place, kind, scheme, database, *arguments = Path(sys.argv[1]), *sys.argv[2:]
arguments = [argument.format(place=place) for argument in arguments]
possible, refused = {}, []
def write(store, numbers):
    refused.append(0)
    for number in numbers:
        key, value = b"key%d" % (number % 500), b"%d" % number * 60
        try:
            store.set(key, value, None)
            possible[key] = {value}
        except KTError:
            refused[-1] += 1
            possible.setdefault(key, {None}).add(value)  # made, it may be, and not in the log
def wrong(store):
    return sum(store.get(key) not in values for key, values in possible.items())
def serving():
    return running(kind, *arguments, databases=[str(place / database)])
def opened(address):
    options = {"on_error": "raise", "timeout": 30}
    return open_store(Options.parse(f"{scheme}://{address.host}:{address.port}", options, default_name=""))
with serving() as address:
    store = opened(address)
    write(store, range(300))
    for _ in range(2):
        with filled(place):
            write(store, range(1000, 1100))
            mistaken = wrong(store)
        write(store, range(2000, 2100))
with serving() as address:
    mistaken += wrong(opened(address))
if kind == "bundled tyrant" and arguments:
    assert all(record.time for record in Reader(place / "log", 0).read())
print(json.dumps({"refused": refused, "wrong": mistaken}))
"""


@pytest.mark.parametrize(
    ("kind", "scheme", "database", "arguments"),
    [
        ("bundled", "kt", "db.kct", ()),
        ("bundled", "kt", "db.kct", ("-ulog", "{place}/log", "-sid", "1")),
        ("bundled tyrant", "tt", "db.tch", ()),
        ("bundled tyrant", "tt", "db.tch", ("-ulog", "{place}/log", "-sid", "1")),
    ],
)
def test_it_serves_again(tmp_path: Path, kind: str, scheme: str, database: str, arguments: tuple[str, ...]) -> None:
    found = small_disk.run(_CODE, tmp_path, "8m", kind, scheme, database, *arguments)
    refused = found["refused"]
    assert isinstance(refused, list)
    assert refused[1] > 0  # with the disk full; before and after it, none
    assert (refused[0], *refused[2::2]) == (0, 0, 0)
    assert found["wrong"] == 0
