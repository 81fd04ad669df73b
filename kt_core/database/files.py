"""The files of one database directory: made whole, recognised before use, moved aside when they cannot be trusted.

Nothing is opened that has not been looked at (`kt_core.database.datafile`), with nobody else inside:

=============  ==================================================================================
gate           locked (flock) while a process opens the database; never while it uses it
users          locked shared by every process that has the database open; alone means exclusive
control        settings, counts, access stamps (`kt_core.database.control`)
data.mdb       LMDB's records, always as long as the map
lock.mdb       LMDB's writer mutex and reader table
damaged.mdb    the last data file that could not be trusted, kept for whoever wants to look
=============  ==================================================================================
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import time
from pathlib import Path
from random import Random

from kt_core.database.control import BEING_MADE, FORMAT, LOCK_FILE_SIZE, PAGE, Control, Settings
from kt_core.database.datafile import fault_in, random_key
from kt_core.database.place import CONTROL_FILE
from kt_core.errors import Damaged, Misconfigured

logger = logging.getLogger("kt_core.database")

GATE_PATIENCE = 30.0  # seconds


class Files:
    """The opened directory of one database; `Files.open` makes it."""

    def __init__(self, directory: Path, control: Control, users: int) -> None:
        self.directory = directory
        self.control = control
        self._users = users
        self._data = -1

    @classmethod
    def open(cls, directory: Path, wanted: Settings) -> Gate:
        """Return the gate to the directory's files; enter it to get them, and open LMDB before leaving it."""
        return Gate(directory, wanted)

    @property
    def settings(self) -> Settings:
        """What the files were made with."""
        return self.control.settings

    def complete(self) -> None:
        """Call this once LMDB has opened its file: whole from now on, it is judged at the next open, not made anew."""
        data = self.directory / "data.mdb"
        if _size(data) < self.settings.map_size:
            os.truncate(data, self.settings.map_size)
        if self._data < 0:
            self._data = _open_private(data)
        self.control.declare(FORMAT)

    def reserve(self, start: int, size: int) -> None:
        """Make the file system promise bytes of the data file, so that no later store to the map can fail."""
        os.posix_fallocate(self._data, start, size)

    def random_key(self, last_page: int, random: Random) -> bytes | None:
        """Return some stored key, or None if this draw found none."""
        return random_key(self._data, last_page, random)

    def are_current(self) -> bool:
        """Tell whether the directory still holds the data file that was opened."""
        try:
            return os.path.samestat(os.stat(self.directory / "data.mdb"), os.fstat(self._data))
        except OSError:
            return False

    def close(self) -> None:
        """Let go of the files, but not of the mapped control file; the shared lock falls with the last descriptor."""
        if self._data >= 0:
            os.close(self._data)
        os.close(self._users)


