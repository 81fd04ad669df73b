"""Where a database lives: which directory a name stands for, and whether a directory is private enough.

A database that survives only processes may live in memory: the first of `XDG_RUNTIME_DIR`, `/dev/shm` and the
temporary directory that has room for it. One that promises to survive the machine lives under `XDG_STATE_HOME`.
Whoever opens a name looks for an existing database first, so that all processes agree even as space runs out.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from kt_core.errors import Misconfigured

_ROOMY = 256 << 20  # bytes
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
CONTROL_FILE = "control"
_FILES = {"gate", "users", CONTROL_FILE, "control.new", "data.mdb", "lock.mdb", "damaged.mdb"}


def resolve(name: str, *, durable: bool, max_size: int, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the directory that a database name stands for, as this user."""
    if not NAME.fullmatch(name):
        raise Misconfigured(
            f"{name!r} cannot name a database: write up to 100 letters, digits, '.', '_' and '-', "
            "beginning with a letter or digit, or an absolute path as embedded:///path"
        )
    homes = list(_durable_homes(environ) if durable else _runtime_homes(environ))
    for home in homes:
        if _exists(home / name / CONTROL_FILE):
            return _own_home(home) / name
    free = {home: free_space(home) for home in homes}
    for home, space in free.items():
        if space >= max_size:
            return _own_home(home) / name
    raise Misconfigured(
        f"no place has {_mebibytes(max_size)} free for the database {name!r}: "
        + ", ".join(f"{home.parent} has {_mebibytes(space)}" for home, space in free.items())
        + "; write a smaller max_size, or a path with room as embedded:///path"
    )


def scratch_home(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where to keep what ends with a process: a place in memory with room, or the one with the most."""
    homes = list(_runtime_homes(environ))
    roomy = [home for home in homes if free_space(home) >= _ROOMY]
    path = _own_home((roomy or sorted(homes, key=free_space, reverse=True))[0]) / "scratch"
    _own(path)
    return _sealed(path)


def private_directory(path: Path) -> Path:
    """Make a directory of a database, mode 0700, or check that the existing one is that, and the user's own."""
    _own(path)
    if not _is_ours(path):
        raise Misconfigured(
            f"{path} holds other files: name a directory of its own for the database, such as {path / 'kt-cache'}"
        )
    return _sealed(path)


def _own(path: Path) -> None:
    """Create the directory, or check that the existing one is the user's own."""
    if not path.is_absolute():
        raise Misconfigured(f"{str(path)!r} is not an absolute path: write embedded:///{path}")
    try:
        if path.is_symlink():
            raise Misconfigured(
                f"{path} is a symbolic link, which is not followed: write the path it leads to, {path.resolve()}"
            )
        for directory in (*reversed(path.parents), path):
            if not directory.exists():
                directory.mkdir(mode=0o700, exist_ok=True)
        status = path.lstat()
    except OSError as error:
        raise Misconfigured(
            f"the directory {path} cannot be made ({error.strerror}): name one where this user may write"
        ) from error
    if not stat.S_ISDIR(status.st_mode):
        raise Misconfigured(f"{path} is not a directory: name a directory of its own for the database")
    if status.st_uid != os.geteuid():
        raise Misconfigured(
            f"{path} belongs to user {status.st_uid}, not to this one ({os.geteuid()}): name a directory of your own"
        )
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise Misconfigured(f"{path} may not be written by this user: chmod 700 it, or name another directory")


def _own_home(home: Path) -> Path:
    """Create the directory of all databases, or check that it is one's own: an owner can exchange what it holds."""
    _own(home)
    return home


def _sealed(path: Path) -> Path:
    if stat.S_IMODE(path.lstat().st_mode) & 0o077:
        path.chmod(0o700)
    return path


def _is_ours(directory: Path) -> bool:
    """Tell whether a directory holds nothing but files of a database, even of one that is just being made."""
    names = {path.name for path in directory.iterdir()}
    return CONTROL_FILE in names or (names <= _FILES and ("gate" in names or not names))


def _runtime_homes(environ: Mapping[str, str]) -> Iterator[Path]:
    runtime = environ.get("XDG_RUNTIME_DIR")
    if runtime and _is_usable(Path(runtime)):
        yield Path(runtime) / "kt-cache"
    for shared in (Path("/dev/shm"), Path(tempfile.gettempdir())):  # noqa: S108 - `_own` refuses what others made there
        if _is_usable(shared):
            # Shared directories are world-writable: the user's number keeps users apart, and
            # private_directory refuses a directory that somebody else made first.
            yield shared / f"kt-cache-{os.geteuid()}"


def _durable_homes(environ: Mapping[str, str]) -> Iterator[Path]:
    state = environ.get("XDG_STATE_HOME", "")
    # The specification has relative paths ignored.
    yield Path(state if state.startswith("/") else Path.home() / ".local" / "state") / "kt-cache"


def _is_usable(directory: Path) -> bool:
    return directory.is_absolute() and directory.is_dir() and os.access(directory, os.W_OK | os.X_OK)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise Misconfigured(
            f"{path} cannot be looked up ({error.strerror}): one of the directories above it is somebody else's; "
            "remove that, or write a path of your own as embedded:///path"
        ) from error


def free_space(path: Path) -> int:
    """Return the bytes that this user may still write where a path is, or is to be."""
    while not _exists(path):
        path = path.parent
    space = os.statvfs(path)
    return space.f_bavail * space.f_frsize


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"
