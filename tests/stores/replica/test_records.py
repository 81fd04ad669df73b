"""A copy is written as the log tells, with the place in the log that it stands for, and says so when it is none."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kt_cache.stores.replica.records import Master, Records, may_be_filled
from kt_cache.stores.replica.words import EPOCH, REACHED, is_whole
from kt_core.database import NEVER, Database, Environment
from kt_core.errors import InvalidInput, StoreFull
from kt_core.wire.kt_binary import XT_MAX
from kt_core.wire.kt_log import Change, Clear, LogRecord, Remove, Set
from tests.processes import running
from tests.stores.replica.conftest import opened

MASTER = Master("db1:1978/0", 71, 1_700_000_000.25)


def told(*changes: Change, first: int = 10) -> list[LogRecord]:
    return [LogRecord(ts, 1, change) for ts, change in enumerate(changes, first)]


def stored(key: bytes, value: bytes, xt: int | None = XT_MAX) -> Set:
    return Set(0, key, value, xt)


@pytest.fixture
def records(environment: Environment) -> Records:
    """Return a copy that is being filled."""
    records = Records(environment)
    records.begin(MASTER, 5)
    return records


@pytest.fixture
def database(environment: Environment) -> Database:
    return Database(environment)


def everything(database: Database) -> dict[bytes, bytes]:
    return {key: record.value for key, record in database.scan()}


# -- what the log tells ----------------------------------------------------------------------------------------


def test_changes_are_made_in_their_order(records: Records, database: Database) -> None:
    records.apply(told(stored(b"a", b"1"), stored(b"a", b"2"), stored(b"b", b"3"), Remove(0, b"b")), 13)
    assert everything(database) == {b"a": b"2"}
    records.apply(told(stored(b"c", b"4"), Clear(0), stored(b"d", b"5"), first=14), 16)
    assert everything(database) == {b"d": b"5"}


def test_what_was_found_on_the_master_is_stored(records: Records, database: Database) -> None:
    records.add([(b"", b"", XT_MAX), (b"k" * 600, b"v", XT_MAX)])
    assert everything(database) == {b"": b"", b"k" * 600: b"v"}


@pytest.mark.parametrize(
    ("xt", "expiry"),
    [(None, NEVER), (XT_MAX, NEVER), (XT_MAX - 1, XT_MAX * 1000), (1_900_000_000, 1_900_000_001_000)],
)
def test_a_record_is_seen_until_its_second_is_over(
    records: Records, database: Database, xt: int | None, expiry: int
) -> None:
    records.apply(told(stored(b"k", b"v", xt)), 10)
    found = database.get_record(b"k")
    assert found is not None
    assert found.expiry == expiry


@pytest.mark.parametrize("ahead", [2.0, -2.0])
def test_it_is_the_masters_second(records: Records, database: Database, ahead: float) -> None:
    records.ahead = ahead
    records.apply(told(stored(b"k", b"v", 1_900_000_000)), 10)
    found = database.get_record(b"k")
    assert found is not None
    assert found.expiry == 1_900_000_001_000 - ahead * 1000


# -- what the copy is --------------------------------------------------------------------------------------------


def test_it_is_a_copy_once_it_is_finished(records: Records, environment: Environment) -> None:
    assert not environment.words[EPOCH] & 1
    records.finish(77)
    assert environment.words[EPOCH] & 1
    assert environment.words[REACHED] == 77
    assert is_whole(environment.words)


def test_begun_anew_it_is_none_and_empty(records: Records, environment: Environment, database: Database) -> None:
    records.apply(told(stored(b"k", b"v")), 10)
    records.finish(1)
    epoch = environment.words[EPOCH]
    records.begin(MASTER, 5)
    assert environment.words[EPOCH] == epoch + 1
    assert everything(database) == {}
    records.finish(2)
    assert environment.words[EPOCH] == epoch + 2


def test_nothing_is_written_before_it_is_begun(environment: Environment) -> None:
    with pytest.raises(InvalidInput, match="begin"):
        Records(environment).apply(told(Clear(0)), 10)
    with pytest.raises(InvalidInput, match="begin"):
        Records(environment).finish(1)


def test_another_follower_goes_on_where_the_records_are(records: Records, environment: Environment) -> None:
    records.apply(told(stored(b"k", b"v")), 99)
    records.finish(1)
    assert Records(environment).resume(MASTER) == 99
    records.apply([], 100)
    assert Records(environment).resume(replace(MASTER, started=MASTER.started + 1e-6)) == 100


OTHERS = {
    "process": replace(MASTER, process=72),
    "start": replace(MASTER, started=MASTER.started + 0.5),
    "database": replace(MASTER, database="db1:1978/1"),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_another_master_needs_another_copy(records: Records, environment: Environment, other: Master) -> None:
    records.finish(1)
    assert Records(environment).resume(other) is None


def test_what_was_not_finished_is_not_gone_on_with(records: Records, environment: Environment) -> None:
    records.apply(told(stored(b"k", b"v")), 99)
    assert Records(environment).resume(MASTER) is None


def test_what_another_version_wrote_is_not_gone_on_with(records: Records, environment: Environment) -> None:
    records.finish(1)
    Database(environment, 1).set(b"place", b"{}")
    assert Records(environment).resume(MASTER) is None


def test_given_up_it_is_no_copy(records: Records, environment: Environment) -> None:
    records.finish(1)
    records.abandon()
    assert not environment.words[EPOCH] & 1
    assert records.resume(MASTER) is None


def test_with_a_new_control_file_its_age_is_not_known(tmp_path: Path) -> None:
    with opened(tmp_path) as environment:
        records = Records(environment)
        records.begin(MASTER, 5)
        records.apply(told(stored(b"k", b"v")), 9)
        records.finish(1 << 60)
    with opened(tmp_path, 32 << 20) as environment:  # another size makes it anew
        assert not environment.words[EPOCH] & 1
        assert Records(environment).resume(MASTER) == 9
        assert environment.words[EPOCH] & 1
        assert environment.words[REACHED] < 0
        assert not is_whole(environment.words)
        assert Database(environment).get(b"k") == b"v"


# -- little room ---------------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Environment]:
    with opened(tmp_path / "small", 1 << 20) as environment:
        yield environment


def test_what_finds_no_room_makes_it_less_than_whole(small: Environment) -> None:
    records = Records(small)
    records.begin(MASTER, 5)
    records.apply(told(stored(b"k", b"old"), stored(b"other", b"v")), 11)
    assert is_whole(small.words)
    records.apply(told(stored(b"k", b"x" * 500_000), stored(b"more", b"v")), 12)
    assert everything(Database(small)) == {b"other": b"v", b"more": b"v"}
    records.finish(1)
    assert not is_whole(small.words)


def test_evicting_makes_it_less_than_whole(small: Environment) -> None:
    records = Records(small)
    records.begin(MASTER, 5)
    records.apply(told(*(stored(b"%d" % number, b"v" * 1000) for number in range(2000))), 3000)
    records.finish(1)
    assert not is_whole(small.words)
    assert Database(small).get(b"1999") == b"v" * 1000


def test_filled_anew_it_is_whole_again(small: Environment) -> None:
    test_evicting_makes_it_less_than_whole(small)
    records = Records(small)
    records.begin(MASTER, 5)
    records.finish(1)
    assert is_whole(small.words)


def test_a_database_that_was_damaged_is_no_copy(records: Records, environment: Environment) -> None:
    records.finish(1)
    environment.control.mark_bypassed(True)
    with pytest.raises(StoreFull, match="damaged"):
        records.apply([], 20)


def test_a_database_with_records_of_its_own_is_none_to_be_filled(environment: Environment) -> None:
    assert may_be_filled(environment)
    Database(environment).set(b"k", b"v")
    assert not may_be_filled(environment)
    Records(environment).begin(MASTER, 5)
    assert may_be_filled(environment)


# -- bad days ------------------------------------------------------------------------------------------------

_WRITE = """
import sys
from kt_cache.stores.replica.records import Master, Records, open_environment
from kt_core.wire.kt_log import LogRecord, Set

records = Records(open_environment(sys.argv[1], 16 << 20))
records.begin(Master("db1:1978/0", 71, 1_700_000_000.25), 0)
records.finish(1)
ts = 0
while True:
    changes = [LogRecord(ts + n, 1, Set(0, b"%d" % (n % 7), b"%d" % (ts + n), None)) for n in range(1, 300)]
    ts += 299
    records.apply(changes, ts)
    print(ts, flush=True)
"""


def test_killed_at_any_time_the_place_is_that_of_the_records(tmp_path: Path) -> None:
    for turn in range(5):
        directory = tmp_path / str(turn)
        with running(_WRITE, directory) as process:
            assert process.stdout is not None
            written = [int(process.stdout.readline()) for _ in range(3 + turn)]
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        with opened(directory) as environment:
            position = Records(environment).resume(MASTER)
            assert position is not None
            assert position >= written[-1]
            values = sorted(int(value) for value in everything(Database(environment)).values())
            assert values[-1] == position
