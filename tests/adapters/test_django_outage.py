"""A `KTCache` whose server is out of order: every method answers, at once, and the log tells of the outage alone."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kt_cache.django import KTCache
from kt_cache.limits import Verdict
from kt_cache.locks import AsyncLock, Lock, LockError
from kt_cache.stores import Stats
from tests.adapters.conftest import Call, waiting
from tests.fix_servers import KINDS, running
from tests.peer import Behaviour, Peer, hang_up_after, hang_up_on, peer

# Every method that has an awaited twin: its arguments, and the answer, or the error that Django wants.
ANSWERS: dict[str, list[tuple[tuple[Any, ...], dict[str, Any], Any]]] = {
    "get": [(("k",), {}, None), (("k", "default"), {}, "default")],
    "get_many": [((["k", "l"],), {}, {})],
    "set": [
        (("k", "v"), {}, False),
        (("k", "v", 0), {}, False),
        (("k", "v"), {"nx": True}, False),
        (("k", "v"), {"xx": True}, False),
        (("k", "v"), {"get": True}, None),
        (("k", "v"), {"get": True, "nx": True}, None),
        (("k", "v"), {"get": True, "xx": True}, None),
        (("k", "v"), {"tags": ["t"]}, False),
    ],
    "set_many": [(({"k": 1, "l": 2},), {}, ["k", "l"]), (({"k": 1},), {"tags": ["t"]}, ["k"])],
    "add": [(("k", "v"), {}, False)],
    "get_or_set": [
        (("k", "v"), {}, "v"),
        (("k", lambda: "computed"), {}, "computed"),
        (("k", lambda: "computed"), {"stale": 60, "early": 1, "tags": ["t"]}, "computed"),
        (("k", lambda: "computed"), {"wait": 0}, "computed"),
    ],
    "touch": [(("k", 10), {}, False), (("k", 0), {}, False)],
    "touch_many": [((["k"], 10), {}, [])],
    "expire": [(("k", 10), {}, False)],
    "pexpire": [(("k", 10), {}, False)],
    "expire_at": [(("k", 2e9), {}, False)],
    "pexpire_at": [(("k", 2e12), {}, False)],
    "persist": [(("k",), {}, False)],
    "ttl": [(("k",), {}, 0)],
    "pttl": [(("k",), {}, 0)],
    "ttl_many": [((["k"],), {}, {})],
    "delete": [(("k",), {}, False)],
    "delete_many": [((["k"],), {}, None)],
    "delete_pattern": [(("*",), {}, 0)],
    "delete_prefix": [(("k",), {}, 0)],
    "delete_tag": [(("t",), {}, None)],
    "delete_tags": [((["t"],), {}, None)],
    "clear": [((), {}, None)],
    "clear_prefix": [((), {}, 0)],
    "has_key": [(("k",), {}, False)],
    "keys": [((), {}, []), (("a*",), {}, [])],
    "pop": [(("k",), {}, None), (("k", "default"), {}, "default")],
    "compare_and_set": [(("k", 1, 2), {}, False)],
    "incr": [
        (("k",), {}, ValueError),
        (("k", 0.5), {}, ValueError),
        (("k", 2), {"initial": 5}, 7),
        (("k", 0.5), {"initial": 5}, 5.5),
        (("k",), {"ignore_key_check": True}, 1),
    ],
    "decr": [(("k",), {}, ValueError), (("k", 2), {"initial": 5}, 3)],
    "incr_many": [((["k"],), {}, {}), (({"k": 2, "l": 3},), {"initial": 5}, {"k": 7, "l": 8})],
    "incr_version": [(("k",), {}, ValueError)],
    "decr_version": [(("k",), {}, ValueError)],
    "stats": [((), {}, Stats("none", "out of order", 0, 0, 0, 0, 0, None, None, 0))],
    "ping": [((), {}, False)],
    "close": [((), {}, None)],
}
OTHERS = {"iter_keys", "lock", "rate_limiter"}  # tested below
NEVER_ASKING = {"clock", "get_backend_timeout", "key_func", "make_and_validate_key", "make_key", "validate_key"}

# What goes wrong with a server.
TROUBLES: dict[str, Callable[[threading.Event], Behaviour]] = {
    "hangs up": lambda end: hang_up_after(0),
    "does not answer": hang_up_on,
}


@pytest.fixture(params=TROUBLES.values(), ids=TROUBLES.keys())
def server(request: pytest.FixtureRequest) -> Iterator[Peer]:
    """Return a server in trouble."""
    end = threading.Event()
    with peer(request.param(end)) as server:
        yield server
        end.set()


@pytest.fixture
def cache(server: Peer) -> KTCache:
    """Return a cache that can do without its server, and leaves it alone for longer than the test takes."""
    options = {"on_error": "miss", "timeout": 0.05, "retry_timeout": 3600}
    return KTCache(f"kt://{server.address}", {"OPTIONS": options})


def answer(call: Call, cache: KTCache, method: str, arguments: tuple[Any, ...], more: dict[str, Any]) -> Any:
    """Return what a method answers, or the kind of error that it raises."""
    try:
        return call(cache, method, *arguments, **more)
    except ValueError as error:
        return type(error)


async def listed(cache: KTCache) -> list[str]:
    return [key async for key in cache.aiter_keys("k*")]


def everything(call: Call, cache: KTCache) -> Iterator[tuple[str, Any, Any]]:
    """Call every method, and yield its name, the answer that is expected, and the answer."""
    for method, cases in ANSWERS.items():
        for arguments, more, expected in cases:
            yield method, expected, answer(call, cache, method, arguments, more)
    yield "iter_keys", [], list(cache.iter_keys()) if call is waiting else asyncio.run(listed(cache))
    yield "rate_limiter", Verdict(True, 3, 0.0), call(cache.rate_limiter("login", 3, 60), "hit", "user")


def until(condition: Callable[[], Any]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# -- every method ------------------------------------------------------------------------------------------


def test_no_method_is_forgotten() -> None:
    public = {name for name in dir(KTCache) if not name.startswith("_") and callable(getattr(KTCache, name, None))}
    methods = {name for name in public if not (name.startswith("a") and name[1:] in public)}
    assert methods - NEVER_ASKING == set(ANSWERS) | OTHERS
    for method in ANSWERS:
        assert inspect.iscoroutinefunction(getattr(KTCache, f"a{method}"))


def test_every_method_answers_in_its_own_type(cache: KTCache, call: Call) -> None:
    for method, expected, got in everything(call, cache):
        assert got == expected, method
        assert type(got) is type(expected), method


def test_a_server_in_trouble_is_asked_once(
    server: Peer, cache: KTCache, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        assert len(list(everything(call, cache))) > len(ANSWERS)
    until(lambda: server.accepted)
    assert server.accepted == 1
    told = [record for record in caplog.records if record.name.startswith("kt_cache")]
    assert [record.levelno for record in told] == [logging.ERROR]
    assert f"{server.address} is out of order" in told[0].getMessage()


@pytest.mark.parametrize("separator", [",", "?replicas="], ids=["the others", "its replicas"])
def test_all_servers_in_trouble_are_asked_once(call: Call, separator: str) -> None:
    with peer(hang_up_after(0)) as first, peer(hang_up_after(0)) as second:
        options = {"on_error": "miss", "retry_timeout": 3600}
        cache = KTCache(f"kt://{first.address}{separator}{second.address}", {"OPTIONS": options})
        for method, expected, got in everything(call, cache):
            assert got == expected or method == "stats", method
        until(lambda: first.accepted and second.accepted)
        assert (first.accepted, second.accepted) == (1, 1)


# -- locks -------------------------------------------------------------------------------------------------


def test_nobody_gets_a_lock_and_nobody_waits_for_one(server: Peer, cache: KTCache) -> None:
    lock = cache.lock("k")
    assert isinstance(lock, Lock)
    assert (lock.acquire(), lock.acquire(blocking=False), lock.locked(), lock.owned()) == (False,) * 4
    with pytest.raises(LockError, match="could not be acquired"):
        lock.__enter__()
    with pytest.raises(LockError, match="not held here"):
        lock.release()
    until(lambda: server.accepted)
    assert server.accepted == 1


def test_nobody_gets_an_awaited_lock_either(server: Peer, cache: KTCache) -> None:
    async def scenario() -> None:
        lock = cache.alock("k")
        assert isinstance(lock, AsyncLock)
        assert await lock.acquire() is False
        assert (await lock.locked(), await lock.owned()) == (False, False)
        with pytest.raises(LockError, match="could not be acquired"):
            await lock.__aenter__()

    asyncio.run(scenario())
    until(lambda: server.accepted)
    assert server.accepted == 1


# -- beginning and end of an outage ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_cache_goes_on_when_its_server_is_there_again(
    kind: str, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    with running(kind) as address:
        cache = KTCache(f"kt://{address}", {"OPTIONS": {"on_error": "miss", "retry_timeout": 0.05}})
        assert call(cache, "set", "k", "v") is True
        lock = cache.lock("name")
        assert lock.acquire()
    for method, expected, got in everything(call, cache):
        assert got == expected, method
    lock.release()  # what cannot be told to the server ends with its timeout
    cache._store.close()  # connections that have not been idle for long are not looked at before they are used
    with running(kind, address=address):
        until(lambda: call(cache, "ping"))
        assert call(cache, "get", "k") is None
        assert call(cache, "set", "k", "w") is True
        assert call(cache, "get", "k") == "w"
        with cache.lock("name"):
            assert call(cache, "get_or_set", "l", lambda: "computed") == "computed"
        cache._store.close()
    told = [record for record in caplog.records if record.name.startswith("kt_cache")]
    assert [record.levelno for record in told] == [logging.ERROR, logging.WARNING]
    assert "is in order again" in told[1].getMessage()


def test_an_iterator_ends_where_its_server_does(caplog: pytest.LogCaptureFixture) -> None:
    with running("bundled") as address:
        cache = KTCache(f"kt://{address}", {"OPTIONS": {"on_error": "miss", "retry_timeout": 3600}})
        cache.set_many({str(number): number for number in range(1000)})
        keys = cache.iter_keys()
        first = next(keys)
    rest = list(keys)
    assert first not in rest
    assert len(rest) < 999
    assert cache.delete_pattern("*") == 0
