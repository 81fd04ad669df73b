"""What is read of LMDB's data file: damage is recognised, and random keys are keys that are there."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest

from kt_core.database import NEVER, Database, DatabaseOptions, Environment
from kt_core.database.datafile import PAGE, fault_in, random_key
from kt_core.database.record import stored_key

from .damage import DAMAGES, meta_field, write_meta_field


@pytest.fixture
def data(directory: Path, options: DatabaseOptions) -> Path:
    """A sound data file with some history."""
    environment = Environment.open(directory, options)
    database = Database(environment)
    for number in range(20):
        database.set_bulk([(b"%d" % key, bytes(number * 10), NEVER) for key in range(100)])
    environment.close()
    return directory / "data.mdb"


def test_a_sound_file_has_no_fault(data: Path) -> None:
    assert fault_in(data, data.stat().st_size) is None


def test_an_empty_database_has_no_fault(directory: Path, options: DatabaseOptions) -> None:
    Environment.open(directory, options).close()
    data = directory / "data.mdb"
    assert fault_in(data, data.stat().st_size) is None


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_recognised(data: Path, damage: str) -> None:
    size = data.stat().st_size
    DAMAGES[damage](data)
    assert fault_in(data, size) is not None


def test_a_file_shorter_than_the_map_has_lost_its_end(data: Path) -> None:
    size = data.stat().st_size
    assert fault_in(data, size + PAGE) == f"its data file has only {size} bytes of {size + PAGE}"


@pytest.mark.parametrize("field", ["last_page", "root", "free_root"])
@pytest.mark.parametrize("number", [0, 1 << 20, (1 << 64) - 2])
def test_pages_beyond_the_file_are_recognised(data: Path, field: str, number: int) -> None:
    write_meta_field(data, field, number)
    assert "beyond the file" in str(fault_in(data, data.stat().st_size))


def test_a_root_that_is_no_tree_page_is_recognised(data: Path) -> None:
    """Such as an overflow page, whose number is right."""
    root = meta_field(data, "root")
    with data.open("r+b") as file:
        file.seek(root * PAGE + 10)
        file.write((4).to_bytes(2, "little"))
    assert "root page" in str(fault_in(data, data.stat().st_size))


def test_random_keys_are_stored_ones(directory: Path) -> None:
    environment = Environment.open(directory, DatabaseOptions(max_size=4 << 20))
    keys = [b"%d" % key for key in range(1000)] + [b"k" * 600 + b"%d" % key for key in range(100)] + [b"", b"\0"]
    Database(environment).set_bulk([(key, bytes(30), NEVER) for key in keys])
    Database(environment).set(b"large", bytes(100_000))
    random, last_page = Random(4), environment.handle.info()["last_pgno"]
    descriptor = os.open(directory / "data.mdb", os.O_RDONLY)
    found = {random_key(descriptor, last_page, random) for _ in range(5000)}
    os.close(descriptor)
    environment.close()
    stored = {stored_key(key) for key in [*keys, b"large"]}
    # Else there are the names beside the logical database, and the list of free pages with its keys of eight bytes.
    assert {key for key in found - stored if key is not None and len(key) != 8} <= {b"0", b"tick"}
    assert len(found & stored) > len(stored) * 0.5


def test_noise_has_no_keys_that_matter(tmp_path: Path) -> None:
    """Whatever stands there, the answer is some bytes or none."""
    random = Random(5)
    for number in range(300):
        page = bytearray(random.randbytes(PAGE if number % 3 else random.randrange(PAGE)))
        page[:8] = (2).to_bytes(8, "little")
        page[10:12] = (2).to_bytes(2, "little")
        (tmp_path / "noise").write_bytes(bytes(2 * PAGE) + page)
        with (tmp_path / "noise").open("rb") as file:
            found = random_key(file.fileno(), 2, random)
        assert found is None or 0 < len(found) <= PAGE
