"""Where a database lives: names, homes in their order, and directories that are private enough."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kt_core.database.place import private_directory, resolve
from kt_core.errors import Misconfigured
from tests.processes import python

IS_ROOT = os.geteuid() == 0
NOBODY = 65534

AS_NOBODY = """
import os, sys
from pathlib import Path
from kt_core.database.place import private_directory, resolve
from kt_core.errors import Misconfigured
if os.geteuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
try:
    print({expression})
except Misconfigured as error:
    print(error)
"""


@pytest.fixture
def common() -> Iterator[Path]:
    """A directory that other users can reach, too; pytest's own is private."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o777)
        yield Path(name)


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    path = tmp_path / "runtime"
    path.mkdir()
    return path


def make_database(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "control").touch()
    return path


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# -- names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["default", "0", "A.b_c-d", "x" * 100])
def test_a_plain_name_is_a_directory_below_a_home(runtime: Path, name: str) -> None:
    found = resolve(name, durable=False, max_size=1, environ={"XDG_RUNTIME_DIR": str(runtime)})
    assert found == runtime / "kt-cache" / name
    assert not found.exists()


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "-x", "_x", "a/b", "/abs", "a b", "a\n", "name\0", "é", "x" * 101, "../x"]
)
def test_any_other_name_is_refused(runtime: Path, name: str) -> None:
    with pytest.raises(Misconfigured, match="cannot name a database"):
        resolve(name, durable=False, max_size=1, environ={"XDG_RUNTIME_DIR": str(runtime)})


# -- homes ---------------------------------------------------------------------------------------------


def test_a_durable_database_lives_in_the_state_directory(tmp_path: Path) -> None:
    found = resolve("db", durable=True, max_size=1, environ={"XDG_STATE_HOME": str(tmp_path)})
    assert found == tmp_path / "kt-cache" / "db"


@pytest.mark.parametrize("state", [{}, {"XDG_STATE_HOME": ""}, {"XDG_STATE_HOME": "relative/state"}])
def test_without_a_usable_setting_the_state_directory_is_below_home(tmp_path: Path, state: dict[str, str]) -> None:
    """The XDG specification has relative paths ignored."""
    script = f"""
from kt_core.database.place import resolve
print(resolve("db", durable=True, max_size=1, environ={state!r}))
"""
    assert python("-c", script, HOME=str(tmp_path)) == f"{tmp_path}/.local/state/kt-cache/db\n"


@pytest.mark.parametrize("value", [None, "", "relative", "/nowhere/at/all", "a file"])
def test_without_a_usable_runtime_directory_others_are_taken(tmp_path: Path, value: str | None) -> None:
    (tmp_path / "a file").touch()
    value = str(tmp_path / value) if value == "a file" else value
    environ = {} if value is None else {"XDG_RUNTIME_DIR": value}
    found = resolve("kt-cache-test", durable=False, max_size=1, environ=environ)
    shared = [Path("/dev/shm"), Path(tempfile.gettempdir())]
    assert found in [home / f"kt-cache-{os.geteuid()}" / "kt-cache-test" for home in shared]


_RESOLVE = """
from kt_core.database.place import resolve
print(resolve("kt-cache-test", durable=False, max_size={size}))
"""


def test_a_database_that_exists_in_a_later_home_is_found_first(tmp_path: Path, runtime: Path) -> None:
    existing = make_database(tmp_path / f"kt-cache-{os.geteuid()}" / "kt-cache-test")
    found = python("-c", _RESOLVE.format(size=1), XDG_RUNTIME_DIR=str(runtime), TMPDIR=str(tmp_path))
    assert found == f"{existing}\n"


def test_a_database_that_exists_is_found_even_if_no_room_is_left(runtime: Path) -> None:
    existing = make_database(runtime / "kt-cache" / "db")
    found = resolve("db", durable=False, max_size=1 << 60, environ={"XDG_RUNTIME_DIR": str(runtime)})
    assert found == existing


def test_a_directory_without_a_database_is_none(tmp_path: Path, runtime: Path) -> None:
    (tmp_path / f"kt-cache-{os.geteuid()}" / "kt-cache-test").mkdir(parents=True)
    found = python("-c", _RESOLVE.format(size=1), XDG_RUNTIME_DIR=str(runtime), TMPDIR=str(tmp_path))
    assert found == f"{runtime}/kt-cache/kt-cache-test\n"


def test_where_no_place_has_room_all_are_named(runtime: Path) -> None:
    with pytest.raises(Misconfigured) as caught:
        resolve("db", durable=False, max_size=1 << 60, environ={"XDG_RUNTIME_DIR": str(runtime)})
    message = str(caught.value)
    assert message.startswith("no place has 1099511627776.0 MiB free for the database 'db'")
    assert f"{runtime} has " in message
    assert f"{tempfile.gettempdir()} has " in message
    assert "smaller max_size" in message


