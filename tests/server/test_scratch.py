"""The directories of databases in memory: private, and gone with their server however it ends."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from kt_core.server.scratch import Scratch
from tests.database.threads import in_threads
from tests.processes import running

_HOLD = """
import sys
from kt_core.server.scratch import Scratch
scratch = Scratch({"XDG_RUNTIME_DIR": sys.argv[1]})
(scratch.path / "0").mkdir()
(scratch.path / "0" / "data").write_bytes(b"data")
print(scratch.path, flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_RUNTIME_DIR": str(tmp_path)}


def test_it_is_made_when_it_is_needed_and_for_its_user_alone(environ: dict[str, str], tmp_path: Path) -> None:
    scratch = Scratch(environ)
    assert list(tmp_path.iterdir()) == []
    path = scratch.path
    assert path.is_relative_to(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert scratch.path == path
    scratch.remove()


def test_it_is_removed_with_all_in_it(environ: dict[str, str]) -> None:
    scratch = Scratch(environ)
    path = scratch.path
    (path / "0").mkdir()
    (path / "0" / "data").write_bytes(b"data")
    scratch.remove()
    assert not path.exists()
    assert list(path.parent.iterdir()) == []
    scratch.remove()


def test_what_was_never_needed_is_not_removed(environ: dict[str, str]) -> None:
    Scratch(environ).remove()


def test_a_killed_servers_directory_is_removed_by_the_next_server(environ: dict[str, str], tmp_path: Path) -> None:
    with running(_HOLD, tmp_path) as server, running(_HOLD, tmp_path) as killed:
        assert server.stdout is not None
        assert killed.stdout is not None
        alive, dead = Path(server.stdout.readline().strip()), Path(killed.stdout.readline().strip())
        killed.kill()
        killed.wait()
        assert dead.exists()

        scratch = Scratch(environ)
        assert scratch.path.exists()
        assert not dead.exists()
        assert (alive / "0" / "data").exists()
        scratch.remove()
        assert alive.exists()


def test_what_others_have_there_stays(environ: dict[str, str]) -> None:
    first = Scratch(environ)
    home = first.path.parent
    (home / "file").write_bytes(b"")
    (home / "directory").mkdir()
    second = Scratch(environ)
    assert second.path != first.path
    assert (home / "file").exists()
    assert (home / "directory").exists()
    first.remove()
    second.remove()


def test_servers_that_start_at_once_do_not_remove_each_others(environ: dict[str, str]) -> None:
    scratches = [Scratch(environ) for _ in range(8)]

    def use(index: int) -> None:
        for _ in range(20):
            path = scratches[index].path
            assert (path / "server.lock").exists()
            scratches[index].remove()

    in_threads(8, use)