class Gate:
    """A context in which this process alone opens the database."""

    def __init__(self, directory: Path, wanted: Settings) -> None:
        self._directory = directory
        self._wanted = wanted
        self._descriptor = -1

    def __enter__(self) -> Files:
        self._descriptor = _open_private(self._directory / "gate")
        try:
            self._lock()
            self._entered = self._files()
        except BaseException:
            os.close(self._descriptor)
            raise
        return self._entered

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        if failure is not None:
            self._entered.close()
        os.close(self._descriptor)

    def _lock(self) -> None:
        deadline = time.monotonic() + GATE_PATIENCE
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Misconfigured(
                        f"another process has been opening {self._directory} for {GATE_PATIENCE:.0f} s: "
                        "is one stopped? (fuser -v on the file 'gate' names it)"
                    ) from None
                time.sleep(0.005)

    def _files(self) -> Files:
        users = _open_private(self._directory / "users")
        try:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                settings = self._settings_in_use()
            else:
                settings = self._settings_alone()
            fcntl.flock(users, fcntl.LOCK_SH)
            control = _open_private(self._directory / CONTROL_FILE)
            try:
                mapped = Control(control, settings)
            finally:
                os.close(control)
            return Files(self._directory, mapped, users)
        except BaseException:
            os.close(users)
            raise

    def _settings_in_use(self) -> Settings:
        """Others have the database open: their settings hold for this process too."""
        found = read_settings(self._directory)
        if found is None or found.format != FORMAT:
            raise Misconfigured(f"{self._directory} is in use by another version of kt-cache: stop its processes first")
        if found._replace(boot="") != self._wanted._replace(boot=""):
            logger.warning(
                "%s is open in other processes with max_size, durability or eviction other than asked for; "
                "theirs hold until all of them have ended",
                self._directory,
            )
        return found

    def _settings_alone(self) -> Settings:
        """Nobody else has the database open: check the files, mend or make them, and say what they are."""
        found = read_settings(self._directory)
        data = self._directory / "data.mdb"
        if (found is not None and found.format == BEING_MADE) or (found is None and not data.exists()):
            return self._create()
        fault = self._fault(found)
        if fault is None and found is not None:
            return self._adopt(found)
        if (found or self._wanted).durability == "commit":
            raise Damaged(
                f"the database {self._directory} was left untouched because {fault}. It promises durability, so it is "
                "not thrown away: restore a copy, or move the directory away to begin anew"
            )
        logger.error("%s is made anew and the old file kept as damaged.mdb, because %s", self._directory, fault)
        if data.exists():
            data.replace(self._directory / "damaged.mdb")
        return self._create()

    def _fault(self, found: Settings | None) -> str | None:
        if found is None:
            return "its control file is missing or not one of kt-cache"
        if found.format != FORMAT:
            return f"it was written in format {found.format}, and this kt-cache reads format {FORMAT}"
        if _size(self._directory / CONTROL_FILE) != found.file_size:
            return "its control file has been cut"
        if found.durability == "process" and found.boot != self._wanted.boot:
            return (
                "the machine was restarted since, and a cache of durability 'process' is not written to disk in order"
            )
        return fault_in(self._directory / "data.mdb", found.map_size)

    def _adopt(self, found: Settings) -> Settings:
        """Use sound files; other settings are taken over in place where that loses nothing."""
        wanted = self._wanted
        if found._replace(boot="") == wanted._replace(boot=""):
            return found
        if found.eviction == "none" and wanted.map_size < found.map_size:
            raise Misconfigured(
                f"{self._directory} has room for {found.map_size} bytes and evicts nothing, and these settings would "
                f"leave {wanted.map_size}: raise max_size by {found.map_size - wanted.map_size}"
            )
        data = self._directory / "data.mdb"
        if wanted.map_size < found.map_size:
            logger.warning("%s is made anew: max_size is smaller than before", self._directory)
            data.unlink()
            return self._create()
        try:
            os.truncate(data, wanted.map_size)
        except OSError as error:
            raise Misconfigured(f"{data} cannot grow to {wanted.map_size} bytes: {error.strerror}") from error
        self._write_control(wanted)
        return wanted

    def _create(self) -> Settings:
        for name in ("data.mdb", "lock.mdb", CONTROL_FILE):
            (self._directory / name).unlink(missing_ok=True)
        self._write_control(self._wanted._replace(format=BEING_MADE))
        # LMDB maps its lock file writable and would only stretch it: on a full tmpfs touching it is SIGBUS.
        _make(self._directory / "lock.mdb", LOCK_FILE_SIZE)
        return self._wanted

    def _write_control(self, settings: Settings) -> None:
        new = self._directory / "control.new"
        new.unlink(missing_ok=True)
        _make(new, settings.file_size, settings.encode())
        new.replace(self._directory / CONTROL_FILE)


def read_settings(directory: Path) -> Settings | None:
    """Return what the control file of a directory says, or None if there is none that speaks."""
    try:
        descriptor = os.open(directory / CONTROL_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return Settings.decode(os.read(descriptor, PAGE))
    finally:
        os.close(descriptor)


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


def _open_private(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Misconfigured(f"{path} is a symbolic link, which is not followed: remove it") from error
        raise Misconfigured(
            f"{path} cannot be opened ({error.strerror}): remove it, or name another directory"
        ) from error


def _make(path: Path, size: int, head: bytes = b"") -> None:
    """Write a private file whole, its space promised, or leave nothing."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size)
        os.pwrite(descriptor, head, 0)
    except OSError as error:
        path.unlink()
        raise Misconfigured(
            f"{path.parent} has no room even for {path.name} ({error.strerror}): free some, or name another directory"
        ) from error
    finally:
        os.close(descriptor)
