"""What is written is for its user alone, whatever the umask, and whoever was at a shared place first."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kt_cache.options import Options
from kt_cache.stores import open_store
from kt_core.database import Environment
from kt_core.errors import Misconfigured
from kt_core.server.listener import unix_socket
from tests.processes import python
from tests.server.exchange import Wire
from tests.server.running import serving

OTHERS = 0o077
AS_NOBODY = """
import os
from kt_core.database.place import resolve, scratch_home
from kt_core.errors import Misconfigured
if os.geteuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
try:
    print({expression})
except Misconfigured as error:
    print(error)
"""


@pytest.fixture
def careless() -> Iterator[None]:
    """A process that has everything it makes open to everybody."""
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(directory: Path) -> list[Path]:
    """Return what there is below a directory that others may read, write or enter."""
    return [path for path in directory.rglob("*") if stat.S_IMODE(path.lstat().st_mode) & OTHERS]


@pytest.mark.usefixtures("careless")
@pytest.mark.parametrize("durability", ["process", "commit"])
def test_a_store_is_private_whatever_the_umask(tmp_path: Path, durability: str) -> None:
    store = open_store(Options.parse(f"embedded://{tmp_path}/a/b?durability={durability}", {}, default_name=""))
    store.set(b"k", b"v", None)
    assert open_to_others(tmp_path) == []
    Environment.close_below(tmp_path)


@pytest.mark.usefixtures("careless")
def test_a_server_is_private_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with serving(str(tmp_path / "x.kct"), port=None, sock=str(path)), Wire(str(path)) as wire:
        assert wire.call("set", key="k", value="v").status == 200
        assert path.is_socket()
        assert open_to_others(tmp_path) == []
    assert not path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make what belongs to somebody else")
@pytest.mark.parametrize("mode", [0o755, 0o777])
@pytest.mark.parametrize("expression", ["resolve('name', durable=False, max_size=1)", "scratch_home()"])
def test_a_home_that_somebody_else_made_is_refused(mode: int, expression: str) -> None:
    """Its owner could exchange the directories in it after they were looked at."""
    with tempfile.TemporaryDirectory() as shared:
        os.chmod(shared, 0o1777)
        for name in ("kt-cache", "kt-cache-65534"):
            Path(shared, name).mkdir()
            os.chmod(Path(shared, name), mode)
        found = python("-c", AS_NOBODY.format(expression=expression), XDG_RUNTIME_DIR=shared, TMPDIR=shared)
    assert "belongs to user 0, not to this one (65534)" in found


def test_a_home_that_is_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "kt-cache").symlink_to("elsewhere")
    script = AS_NOBODY.replace("os.geteuid() == 0", "False")
    found = python(
        "-c", script.format(expression="resolve('name', durable=False, max_size=1)"), XDG_RUNTIME_DIR=str(tmp_path)
    )
    assert "is a symbolic link, which is not followed" in found


def test_a_link_where_a_socket_is_to_be_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "target"
    (tmp_path / "socket").symlink_to(target)
    with pytest.raises(Misconfigured, match="write another path"):
        unix_socket(str(tmp_path / "socket"))
    assert not target.exists()
