"""A lock has one owner at a time, and for no longer than its timeout; whoever has lost it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest

from kt_cache.locks import AsyncLock, Lock, LockError, LockOptions
from kt_cache.reserved import Kind, reserved
from kt_cache.stores import AsyncStore, Value
from kt_cache.stores.embedded import EmbeddedStore
from kt_cache.stores.replicas import ReplicatedStore
from kt_cache.stores.routing import RoutedStore
from kt_cache.stores.tolerant import TolerantStore
from kt_core.database import Database, DatabaseOptions, Environment
from kt_core.errors import ConnectionFailed, InvalidInput
from tests.clock import Clock
from tests.processes import running
from tests.stores.failing import Failing
from tests.stores.guarded import Guarded
from tests.stores.twinned import Twinned

RECORD, FENCE = reserved(Kind.LOCK, b"name"), reserved(Kind.FENCE, b"name")
OUTAGE = ConnectionFailed("refused")


class Awaited:
    """A lock to be waited for, made of an `AsyncLock`."""

    def __init__(self, lock: AsyncLock, runner: asyncio.Runner) -> None:
        self._lock = lock
        self._runner = runner

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._lock, name)
        return lambda *args, **kwargs: self._runner.run(method(*args, **kwargs))

    @property
    def token(self) -> int | None:
        """As the lock's."""
        return self._lock.token

    def __enter__(self) -> Awaited:
        assert self._runner.run(self._lock.__aenter__()) is self._lock
        return self

    def __exit__(self, *error: Any) -> None:
        self._runner.run(self._lock.__aexit__(*error))


@pytest.fixture
def clock() -> Clock:
    """Return a clock that the test moves."""
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Twinned:
    """Return an empty store."""
    return Twinned(clock)


MakeLock = Callable[..., Any]


@pytest.fixture(params=["waiting", "awaited"])
def make(request: pytest.FixtureRequest, runner: asyncio.Runner, clock: Clock, store: Twinned) -> MakeLock:
    """Return a function that makes locks of one name, of the way that is tested, with the options given."""

    def make(on: Any = store, timer: Callable[[], float] = lambda: 0.0, **options: Any) -> Any:
        rules = LockOptions(**{"sleep": 0.001, **options})
        if request.param == "waiting":
            return Lock(on, b"name", rules, clock=clock, timer=timer)
        return Awaited(AsyncLock(on, b"name", rules, clock=clock, timer=timer), runner)

    return make


# -- one owner ---------------------------------------------------------------------------------------------


def test_a_lock_is_got_and_let_go_of(make: MakeLock, store: Twinned) -> None:
    lock = make()
    assert (lock.locked(), lock.owned(), lock.token) == (False, False, None)
    assert lock.acquire() is True
    assert (lock.locked(), lock.owned()) == (True, True)
    assert store.get(RECORD) == lock.token
    lock.release()
    assert (lock.locked(), lock.owned(), lock.token) == (False, False, None)
    assert lock.acquire() is True


def test_another_does_not_get_it_meanwhile(make: MakeLock) -> None:
    first, second = make(), make(blocking=False)
    assert first.acquire()
    assert second.acquire() is False
    assert (second.locked(), second.owned(), second.token) == (True, False, None)
    assert first.owned()
    first.release()
    assert second.acquire() is True


def test_as_a_context_it_is_acquired_and_released(make: MakeLock) -> None:
    with make() as lock:
        assert lock.owned()
        assert not make().acquire(blocking=False)
    assert not lock.locked()


def test_an_error_inside_releases_it_too(make: MakeLock) -> None:
    lock = make()
    with pytest.raises(LookupError), lock:
        raise LookupError
    assert not lock.locked()


def test_a_context_that_cannot_be_entered_is_an_error(make: MakeLock) -> None:
    make().acquire()
    with pytest.raises(LockError, match="the lock 'name' could not be acquired"), make(blocking=False):
        pytest.fail("the block was entered")


def test_locks_of_other_names_are_others(store: Twinned) -> None:
    assert Lock(store, b"a", LockOptions()).acquire()
    assert Lock(store, b"b", LockOptions(blocking=False)).acquire()


def test_a_name_may_be_any_bytes(store: Twinned) -> None:
    lock = Lock(store, b"\xff\0", LockOptions())
    with pytest.raises(LockError, match=r"xff"):
        lock.release()


