"""The files of a database directory: made whole, recognised, mended, taken over, or left alone."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from kt_core.database import NEVER, Database, DatabaseOptions, Environment
from kt_core.database.control import BEING_MADE, FORMAT, Settings
from kt_core.database.files import Files, read_settings
from kt_core.database.options import Durability
from kt_core.errors import Damaged, Misconfigured
from tests.processes import python, running

from .damage import DAMAGES, noise_below_the_roots

SIZE = 1 << 20
KEYS = [b"%d" % number for number in range(100)]

_USE = """
import sys
from kt_core.database import Database, DatabaseOptions, Environment
from kt_core.errors import Damaged
try:
    environment = Environment.open(sys.argv[1], DatabaseOptions(max_size=int(sys.argv[2]), durability=sys.argv[3]))
except Damaged:
    print("Damaged")
    sys.exit()
database = Database(environment)
print(len(list(database.scan())))
for number in range(300):
    database.set(b"new%d" % number, b"%d" % number * 100)
    assert database.get(b"new%d" % number) == b"%d" % number * 100
database.set_bulk([(b"bulk%d" % number, bytes(300), 1 << 60) for number in range(100)])
assert len(list(database.keys(b"bulk"))) == 100
assert database.remove_bulk(list(database.keys(b"bulk"))) == 100
environment.close()
"""

_TRY_ALL = """
import sys
from kt_core.database import Database, DatabaseOptions, Environment
from kt_core.errors import KTError
environment = Environment.open(sys.argv[1], DatabaseOptions(max_size=int(sys.argv[2]), durability=sys.argv[3]))
database, cursor = Database(environment), Database(environment).cursor()
operations = {
    "get": lambda: database.get(b"50"),
    "get_bulk": lambda: database.get_bulk([b"1", b"50"]),
    "get_record": lambda: database.get_record(b"50"),
    "set": lambda: database.set(b"50", b"value"),
    "set_bulk": lambda: database.set_bulk([(b"%d" % key, b"value", 1 << 60) for key in range(100)]),
    "remove": lambda: database.remove(b"50"),
    "keys": lambda: list(database.keys()),
    "scan": lambda: list(database.scan()),
    "match": lambda: database.match_regex(b"5"),
    "jump": lambda: cursor.jump(b"5"),
    "read": lambda: cursor.get(),
    "back": lambda: cursor.jump_back(),
    "count": lambda: database.count(),
    "vacuum": lambda: database.vacuum(),
    "cull": lambda: database.cull(2),
    "clear": lambda: database.clear(),
    "close": lambda: environment.close(),
}
for name, operation in operations.items():
    try:
        operation()
    except KTError:
        pass
    except BaseException as error:
        print(name, repr(error))
