"""One LMDB environment in this process: opened once, reopened after fork, written by one thread at a time.

Reads begin a transaction of their own and never wait. Everything else holds `lock`, a plain lock of this
process: so `os.fork` (which takes it, too) never comes upon a write transaction or a cursor in mid-flight, and
threads wait for each other without troubling LMDB's mutex. Between processes LMDB's robust mutex decides.

Durability ``process`` writes through a shared map and survives the death of any process. Durability ``commit``
calls fsync before it answers (`kt_core.database.group`).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, TypeVarTuple

import lmdb

from kt_core.database.control import (
    BEING_MADE,
    BYPASSED,
    EVICTIONS,
    EXPIRATIONS,
    FORMAT,
    HITS,
    LOCK_FILE_SIZE,
    MAX_READERS,
    MISSES,
    MODE,
    RETRY_AT,
    TURN,
    WRITER,
    Settings,
)
from kt_core.database.files import Files
from kt_core.database.group import GroupCommit, as_ours
from kt_core.database.housekeeping import Housekeeper, RoomNeeded
from kt_core.database.options import MAX_DATABASES, DatabaseOptions
from kt_core.database.place import private_directory
from kt_core.errors import Damaged, InvalidInput, Misconfigured, StoreFull

logger = logging.getLogger("kt_core.database")

Write: TypeAlias = "lmdb.Transaction[bytes]"
"""A write transaction on one logical database; what it reads are copies."""
View: TypeAlias = "lmdb.Transaction[memoryview]"
"""A write transaction that reads without copying: what it gives is valid until it writes."""

Begin: TypeAlias = "Callable[..., lmdb.Transaction[Any]]"
Reading: TypeAlias = "tuple[Begin, list[Any], memoryview, memoryview[float], int, memoryview, Callable[[], float]]"
"""How a transaction begins, the handles, this process's counts, the stamps and their mask, the words, the clock."""
Ts = TypeVarTuple("Ts")
T = TypeVar("T")

_LOOKS = 100  # at a writer's mark, 40 ns each, before waiting in the mutex
_BYPASS_RETRY = 100  # milliseconds between attempts to leave the bypass
_TICK = b"tick"  # the one record beside the logical databases, whose names are numbers
_SWEEPS = 4  # after as many attempts, a value that still finds no room is given up
_READER_PATIENCE = 0.25  # seconds