# -- waiting -----------------------------------------------------------------------------------------------


def test_whoever_does_not_block_looks_once(make: MakeLock, store: Twinned) -> None:
    make().acquire()
    records = store.get_many([RECORD, FENCE])
    assert make().acquire(blocking=False) is False
    assert make(blocking=False).acquire() is False
    assert store.get_many([RECORD, FENCE]) == records


def test_the_arguments_of_acquire_go_before_the_options(make: MakeLock) -> None:
    make().acquire()
    seconds = iter(range(100))
    lock = make(blocking=False, timer=lambda: next(seconds))
    assert lock.acquire(blocking=True, blocking_timeout=3) is False
    assert next(seconds) == 4
    assert make(blocking_timeout=1e9).acquire(blocking_timeout=0) is False


def test_nobody_waits_longer_than_the_blocking_timeout(make: MakeLock) -> None:
    make().acquire()
    seconds = iter(range(100))
    assert make(blocking_timeout=5, timer=lambda: next(seconds)).acquire() is False
    assert next(seconds) == 6  # it has begun at 0, and looked at 1, 2, 3, 4 and 5


def test_whoever_waits_gets_it_when_it_is_let_go_of(make: MakeLock, clock: Clock) -> None:
    class Leaving(Twinned):
        """Its owner leaves after some looks."""

        looks = 0

        def exists(self, key: bytes) -> bool:
            self.looks += 1
            if self.looks == 3:
                self.delete(RECORD)
            return super().exists(key)

    store = Leaving(clock)
    store.set(RECORD, 7, None)
    assert make(store).acquire() is True
    assert store.looks >= 3


def test_threads_exclude_each_other(clock: Clock) -> None:
    store = Twinned(clock)
    inside: list[int] = []
    tokens: list[int] = []

    def work(_: int) -> None:
        lock = Lock(store, b"name", LockOptions(sleep=0.0001))
        for _ in range(10):
            with lock:
                inside.append(1)
                assert len(inside) == 1
                assert lock.token is not None
                tokens.append(lock.token)
                inside.pop()

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(6)))
    assert len(tokens) == 60
    assert tokens == sorted(set(tokens))


def test_tasks_exclude_each_other(clock: Clock) -> None:
    store = Twinned(clock)
    inside: list[int] = []
    tokens: list[int] = []

    async def work() -> None:
        lock = AsyncLock(store, b"name", LockOptions(sleep=0.0001, thread_local=False))
        for _ in range(5):
            async with lock:
                inside.append(1)
                await asyncio.sleep(0)
                assert len(inside) == 1
                assert lock.token is not None
                tokens.append(lock.token)
                inside.pop()

    async def scenario() -> None:
        await asyncio.gather(*(work() for _ in range(6)))

    asyncio.run(scenario())
    assert len(tokens) == 30
    assert tokens == sorted(set(tokens))


# -- fencing tokens ----------------------------------------------------------------------------------------


def next_token(make: MakeLock) -> int:
    with make() as lock:
        token: int = lock.token
        return token


def test_each_owner_has_a_greater_token_than_the_one_before(make: MakeLock, clock: Clock) -> None:
    tokens = [next_token(make) for _ in range(10)]
    assert tokens == sorted(set(tokens))


def test_also_after_the_fence_is_gone(make: MakeLock, store: Twinned, clock: Clock) -> None:
    """However many there were: none of them takes less than a microsecond."""
    before = [next_token(make) for _ in range(100)]
    store.delete(FENCE)
    clock.advance(0.001)
    assert next_token(make) > before[-1]
    clock.advance(2 * 86400)
    assert not store.exists(FENCE)
    assert next_token(make) > before[-1]


def test_also_after_the_fence_has_been_brought_back(make: MakeLock, store: Twinned, clock: Clock) -> None:
    """As by a server that was dead for a while."""
    first = next_token(make)
    clock.advance(0.001)
    before = [next_token(make) for _ in range(100)]
    store.set(FENCE, first, None)
    clock.advance(0.001)
    assert next_token(make) > before[-1]


def test_the_fence_lives_as_long_as_it_is_used(make: MakeLock, store: Twinned, clock: Clock) -> None:
    for _ in range(3):
        next_token(make)
        assert store.ttl(FENCE) == 86400
        clock.advance(80000)