"""

_HOLD = """
import sys
from kt_core.database import Database, DatabaseOptions, Environment
database = Database(Environment.open(sys.argv[1], DatabaseOptions(max_size=int(sys.argv[2]))))
database.set(b"key", b"theirs")
print("open", flush=True)
sys.stdin.readline()
"""

_LOCK_GATE = """
import fcntl, sys
gate = open(sys.argv[1] + "/gate", "r+b")
fcntl.flock(gate, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.readline()
"""


def options(durability: Durability = "process", max_size: int = SIZE) -> DatabaseOptions:
    return DatabaseOptions(max_size=max_size, durability=durability)


@pytest.fixture
def made(directory: Path, durability: Durability) -> Path:
    """A closed database with a hundred records."""
    environment = Environment.open(directory, options(durability))
    database = Database(environment)
    for number in range(5):
        database.set_bulk([(key, b"%d" % number, NEVER) for key in KEYS])
    environment.close()
    return directory


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def count(directory: Path, wanted: DatabaseOptions) -> int:
    environment = Environment.open(directory, wanted)
    try:
        return Database(environment).count()
    finally:
        environment.close()


def rewrite_settings(directory: Path, change: Callable[[Settings], Settings]) -> None:
    found = read_settings(directory)
    assert found is not None
    with (directory / "control").open("r+b") as control:
        control.write(change(found).encode())


# -- made ----------------------------------------------------------------------------------------------


def test_files_and_directory_are_private(directory: Path, durability: Durability) -> None:
    """Whatever the umask."""
    before = os.umask(0)
    try:
        environment = Environment.open(directory, options(durability))
        Database(environment).set(b"key", b"value")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    environment.close()
    assert modes == dict.fromkeys(["gate", "users", "control", "data.mdb", "lock.mdb"], 0o600)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_the_files_tell_what_they_were_made_with(made: Path, durability: Durability) -> None:
    found = read_settings(made)
    assert found is not None
    assert (found.durability, found.eviction, found.format) == (durability, "lru", FORMAT)
    assert (made / "data.mdb").stat().st_size == found.map_size
    assert (made / "control").stat().st_size == found.file_size


def test_there_are_no_settings_without_a_control_file(tmp_path: Path) -> None:
    assert read_settings(tmp_path) is None


def test_a_closed_database_is_opened_with_its_records(made: Path, durability: Durability) -> None:
    before = contents(made)["control"][:4096]
    assert count(made, options(durability)) == 100
    assert contents(made)["control"][:4096] == before
    assert not (made / "damaged.mdb").exists()


@pytest.mark.parametrize("leftovers", [[], ["data.mdb"], ["data.mdb", "lock.mdb"], ["control", "data.mdb"]])
def test_interrupted_making_is_begun_again(directory: Path, durability: Durability, leftovers: list[str]) -> None:
    """A killed process has left files that were never whole, so there is nothing in them to keep."""
    directory.mkdir()
    (directory / "gate").touch()
    wanted = Settings.for_size(SIZE, durability, "lru", "")
    if leftovers:
        (directory / "control").write_bytes(wanted._replace(format=BEING_MADE).encode())
    for name in leftovers:
        with (directory / name).open("ab") as file:
            file.write(b"unfinished")
    assert count(directory, options(durability)) == 0
    found = read_settings(directory)
    assert found is not None
    assert found.format == FORMAT
    assert not (directory / "damaged.mdb").exists()


def test_what_fails_while_it_is_being_opened_leaves_the_gate_open(directory: Path) -> None:
    directory.mkdir()
    wanted = Settings.for_size(SIZE, "process", "lru", "")
    with pytest.raises(ZeroDivisionError), Files.open(directory, wanted):
        raise ZeroDivisionError
    with Files.open(directory, wanted) as files:
        files.close()


# -- damaged -------------------------------------------------------------------------------------------


def write_control(data: bytes) -> Callable[[Path], None]:
    return lambda directory: (directory / "control").write_bytes(data) and None


def cut_control(directory: Path) -> None:
    os.truncate(directory / "control", 8192)


def make_control_noise(directory: Path) -> None:
    (directory / "control").write_bytes(os.urandom((directory / "control").stat().st_size))


def make_control_newer(directory: Path) -> None:
    rewrite_settings(directory, lambda settings: settings._replace(format=99))


ALL_DAMAGES: dict[str, Callable[[Path], None]] = {
    **{
        f"data file: {name}": lambda directory, damage=damage: damage(directory / "data.mdb")  # type: ignore[misc]
        for name, damage in DAMAGES.items()
    },
    "control file: missing": lambda directory: (directory / "control").unlink(),
    "control file: empty": write_control(b""),
    "control file: text": write_control(b"something else altogether\n" * 1000),
    "control file: cut": cut_control,
    "control file: noise": make_control_noise,
    "control file: of another version": make_control_newer,
}


@pytest.mark.parametrize("name", ALL_DAMAGES)
def test_a_damaged_cache_is_moved_aside_and_made_anew(
    directory: Path, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Another process proves that it can be used: a mapped file cut short would end it by SIGBUS."""
    environment = Environment.open(directory, options())
    Database(environment).set_bulk([(key, b"value", NEVER) for key in KEYS])
    environment.close()
    ALL_DAMAGES[name](directory)
    shutil.copytree(directory, tmp_path / "copy")
    data = contents(directory).get("data.mdb")

    assert python("-c", _USE, tmp_path / "copy", SIZE, "process") == "0\n"
    with caplog.at_level(logging.ERROR, "kt_core.database"):
        assert count(directory, options()) == 0
    assert contents(directory).get("damaged.mdb") == data
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert f"{directory} is made anew" in caplog.text
    assert count(directory, options()) == 0


@pytest.mark.parametrize("name", ALL_DAMAGES)
def test_a_damaged_durable_database_is_left_as_it_is(directory: Path, name: str) -> None:
    environment = Environment.open(directory, options("commit"))
    Database(environment).set_bulk([(key, b"value", NEVER) for key in KEYS])
    environment.close()
    ALL_DAMAGES[name](directory)
    before = contents(directory)

    assert python("-c", _USE, directory, SIZE, "commit") == "Damaged\n"
    with pytest.raises(Damaged, match=f"{directory} was left untouched because"):
        Environment.open(directory, options("commit"))
    assert contents(directory) == before


def test_a_durable_database_is_not_thrown_away_by_one_that_asks_for_less(directory: Path) -> None:
    count(directory, options("commit"))
    DAMAGES["cut in half"](directory / "data.mdb")
    before = contents(directory)
    with pytest.raises(Damaged):
        Environment.open(directory, options("process"))
    assert contents(directory) == before


def test_damage_below_the_roots_is_an_error_of_ours(made: Path, durability: Durability) -> None:
    """It is not found at open, but whatever meets it says so, and the process goes on."""
    noise_below_the_roots(made / "data.mdb")
    assert python("-c", _TRY_ALL, made, SIZE, durability) == ""


def test_only_the_last_damaged_file_is_kept(directory: Path) -> None:
    for _ in range(2):
        count(directory, options())
        DAMAGES["cut in half"](directory / "data.mdb")
    count(directory, options())
    assert sorted(path.name for path in directory.glob("*.mdb")) == ["damaged.mdb", "data.mdb", "lock.mdb"]


def test_after_a_restart_of_the_machine_only_a_durable_database_is_trusted(
    made: Path, durability: Durability, caplog: pytest.LogCaptureFixture
) -> None:
    rewrite_settings(made, lambda settings: settings._replace(boot="another boot"))
    with caplog.at_level(logging.ERROR, "kt_core.database"):
        assert count(made, options(durability)) == (100 if durability == "commit" else 0)
    assert ("restarted" in caplog.text) is (durability == "process")


@pytest.mark.parametrize("name", ["gate", "users", "control", "data.mdb"])
def test_a_symbolic_link_in_place_of_a_file_is_not_followed(made: Path, tmp_path: Path, name: str) -> None:
    """Somebody's file that it leads to stays as it is."""
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    (made / name).unlink()
    (made / name).symlink_to(target)
    with contextlib.suppress(Misconfigured, Damaged):
        count(made, options())
    assert target.read_bytes() == b"precious"


@pytest.mark.parametrize("name", ["gate", "users"])
def test_a_directory_in_place_of_a_file_is_refused(directory: Path, name: str) -> None:
    count(directory, options())
    (directory / name).unlink()
    (directory / name).mkdir()
    with pytest.raises(Misconfigured, match=f"{name} cannot be opened"):
        Environment.open(directory, options())


# -- taken over with other settings --------------------------------------------------------------------


def test_a_larger_size_is_taken_over_with_the_records(made: Path, durability: Durability) -> None:
    larger = options(durability, 4 * SIZE)
    environment = Environment.open(made, larger)
    assert Database(environment).count() == 100
    assert environment.counters()["max_size"] > 3 * SIZE
    Database(environment).set(b"large", bytes(SIZE // 8))
    environment.close()
    assert (made / "data.mdb").stat().st_size > 3 * SIZE
    assert count(made, larger) == 101


@pytest.mark.parametrize(
    ("durability", "other"), [("process", "commit"), ("commit", "process")], indirect=["durability"]
)
def test_another_durability_is_taken_over_with_the_records(
    made: Path, durability: Durability, other: Durability
) -> None:
    assert count(made, options(other)) == 100
    found = read_settings(made)
    assert found is not None
    assert found.durability == other


def test_eviction_can_be_given_up_with_the_records_kept(made: Path, durability: Durability) -> None:
    wanted = DatabaseOptions(max_size=SIZE, durability=durability, eviction="none")
    assert count(made, wanted) == 100
    assert count(made, wanted) == 100


def test_a_smaller_size_empties_a_database_that_evicts(
    made: Path, durability: Durability, caplog: pytest.LogCaptureFixture
) -> None:
    count(made, options(durability, 2 * SIZE))
    assert count(made, options(durability)) == 0
    assert "max_size is smaller than before" in caplog.text


def test_a_smaller_size_is_refused_where_nothing_is_evicted(directory: Path, durability: Durability) -> None:
    larger, smaller = (
        DatabaseOptions(max_size=size, durability=durability, eviction="none") for size in (2 * SIZE, SIZE)
    )
    environment = Environment.open(directory, larger)
    Database(environment).set(b"key", b"value")
    environment.close()
    with pytest.raises(Misconfigured, match="raise max_size by"):
        Environment.open(directory, smaller)
    assert count(directory, larger) == 1


# -- in use by others ----------------------------------------------------------------------------------


def test_settings_of_those_who_have_it_open_hold(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running(_HOLD, directory, 2 * SIZE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        environment = Environment.open(directory, options("commit", SIZE))
        assert Database(environment).get(b"key") == b"theirs"
        assert not environment.durable
        assert environment.counters()["max_size"] > SIZE
        assert environment.counters()["processes"] == 2
        environment.close()
    assert "other than asked for" in caplog.text


def test_those_who_ask_for_the_same_are_not_warned(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running(_HOLD, directory, SIZE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        assert count(directory, options()) == 1
    assert caplog.text == ""


def test_one_in_use_by_another_version_is_refused(directory: Path) -> None:
    with running(_HOLD, directory, SIZE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        make_control_newer(directory)
        with pytest.raises(Misconfigured, match="another version"):
            Environment.open(directory, options())
        assert (directory / "data.mdb").exists()


def test_a_process_waits_while_another_opens_the_database(made: Path, durability: Durability) -> None:
    with running(_LOCK_GATE, made) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "locked\n"
        found: list[int] = []
        thread = threading.Thread(target=lambda: found.append(count(made, options(durability))))
        thread.start()
        thread.join(0.03)
        assert thread.is_alive()
        other.stdin.write("\n")
        other.stdin.flush()
        thread.join()
        assert found == [100]


def test_one_killed_while_it_opened_the_database_is_not_waited_for(made: Path, durability: Durability) -> None:
    with running(_LOCK_GATE, made) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        other.kill()
        other.wait()
        assert count(made, options(durability)) == 100


def test_an_open_database_leaves_the_gate_open(environment: Environment, directory: Path) -> None:
    with (directory / "gate").open("r+b") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