class Environment:
    """The shared, bounded set of logical databases in one directory; `Environment.open` gives it."""

    def __init__(self, directory: Path, options: DatabaseOptions, clock: Callable[[], float]) -> None:
        self.directory = directory
        self.options = options
        self.clock = clock
        self.lock = threading.Lock()
        self._group: GroupCommit | None = None
        self._key = ""  # in the registry
        self.begin: Begin = _closed
        self._opening = threading.Lock()
        self._forking: threading.Event | None = None
        self._indices: dict[Any, int] = {}  # of every handle there ever was: callers may hold one from before a fork
        self._abandoned: list[lmdb.Environment] = []
        self._open()

    @classmethod
    def open(
        cls,
        directory: Path | str,
        options: DatabaseOptions | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> Environment:
        """Return this process's environment of a directory, which is made if it does not exist.

        LMDB may be opened only once in a process, so the same directory gives the same environment; asking for
        it with other options is an error. `clock` gives seconds since the epoch.
        """
        options = options or DatabaseOptions()
        with _registry_lock:
            path = Path(directory)
            key = os.path.realpath(path)
            found = _registry.get(key)
            if found is None:
                found = _registry[key] = cls(path, options, clock)
                found._key = key
            else:
                _refuse_other_options(found, options)
                with found.lock:
                    found.provide(options.databases)
            return found

    @staticmethod
    def close_below(directory: Path) -> None:
        """Close every environment that this process has open in or below a directory."""
        with _registry_lock:
            for environment in [each for each in _registry.values() if each.directory.is_relative_to(directory)]:
                environment.close()

    # -- opening, forking, closing ---------------------------------------------------------------------

    def _open(self) -> None:
        options = self.options
        private_directory(self.directory)
        wanted = Settings.for_size(options.max_size, options.durability, options.eviction, _boot_id())
        with Files.open(self.directory, wanted) as files:
            self.files = files
            self.control = files.control
            self.words = files.control.words
            self.durable = files.settings.durability == "commit"
            self._group = GroupCommit(self) if self.durable else None
            self.evicts = files.settings.eviction == "lru"
            try:
                self._open_handle()
            except lmdb.Error as error:
                raise self.failure(error) from error

    def _open_handle(self) -> None:
        """Open LMDB's part, the only one that a fork does not leave open."""
        self._pid = os.getpid()
        self.handle = _open_lmdb(self.directory, self.files.settings)
        try:
            self.files.complete()
            self.handle.reader_check()
            self.housekeeper = Housekeeper(self)
            self.housekeeper.reserve(0)
            with self.handle.begin(write=True) as txn:
                if txn.get(_TICK) is None:
                    txn.put(_TICK, b"")
                self.control.join()
                made = txn.stat()["entries"] - 1  # the tick
            self.dbis = self._open_databases(range(max(made, self.options.databases)))
        except BaseException:
            self.handle.close()
            raise
        self._let_begin(self.handle.begin)

    def _open_databases(self, numbers: range) -> list[Any]:
        opened = [self.handle.open_db(b"%d" % number) for number in numbers]
        self._indices |= dict(zip(opened, numbers, strict=True))
        return opened

    def provide(self, databases: int) -> None:
        """Have as many logical databases, where whoever opened the environment first asked for fewer; hold the lock."""
        if len(self.dbis) < databases:
            self.begin().abort()  # opens anew after a fork
            try:
                self.dbis += self._open_databases(range(len(self.dbis), databases))
            except lmdb.Error as error:
                raise self._failed(error) from error

    def _let_begin(self, begin: Begin) -> None:
        """Set how transactions begin, and gather in one tuple all that a point read needs: it costs one look-up."""
        self.begin = begin
        control = self.control
        self.reading: Reading = (begin, self.dbis, control.counts, control.stamps, control.mask, self.words, self.clock)

    def _begin_anew(
        self, db: Any = None, parent: Any = None, write: bool = False, buffers: bool = False
    ) -> lmdb.Transaction[Any]:
        with self._opening:
            if self.begin == self._begin_anew:
                if self.files.are_current():
                    self._open_handle()
                else:
                    self._open()
        return self.begin(self.dbis[self._indices[db]] if db is not None else None, parent, write, buffers)

    def abandon(self) -> None:
        """Open the directory anew at the next use: somebody has removed the files under the open ones."""
        logger.error("%s was removed while in use; it is made anew", self.directory)
        # The old handle stays open unused: another thread may be reading from it.
        self._abandoned.append(self.handle)
        self._let_begin(self._begin_anew)

    def recover(self) -> None:
        """Open LMDB's part anew if it has given up, as where the end of a commit cannot be written; hold the lock.

        It refuses everything from then on (``MDB_PANIC``). All that was committed before is there.
        """
        if self.begin != self._begin_anew and self._has_given_up():
            logger.error("%s is opened anew: the end of a commit could not be written", self.directory)
            with self._opening:
                self._close_handle()

    def _has_given_up(self) -> bool:
        try:
            self.handle.begin().abort()
        except lmdb.Error as error:
            return isinstance(error, lmdb.PanicError)
        return False

    def _close_handle(self) -> None:
        self._let_begin(self._begin_anew)
        self.handle.close()

    def before_fork(self) -> None:
        """Close LMDB's part, which must not be in two processes; each opens it again at its next use.

        A child cannot close an environment it inherited either: LMDB would clear the parent's reader slots.
        """
        # Threads that write without pause would take the lock again before this one wakes up.
        self._forking = threading.Event()
        self.lock.acquire()
        self._opening.acquire()
        if self.begin != self._begin_anew:
            self._close_handle()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._opening.release()
        self.lock.release()
        self._let_others_go_on()

    def after_fork_in_child(self) -> None:
        """Go on, with locks that no vanished thread holds."""
        self.lock = threading.Lock()
        self._opening = threading.Lock()
        self._group = GroupCommit(self) if self.durable else None
        self._let_others_go_on()

    def _let_others_go_on(self) -> None:
        if self._forking is not None:
            self._forking.set()
            self._forking = None

    def wait_for_fork(self) -> None:
        """Let a fork that waits for the lock go first."""
        forking = self._forking
        if forking is not None:
            forking.wait()

    # -- reading -----------------------------------------------------------------------------------------

    @contextmanager
    def view(self, index: int) -> Iterator[View]:
        """Hold the lock and a read transaction on a logical database: for all that is more than a point read."""
        self.wait_for_fork()
        with self.lock:
            txn = self.begin(self.dbis[index], None, False, True)
            try:
                yield txn
            except lmdb.Error as error:
                raise self.failure(error) from error
            finally:
                txn.abort()

    def reads_again(self, reading: object, error: lmdb.Error) -> bool:
        """Tell whether a read that failed is to be done again, because LMDB's part was opened anew meanwhile.

        If not, it has found nothing; what is no matter of a cache is raised.
        """
        if reading is not self.reading:
            return True
        if isinstance(error, lmdb.PanicError):  # the writer that met the failure has the lock
            with self.lock:
                self.recover()
            return True
        if isinstance(error, lmdb.ReadersFullError) and self.handle.reader_check():
            return True
        failure = self.failure(error)
        if not self.bypassed:
            raise failure from error
        return False

    def failure(self, error: BaseException) -> BaseException:
        """Return what an error of LMDB means here; a damaged cache is condemned, and empty until it is made anew."""
        ours = as_ours(error, self.directory)
        if not (isinstance(ours, Damaged) and self.evicts):
            return ours
        if not self.bypassed:
            logger.error("%s is empty from now on, and made anew when it is opened next: %s", self.directory, error)
        self.control.mark_bypassed(True)
        self.control.declare(BEING_MADE)
        return StoreFull(str(ours))

    def _failed(self, error: BaseException) -> BaseException:
        """Return what the failure of a write means, and be ready for the next one; the lock is held."""
        self.recover()
        return self.failure(error)

    def close(self) -> None:
        """Close the environment in this process; other processes go on."""
        with _registry_lock, self.lock:
            if self.begin is _closed:
                return
            del _registry[self._key]
            self._let_begin(_closed)
            self.handle.close()
            self.files.close()
            self.words = memoryview(bytes(len(self.words) * 8)).cast("q")
            self.control.close()

    # -- writing ---------------------------------------------------------------------------------------

    def write(self, index: int, operation: Callable[[Write, *Ts], T], *args: *Ts) -> T:
        """Run an operation in a write transaction on a logical database, commit it, and return its result.

        What the operation raises aborts it alone. `StoreFull` if there is no room, even after eviction.
        """
        if self._group is not None:
            return self._group.write(index, operation, *args)
        self.wait_for_fork()
        with self.lock:
            if self.words[MODE] & BYPASSED:
                self._leave_bypass()
            failures = 0
            while True:
                words = self.words
                if words[WRITER]:
                    # Another process is writing, for some 3 µs; to sleep in LMDB's mutex and be woken takes 20.
                    for _ in range(_LOOKS):
                        if not words[WRITER]:
                            break
                txn: Write = self.begin(self.dbis[index], None, True)
                words, pid = self.words, self._pid
                words[WRITER] = pid
                try:
                    result = operation(txn, *args)
                    txn.commit()
                    if words[WRITER] == pid:
                        words[WRITER] = 0
                    return result
                except BaseException as error:
                    words[WRITER] = 0
                    txn.abort()
                    failures += isinstance(error, lmdb.MapFullError)
                    if not self._make_room(error, failures):
                        if isinstance(error, lmdb.Error):
                            raise self._failed(error) from error
                        raise

    def _make_room(self, error: BaseException, failures: int) -> bool:
        """Do what the failure of a write asks for; tell whether to run it again."""
        if isinstance(error, RoomNeeded):
            goal = self.in_transaction(self.housekeeper.run, error)
            self.provide(self.housekeeper.databases)  # what other processes have made is to be counted, too
            self._evict(goal)
            return True
        if not isinstance(error, lmdb.MapFullError):
            return False
        # Eviction keeps the map from filling. What fills it is a reader that was killed, or interrupted for a while,
        # in the middle of its read, or large values whose pages find no gap between small ones.
        if not self._await_readers():
            return False
        if self.evicts and failures > 1:
            self._evict(self.files.settings.map_size >> 6 - failures)
        # LMDB uses pages again two transactions after the one that freed them, and commits only what changed.
        self.in_transaction(lambda txn: txn.put(_TICK, b"%d" % self.words[TURN]))
        return failures <= (_SWEEPS if self.evicts else 1)

    def _await_readers(self) -> bool:
        """Give the reads that are open by now a little time; tell whether all of them have ended."""
        newest = self.handle.info()["last_txnid"]
        deadline = time.monotonic() + _READER_PATIENCE
        self.handle.reader_check()
        while any(txnid < newest for txnid in self._readers()):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.001)
        return True

    def _evict(self, goal: int) -> None:
        while goal > 0 and (freed := self.in_transaction(self.housekeeper.evict, goal)):
            goal -= freed

    def in_transaction(self, work: Callable[[View, *Ts], T], *args: *Ts) -> T:
        """Run work that reads without copying in a write transaction of its own; the lock is held already."""
        try:
            with self.begin(None, None, True, True) as txn:
                self.words[WRITER] = self._pid
                result = work(txn, *args)
            self.words[WRITER] = 0
            return result
        except lmdb.Error as error:
            self.words[WRITER] = 0
            raise self._failed(error) from error

    def vacuum(self) -> int:
        """Delete every expired record of every logical database now; return how many there were."""
        self.wait_for_fork()
        with self.lock:
            return self.in_transaction(self.housekeeper.sweep)

    def tidy(self) -> None:
        """Look at the next few records, and delete those that have expired: for whoever is idle."""
        self.wait_for_fork()
        with self.lock:
            if not self.bypassed:
                self.in_transaction(self.housekeeper.expire)

    def may_wait(self) -> bool:
        """Tell whether a write begun now may have to wait: for an fsync, or for another writer."""
        return self.durable or self.lock.locked() or bool(self.words[WRITER])

    # -- a full map that cannot be emptied -------------------------------------------------------------

    def enter_bypass(self) -> None:
        """Let the database be empty and take nothing, until `_leave_bypass` finds that it can be written again.

        LMDB may not reuse a page that an open read transaction can see. A process stopped inside one holds on to
        all of them; once the map is full not even a deletion finds a page, and what may not be deleted may not be
        read either, since it is out of date. A cache can stand that; a database that evicts nothing never gets here.
        """
        if not self.bypassed:
            logger.error(
                "%s is full and cannot be emptied while a stopped process reads it: the cache is empty until then (%s)",
                self.directory,
                " ".join(self.handle.readers().split()),
            )
        self.control.mark_bypassed(True)

    def _leave_bypass(self) -> None:
        now = int(self.clock() * 1000)
        if now >= self.words[RETRY_AT]:
            self.words[RETRY_AT] = now + _BYPASS_RETRY
            self.begin().abort()  # opens anew after a fork
            self.handle.reader_check()
            if not self._readers():
                self.in_transaction(self._drop_all)
                self.control.declare(FORMAT)
                self.control.mark_bypassed(False)
                logger.warning("%s can be written again; it begins empty", self.directory)
                return
        raise StoreFull(f"{self.directory} is full: a stopped process holds on to its pages")

    def _drop_all(self, txn: View) -> None:
        for dbi in self.dbis:
            txn.drop(dbi, delete=False)

    def _readers(self) -> list[int]:
        """Return the transaction ids of the read transactions open anywhere."""
        rows = [row.split() for row in self.handle.readers().splitlines()[1:]]
        return [int(row[2]) for row in rows if len(row) == 3 and row[2] != "-"]

    def has_reader_behind(self, transactions: int) -> bool:
        """Tell whether a read has been open for more than so many transactions: no page freed since is used again."""
        newest = self.handle.info()["last_txnid"]
        return any(txnid < newest - transactions for txnid in self._readers())

    @property
    def bypassed(self) -> bool:
        """Whether the database is empty, and takes nothing, until it can be written again."""
        return bool(self.words[MODE] & BYPASSED)

    def counters(self) -> dict[str, int]:
        """Return `max_size` (bytes), and what all processes together counted since the files were made."""
        settings = self.files.settings
        return {
            "max_size": settings.map_size + settings.file_size + LOCK_FILE_SIZE,
            "hits": self.control.total(HITS),
            "misses": self.control.total(MISSES),
            "evictions": self.words[EVICTIONS],
            "expirations": self.words[EXPIRATIONS],
            "processes": self.control.processes(),
        }

    def synchronize(self) -> None:
        """Write everything to the disk, and return when it is there."""
        with self.lock:
            self.begin().abort()  # opens anew after a fork
            try:
                self.handle.sync(True)
            except lmdb.Error as error:
                raise self.failure(error) from error