def test_also_from_a_replica_that_lags_behind(make: MakeLock, clock: Clock) -> None:
    primary, replica = Guarded("primary", clock), Guarded("replica", clock)
    store = ReplicatedStore(cast(AsyncStore, primary), [replica.member])
    before = next_token(lambda: make(store, blocking=False))
    replica.records.set(FENCE, before - 1, None)
    clock.advance(-3600)
    assert next_token(lambda: make(store, blocking=False)) > before


def test_also_after_the_clock_has_stepped_back(make: MakeLock, clock: Clock) -> None:
    before = next_token(make)
    clock.advance(-3600)
    assert next_token(make) > before


def test_whoever_is_slow_to_take_a_token_does_not_come_after_a_greater_one(make: MakeLock, clock: Clock) -> None:
    class Slow(Twinned):
        """Somebody else has the lock between any two steps, if that can be."""

        owners: list[int]
        busy = False

        def get(self, key: bytes) -> Value | None:
            found = super().get(key)
            self.interfere()
            return found

        def add(self, key: bytes, value: Value, timeout: float | None) -> bool:
            self.interfere()
            return super().add(key, value, timeout)

        def interfere(self) -> None:
            if not self.busy:
                self.busy = True
                other = Lock(self, b"name", LockOptions(blocking=False), clock=clock)
                if other.acquire():
                    assert other.token is not None
                    self.owners.append(other.token)
                    other.release()
                self.busy = False

    store = Slow(clock)
    store.owners = []
    for _ in range(5):
        with make(store) as lock:
            store.owners.append(lock.token)
    assert len(store.owners) > 5
    assert store.owners == sorted(set(store.owners))


def test_whoever_loses_the_lock_before_the_token_is_taken_does_not_get_it(make: MakeLock, clock: Clock) -> None:
    class Slower(Twinned):
        def get(self, key: bytes) -> Value | None:
            clock.advance(11)
            return super().get(key)

    lock = make(Slower(clock), timeout=10, blocking=False)
    assert lock.acquire() is False
    assert lock.token is None
    assert not lock.locked()


@pytest.mark.parametrize("error", [ConnectionFailed("refused"), KeyboardInterrupt(), asyncio.CancelledError()])
def test_whoever_fails_to_take_a_token_lets_go_of_the_lock(make: MakeLock, clock: Clock, error: BaseException) -> None:
    class Breaking(Twinned):
        def get(self, key: bytes) -> Value | None:
            raise error

    lock = make(Breaking(clock))
    with pytest.raises(type(error)):
        lock.acquire()
    assert not lock.locked()


def test_also_of_one_whose_lock_was_over(make: MakeLock, clock: Clock) -> None:
    first, second = make(timeout=10), make(timeout=10)
    first.acquire()
    clock.advance(11)
    second.acquire()
    assert second.token > first.token


# -- the end of a lock -------------------------------------------------------------------------------------


def test_a_lock_ends_with_its_timeout(make: MakeLock, clock: Clock) -> None:
    first, second = make(timeout=10), make(blocking=False)
    first.acquire()
    clock.advance(9)
    assert second.acquire() is False
    clock.advance(2)
    assert second.acquire() is True
    assert (first.owned(), second.owned()) == (False, True)


def test_a_lock_without_a_timeout_never_ends(make: MakeLock, clock: Clock) -> None:
    lock = make(timeout=None)
    lock.acquire()
    clock.advance(1e9)
    assert lock.owned()
    assert make(blocking=False).acquire() is False


@pytest.mark.parametrize(
    "use",
    [lambda lock: lock.release(), lambda lock: lock.extend(10), lambda lock: lock.reacquire()],
    ids=["release", "extend", "reacquire"],
)
def test_whoever_has_lost_it_is_told_and_changes_nothing(
    make: MakeLock, store: Twinned, clock: Clock, use: Callable[[Any], object]
) -> None:
    first, second = make(timeout=10), make(timeout=10)
    first.acquire()
    clock.advance(11)
    with pytest.raises(LockError, match=r"its timeout of 10 s was over; give it a longer one"):
        use(first)
    first.acquire()
    clock.advance(11)
    second.acquire()
    with pytest.raises(LockError, match=r"its timeout of 10 s was over"):
        use(first)
    assert second.owned()
    assert store.ttl(RECORD) == 10


