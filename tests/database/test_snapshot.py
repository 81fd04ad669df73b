"""A database as it is at one moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from kt_core.database import NEVER, Database, DatabaseOptions, Environment
from kt_core.database.snapshot import Snapshot
from tests.clock import Clock
from tests.processes import running


@pytest.fixture(params=["process", "commit"])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Environment]:
    """Return an environment of two databases, of either durability."""
    options = DatabaseOptions(8 << 20, durability=request.param, databases=2)
    with closing(Environment.open(tmp_path / "d", options, clock=Clock())) as opened:
        yield opened


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "copy"
    path.mkdir()
    return path


def test_it_holds_what_was_there(environment: Environment, directory: Path) -> None:
    first, second = Database(environment, 0), Database(environment, 1)
    expiry = environment.clock.after(10)  # type: ignore[attr-defined]
    rows = [(b"", b"empty", NEVER), (b"k" * 1000, b"long", expiry), (b"plain", b"v" * 100_000, NEVER)]
    first.set_bulk(rows)
    first.set(b"gone", b"", environment.clock.after(-1))  # type: ignore[attr-defined]
    second.set(b"other", b"")
    with closing(Snapshot(environment, directory)) as snapshot:
        first.set(b"plain", b"changed")
        first.set(b"new", b"")
        second.clear()
        assert snapshot.databases == [0, 1]
        assert snapshot.count() == 5
        assert sorted(snapshot.records(0)) == rows
        assert list(snapshot.records(1)) == [(b"other", b"", NEVER)]
    assert first.get(b"plain") == b"changed"


def test_an_empty_database_has_an_empty_one(environment: Environment, directory: Path) -> None:
    with closing(Snapshot(environment, directory)) as snapshot:
        assert (snapshot.count(), list(snapshot.records(0))) == (0, [])


def test_it_is_no_larger_than_its_records(environment: Environment, directory: Path) -> None:
    Database(environment).set(b"key", b"value")
    Snapshot(environment, directory).close()
    assert sum(path.stat().st_size for path in directory.iterdir()) < 100_000


WRITER = """\
import sys
from kt_core.database import Database, DatabaseOptions, Environment, NEVER
database = Database(Environment.open(sys.argv[1], DatabaseOptions(8 << 20, durability=sys.argv[2], databases=2)))
print("ready", flush=True)
number = 0
while True:
    number += 1
    value = b"%d" % number + b"v" * 5000
    database.set_bulk([(b"first", value, NEVER), (b"last", value, NEVER)], atomic=True)
"""


def test_it_is_one_moments_while_others_write(environment: Environment, tmp_path: Path) -> None:
    seen: set[bytes] = set()
    number = count()
    with running(WRITER, environment.directory, environment.options.durability) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        while len(seen) < 5:
            directory = tmp_path / f"copy-{next(number)}"
            directory.mkdir()
            with closing(Snapshot(environment, directory)) as snapshot:
                values = [value for _, value, _ in snapshot.records(0)]
            assert values == values[:1] * len(values)
            seen |= set(values)