def test_where_the_state_directory_has_no_room_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=f"{tmp_path} has "):
        resolve("db", durable=True, max_size=1 << 60, environ={"XDG_STATE_HOME": str(tmp_path)})


@pytest.mark.skipif(not IS_ROOT, reason="only root can make what belongs to somebody else")
def test_a_home_that_somebody_else_has_closed_is_refused(common: Path) -> None:
    """Anybody may make it first in a shared directory."""
    (common / "kt-cache").mkdir(mode=0o700)
    (common / f"kt-cache-{NOBODY}").mkdir(mode=0o700)
    script = AS_NOBODY.format(expression="resolve('kt-cache-test', durable=False, max_size=1)")
    found = python("-c", script, XDG_RUNTIME_DIR=str(common), TMPDIR=str(common))
    assert f"{common}/kt-cache/kt-cache-test/control cannot be looked up" in found
    assert "somebody else's" in found


# -- directories ---------------------------------------------------------------------------------------


def test_a_directory_is_made_private(tmp_path: Path) -> None:
    path = private_directory(tmp_path / "a" / "b")
    assert path == tmp_path / "a" / "b"
    assert mode_of(path) == 0o700


def test_what_is_made_above_it_is_nobody_elses_to_write(tmp_path: Path) -> None:
    """Or others could put another directory in its place, whatever the umask."""
    before = os.umask(0)
    try:
        path = private_directory(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert mode_of(path) == 0o700
    assert mode_of(path.parent) & 0o022 == 0


@pytest.mark.parametrize("mode", [0o755, 0o777, 0o750, 0o701, 0o700])
def test_an_existing_directory_is_narrowed(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "db"
    path.mkdir()
    path.chmod(mode)
    private_directory(path)
    assert mode_of(path) == 0o700


def test_a_directory_with_a_database_is_taken(tmp_path: Path) -> None:
    path = make_database(tmp_path / "db")
    assert private_directory(path) == path


@pytest.mark.parametrize(
    "names", [["gate"], ["gate", "users"], ["gate", "users", "data.mdb", "lock.mdb"], ["gate", "damaged.mdb"]]
)
def test_a_database_that_is_just_being_made_is_taken(tmp_path: Path, names: list[str]) -> None:
    """By another process, or by one that was killed."""
    path = tmp_path / "db"
    path.mkdir()
    for name in names:
        (path / name).touch()
    assert private_directory(path) == path


@pytest.mark.parametrize("names", [["notes.txt"], [".hidden"], ["data.mdb", "lock.mdb"], ["gate", "notes.txt"]])
def test_a_directory_with_other_files_is_refused(tmp_path: Path, names: list[str]) -> None:
    path = tmp_path / "db"
    path.mkdir(mode=0o755)
    for name in names:
        (path / name).write_bytes(b"precious")
    with pytest.raises(Misconfigured, match="holds other files"):
        private_directory(path)
    assert sorted(file.name for file in path.iterdir()) == sorted(names)
    assert all((path / name).read_bytes() == b"precious" for name in names)
    assert mode_of(path) == 0o755


def test_a_relative_path_is_refused() -> None:
    with pytest.raises(Misconfigured, match=r"not an absolute path: write embedded:///some/place"):
        private_directory(Path("some/place"))


@pytest.mark.parametrize("target", ["real", "nowhere"])
def test_a_symbolic_link_is_refused_with_where_it_leads(tmp_path: Path, target: str) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / target)
    with pytest.raises(Misconfigured, match=f"symbolic link.*{tmp_path / target}"):
        private_directory(tmp_path / "link")


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Misconfigured, match="not a directory"):
        private_directory(tmp_path / "file")


def test_what_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Misconfigured, match="cannot be made"):
        private_directory(tmp_path / "file" / "db")


def test_somebody_elses_directory_is_refused(tmp_path: Path) -> None:
    path, owner = (tmp_path / "db", NOBODY) if IS_ROOT else (Path("/usr"), 0)
    if IS_ROOT:
        path.mkdir()
        os.chown(path, NOBODY, NOBODY)
    with pytest.raises(Misconfigured, match=f"belongs to user {owner}, not to this one"):
        private_directory(path)


def test_a_directory_that_its_owner_may_not_write_is_refused(common: Path) -> None:
    path = common / "db"
    path.mkdir(mode=0o500)
    if IS_ROOT:
        os.chown(path, NOBODY, NOBODY)
    found = python("-c", AS_NOBODY.format(expression=f"private_directory(Path({str(path)!r}))"))
    assert "may not be written by this user: chmod 700 it" in found