@pytest.mark.parametrize(
    "use",
    [lambda lock: lock.release(), lambda lock: lock.extend(10), lambda lock: lock.reacquire()],
    ids=["release", "extend", "reacquire"],
)
def test_whoever_never_had_it_is_told(make: MakeLock, use: Callable[[Any], object]) -> None:
    make().acquire()
    with pytest.raises(LockError, match="is not held here"):
        use(make())
    released = make(blocking=False, timeout=None)
    assert not released.acquire()
    with pytest.raises(LockError, match="is not held here"):
        use(released)


def test_nobody_releases_twice(make: MakeLock) -> None:
    lock = make()
    lock.acquire()
    lock.release()
    with pytest.raises(LockError, match="is not held here"):
        lock.release()


def test_extending_adds_time_or_gives_it_anew(make: MakeLock, store: Twinned, clock: Clock) -> None:
    lock = make(timeout=10)
    lock.acquire()
    clock.advance(4)
    assert lock.extend(30) is True
    assert store.ttl(RECORD) == 36
    assert lock.extend(5, replace_ttl=True) is True
    assert store.ttl(RECORD) == 5
    assert lock.reacquire() is True
    assert store.ttl(RECORD) == 10
    assert lock.extend(None) is True
    assert lock.extend(30) is True
    clock.advance(1e9)
    assert lock.owned()


@pytest.mark.parametrize("seconds", [0, -1, 0.0, float("nan")])
def test_no_time_is_no_timeout(make: MakeLock, seconds: float) -> None:
    with pytest.raises(InvalidInput, match="a lock cannot be held for"):
        make(timeout=seconds)
    lock = make()
    lock.acquire()
    with pytest.raises(InvalidInput, match="a lock cannot be held for"):
        lock.extend(seconds)
    assert lock.owned()


# -- threads that share the object -------------------------------------------------------------------------