def _refuse_other_options(environment: Environment, options: DatabaseOptions) -> None:
    other = [
        f"{field.name}={getattr(options, field.name)!r} (open with {getattr(environment.options, field.name)!r})"
        for field in fields(DatabaseOptions)
        if field.name != "databases" and getattr(options, field.name) != getattr(environment.options, field.name)
    ]
    if other:
        raise Misconfigured(
            f"{environment.directory} is already open in this process with other options: {', '.join(other)}; "
            "give every alias of one database the same"
        )


def _open_lmdb(directory: Path, settings: Settings) -> lmdb.Environment:
    durable = settings.durability == "commit"
    try:
        return lmdb.open(
            str(directory),
            map_size=settings.map_size,
            mode=0o600,
            # A shared writable map makes a commit cost 1.5 µs instead of 15; fsync needs neither.
            writemap=not durable,
            map_async=not durable,
            sync=durable,
            metasync=durable,
            readahead=False,
            meminit=False,
            max_readers=MAX_READERS,
            max_dbs=MAX_DATABASES,
            max_spare_txns=1,
            lib_version=0,
        )
    except lmdb.Error as error:
        raise Misconfigured(f"LMDB cannot open {directory}: {error}") from error


def _closed(*_: Any, **__: Any) -> Any:
    raise InvalidInput("the database has been closed")


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


_registry: dict[str, Environment] = {}
_registry_lock = threading.RLock()


def _before_fork() -> None:
    _registry_lock.acquire()
    for environment in _registry.values():
        environment.before_fork()


def _after_fork_in_parent() -> None:
    for environment in _registry.values():
        environment.after_fork_in_parent()
    _registry_lock.release()


def _after_fork_in_child() -> None:
    global _registry_lock
    _registry_lock = threading.RLock()
    for environment in _registry.values():
        environment.after_fork_in_child()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
