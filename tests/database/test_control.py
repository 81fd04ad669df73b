"""The control file: settings, counts that no ended process takes with it, and the place where a sweep goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kt_core.database import Database, DatabaseOptions, Environment
from kt_core.database.control import (
    BEING_MADE,
    FORMAT,
    HITS,
    LOCK_FILE_SIZE,
    MISSES,
    PAGE,
    PROCESSES,
    Control,
    Settings,
)
from kt_core.database.options import Durability
from kt_core.database.record import stored_key
from tests.processes import python, running

_READ = """
import sys
from kt_core.database import Database, DatabaseOptions, Environment
options = DatabaseOptions(max_size=4 << 20, durability=sys.argv[2], databases=3)
database = Database(Environment.open(sys.argv[1], options))
for _ in range(5):
    database.get(b"key")
    database.get(b"none")
    database.get(b"none")
print(database.environment.counters()["processes"], flush=True)
"""
_READ_AND_STAY = _READ + "sys.stdin.readline()"


@pytest.fixture
def mapping(tmp_path: Path) -> Iterator[Callable[[], Control]]:
    """A function that maps a control file as another process would."""
    settings = Settings.for_size(1 << 20, "process", "lru", "boot")
    path = tmp_path / "control"
    path.write_bytes(settings.encode().ljust(settings.file_size, b"\0"))
    made = []

    def map_it() -> Control:
        with path.open("r+b") as file:
            made.append(Control(file.fileno(), settings))
        return made[-1]

    yield map_it
    for control in made:
        control.close()


@pytest.fixture
def control(mapping: Callable[[], Control]) -> Control:
    return mapping()


# -- settings ------------------------------------------------------------------------------------------


@given(
    st.integers(1 << 20, 1 << 50),
    st.sampled_from(["process", "commit"]),
    st.sampled_from(["lru", "none"]),
    st.sampled_from(["", "01234567-89ab-cdef-0123-456789abcdef"]),
)
def test_settings_are_read_as_they_were_written(max_size: int, durability: str, eviction: str, boot: str) -> None:
    settings = Settings.for_size(max_size, durability, eviction, boot)
    assert Settings.decode(settings.encode().ljust(PAGE, b"\0")) == settings


@given(st.integers(1 << 20, 1 << 50), st.sampled_from(["lru", "none"]))
def test_all_files_together_stay_within_the_size(max_size: int, eviction: str) -> None:
    settings = Settings.for_size(max_size, "process", eviction, "")
    assert settings.map_size > max_size * 3 // 4
    assert settings.map_size % PAGE == settings.file_size % PAGE == 0
    assert settings.map_size + settings.file_size + LOCK_FILE_SIZE <= max_size


@pytest.mark.parametrize("eviction", ["lru", "none"])
def test_slots_are_a_power_of_two(eviction: str) -> None:
    """So that a mask chooses one."""
    settings = Settings.for_size(100 << 20, "process", eviction, "")
    assert settings.slots.bit_count() == 1
    assert settings.file_size >= 5 * PAGE + settings.slots * 8


@pytest.mark.parametrize("page", [b"", b"text", bytes(PAGE), b"kt-cache control", b"kt-cache contro1" + bytes(PAGE)])
def test_other_pages_tell_no_settings(page: bytes) -> None:
    assert Settings.decode(page) is None


@given(st.binary(min_size=80, max_size=120))
def test_noise_after_the_magic_is_read_without_error(noise: bytes) -> None:
    assert isinstance(Settings.decode(b"kt-cache control" + noise), Settings)


def test_files_are_declared_whole(control: Control, tmp_path: Path) -> None:
    path = tmp_path / "control"
    path.write_bytes(Settings(0, 1, "process", "lru", "", format=BEING_MADE).encode() + path.read_bytes()[80:])
    control.declare(FORMAT)
    found = Settings.decode(path.read_bytes())
    assert found is not None
    assert (found, found.format) == (control.settings, FORMAT)


# -- what is shared ------------------------------------------------------------------------------------


def test_words_and_stamps_are_shared(mapping: Callable[[], Control]) -> None:
    one, other = mapping(), mapping()
    one.words[5], one.stamps[one.mask] = -7, 1.5
    assert (other.words[5], other.stamps[other.mask]) == (-7, 1.5)
    assert len(one.stamps) == one.mask + 1


def test_a_new_hand_stands_at_the_beginning(control: Control) -> None:
    assert control.hand == (0, b"")


@pytest.mark.parametrize("key", [b"", b"\0", b"key", b"k" * 510, stored_key(b"k" * 600), b"\xff" * 511])
def test_the_hand_stays_where_it_is_left(mapping: Callable[[], Control], key: bytes) -> None:
    control, other = mapping(), mapping()
    control.hand = (1, b"k" * 400)
    control.hand = (7, key)
    assert other.hand == (7, key)


def test_a_hand_of_noise_is_some_place(control: Control, tmp_path: Path) -> None:
    with (tmp_path / "control").open("r+b") as file:
        file.seek(2 * PAGE)
        file.write(b"\xff" * PAGE)
    _, key = control.hand
    assert len(key) < PAGE


# -- processes -----------------------------------------------------------------------------------------


def test_counts_survive_the_process(
    database: Database, environment: Environment, directory: Path, durability: Durability
) -> None:
    database.set(b"key", b"value")
    database.get(b"key")
    for ended in range(3):
        assert python("-c", _READ, directory, durability) == "2\n"
        counters = environment.counters()
        assert (counters["hits"], counters["misses"]) == (6 + 5 * ended, 10 + 10 * ended)
        assert counters["processes"] == 1


def test_counts_survive_them_all(directory: Path, options: DatabaseOptions, durability: Durability) -> None:
    python("-c", _READ, directory, durability)
    python("-c", _READ, directory, durability)
    environment = Environment.open(directory, options)
    counters = environment.counters()
    environment.close()
    assert (counters["hits"], counters["misses"], counters["processes"]) == (0, 30, 1)


def test_running_processes_are_counted_and_killed_ones_are_not(
    database: Database, environment: Environment, directory: Path, durability: Durability
) -> None:
    database.set(b"key", b"value")
    with running(_READ_AND_STAY, directory, durability) as one, running(_READ_AND_STAY, directory, durability) as other:
        for process in (one, other):
            assert process.stdout is not None
            assert process.stdout.readline() != ""
        assert environment.counters()["processes"] == 3
        other.kill()
        other.wait()
        assert environment.counters()["processes"] == 2
        assert environment.counters()["hits"] == 10
    assert environment.counters()["processes"] == 1


def test_a_place_of_an_ended_process_is_taken_with_its_counts_kept(control: Control) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    control.join()
    control.counts[0] = ended.pid
    control.counts[HITS], control.counts[MISSES] = 3, 4
    control.join()
    assert control.counts[HITS] == 0
    assert (control.total(HITS), control.total(MISSES), control.processes()) == (3, 4, 1)


def test_joining_again_takes_no_other_place(control: Control) -> None:
    """A process joins whenever it opens the database, as after each fork."""
    control.join()
    place = control.counts
    control.join()
    place[HITS] += 3
    assert control.counts[HITS] == 3
    assert control.total(HITS) == 3


def test_more_processes_than_places_share_the_last(mapping: Callable[[], Control]) -> None:
    one, other = mapping(), mapping()
    parent = os.getppid()
    for index in range(PROCESSES - 1):
        one._process(index)[0] = parent
    one.join()
    other.join()
    one.counts[HITS] += 1
    other.counts[HITS] += 1
    assert one.total(HITS) == 2


@pytest.mark.parametrize("noise", [1 << 40, -(1 << 40), -1, (1 << 63) - 1])
def test_noise_for_a_process_id_is_no_error(control: Control, noise: int) -> None:
    control._process(0)[0] = noise
    control.join()
    assert control.processes() >= 1