def in_another_thread(function: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(function).result()


def test_each_thread_is_an_owner_of_its_own(store: Twinned) -> None:
    lock = Lock(store, b"name", LockOptions(blocking=False))
    assert lock.acquire()
    assert in_another_thread(lambda: (lock.token, lock.owned(), lock.acquire())) == (None, False, False)
    with pytest.raises(LockError, match="is not held here"):
        in_another_thread(lock.release)
    lock.release()
    assert in_another_thread(lock.acquire) is True
    assert lock.token is None


def test_or_else_the_object_is(store: Twinned) -> None:
    lock = Lock(store, b"name", LockOptions(thread_local=False))
    assert in_another_thread(lock.acquire) is True
    assert lock.owned()
    lock.release()
    assert not in_another_thread(lock.owned)


# -- outages -----------------------------------------------------------------------------------------------


class Server:
    """A store whose server can be taken down."""

    def __init__(self, store: Twinned) -> None:
        self._store = store
        self.is_down = False

    def __getattr__(self, name: str) -> Any:
        return getattr(Failing(OUTAGE) if self.is_down else self._store, name)


@pytest.fixture
def server(store: Twinned) -> Server:
    """Return a server that is up."""
    return Server(store)


def test_in_an_outage_nobody_gets_a_lock_and_nobody_waits(make: MakeLock, server: Server) -> None:
    server.is_down = True
    lock = make(TolerantStore(server))
    assert lock.acquire() is False
    assert (lock.locked(), lock.owned()) == (False, False)
    with pytest.raises(LockError, match="its store is out of order"), lock:
        pytest.fail("the block was entered")


def test_an_outage_ends_the_waiting(make: MakeLock, clock: Clock) -> None:
    class Failed(Twinned):
        """It has failed by the third look: all that it can say is that nothing is there, and nothing done."""

        looks = 0

        def exists(self, key: bytes) -> bool:
            self.looks += 1
            return self.looks < 3

        def add(self, key: bytes, value: Value, timeout: float | None) -> bool:
            return False

        def ping(self) -> bool:
            return self.looks < 3

    store = Failed(clock)
    store.set(RECORD, 7, None)
    assert make(store).acquire() is False


def test_the_outage_of_another_server_does_not_end_the_waiting(make: MakeLock, clock: Clock) -> None:
    names = "abcdefgh"
    servers = {name: Guarded(name, clock) for name in names}
    store = RoutedStore(
        [
            server.member._replace(store=cast(AsyncStore, TolerantStore(server.member.store)))
            for server in servers.values()
        ]
    )
    homes = {store.store_of(key) for key in (RECORD, FENCE)}
    for server in servers.values():
        server.is_down = not any(home._store is server for home in homes)
    assert not store.ping()
    first, seconds = make(store), count()
    assert first.acquire() is True
    assert make(store, timer=seconds.__next__).acquire(blocking_timeout=5) is False
    assert next(seconds) == 6
    clock.advance(61)
    assert make(store).acquire() is True
    with pytest.raises(LockError, match="its timeout"):
        first.release()


def test_a_lock_is_let_go_of_in_an_outage(make: MakeLock, server: Server, clock: Clock) -> None:
    with make(TolerantStore(server), timeout=10) as lock:
        server.is_down = True
    assert lock.token is None
    server.is_down = False
    clock.advance(11)
    assert make(TolerantStore(server), blocking=False).acquire() is True


def test_in_an_outage_it_is_not_sure_that_it_is_held(make: MakeLock, server: Server) -> None:
    lock = make(TolerantStore(server))
    lock.acquire()
    server.is_down = True
    assert lock.owned() is False
    with pytest.raises(LockError):
        lock.extend(10)


def test_an_outage_is_raised_otherwise(make: MakeLock, server: Server) -> None:
    lock = make(server)
    lock.acquire()
    server.is_down = True
    for use in (lock.release, lock.acquire, lock.locked):
        with pytest.raises(ConnectionFailed):
            use()


def test_a_cache_that_keeps_nothing_gives_nobody_a_lock(make: MakeLock, tmp_path: Path) -> None:
    environment = Environment.open(tmp_path, DatabaseOptions(1 << 20))
    store = EmbeddedStore(Database(environment))
    reader = environment.begin()
    environment.enter_bypass()
    assert make(store).acquire() is False
    reader.abort()
    environment.close()


# -- processes ---------------------------------------------------------------------------------------------

_BEGIN = """
import sys
from kt_cache.locks import Lock, LockOptions
from kt_cache.stores.embedded import EmbeddedStore
from kt_core.database import Database, DatabaseOptions, Environment

store = EmbeddedStore(Database(Environment.open(sys.argv[1], DatabaseOptions(1 << 20))))
lock = Lock(store, b"name", LockOptions(timeout=float(sys.argv[2]), sleep=0.001))
"""
_COUNT = (
    _BEGIN
    + """
for _ in range(30):
    with lock:
        store.set(b"counted", store.get(b"counted") + 1, None)
        store.set(b"tokens", (store.get(b"tokens") or b"") + b" %d" % lock.token, None)
"""
)
_HOLD = (
    _BEGIN
    + """
lock.acquire()
print(lock.token, flush=True)
sys.stdin.read()
"""
)


@pytest.fixture
def environment(tmp_path: Path) -> Any:
    """Return an environment that processes share."""
    environment = Environment.open(tmp_path / "shared", DatabaseOptions(1 << 20))
    yield environment
    environment.close()


def test_processes_exclude_each_other(environment: Environment) -> None:
    store = EmbeddedStore(Database(environment))
    store.set(b"counted", 0, None)
    with ExitStack() as stack:
        counting = [stack.enter_context(running(_COUNT, environment.directory, 60)) for _ in range(3)]
        assert [process.wait(60) for process in counting] == [0] * 3
    assert store.get(b"counted") == 90
    written = store.get(b"tokens")
    assert isinstance(written, bytes)
    tokens: list[Value] = [int(token) for token in written.split()]
    assert len(tokens) == 90
    assert tokens == sorted(set(tokens))


def test_the_lock_of_one_who_was_killed_ends_with_its_timeout(environment: Environment) -> None:
    """Half a second is what the killed one had asked for, and all that the other waits."""
    lock = Lock(EmbeddedStore(Database(environment)), b"name", LockOptions())
    with running(_HOLD, environment.directory, 0.5) as process:
        assert process.stdout is not None
        token = int(process.stdout.readline())
        process.kill()
        process.wait()
    assert lock.acquire(blocking_timeout=10) is True
    assert lock.token is not None
    assert lock.token > token


def test_one_who_is_alive_holds_it_as_long_as_he_extends_it(store: Twinned, clock: Clock) -> None:
    lock = Lock(store, b"name", LockOptions(timeout=10), clock=clock)
    with lock:
        for _ in range(5):
            clock.advance(9)
            lock.reacquire()
        assert lock.owned()
