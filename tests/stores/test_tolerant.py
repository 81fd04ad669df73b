"""With its server out of order a tolerant store answers every call, harmlessly and in the method's own type."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any, cast

import pytest

from kt_cache.stores import AsyncStore, Stats, Store
from kt_cache.stores.tolerant import NEUTRAL, TolerantStore
from kt_core.errors import ConnectionFailed, InvalidInput, KTError, Misconfigured, NotACounter, ServerError, Timeout
from kt_core.errors import ProtocolError as WrongBytes
from tests.clock import Clock
from tests.stores.awaited import Awaited
from tests.stores.capabilities import Counting, CullingByUse, SubsecondExpiry
from tests.stores.contract import StoreContract
from tests.stores.entries import Entries
from tests.stores.failing import Failing
from tests.stores.twinned import Twinned

METHODS = [name for name in vars(Store) if not name.startswith("_")]
OUTAGES: list[KTError] = [
    ConnectionFailed("refused"),
    Timeout("late"),
    WrongBytes("nonsense"),
    ServerError(500, "full"),
]
MISTAKES: list[Exception] = [
    InvalidInput("not this"),
    NotACounter("text"),
    Misconfigured("not so"),
    ServerError(400, "no such database"),
    TypeError("not such a thing"),
    KeyError("key"),
]

# Every method: its arguments, and the answer while its server is out of order.
ANSWERS: dict[str, tuple[tuple[Any, ...], dict[str, Any], Any]] = {
    "get": ((b"k",), {}, None),
    "get_with_ttl": ((b"k",), {}, None),
    "get_many": (([b"k"],), {}, {}),
    "set": ((b"k", b"v", 10), {}, False),
    "set_many": (({b"k": b"v", b"l": 1}, None), {}, [b"k", b"l"]),
    "add": ((b"k", b"v", 10), {}, False),
    "replace": ((b"k", b"v", 10), {}, False),
    "delete": ((b"k",), {}, False),
    "delete_many": (([b"k", b"l"],), {}, 0),
    "pop": ((b"k",), {}, None),
    "touch": ((b"k", 10), {}, False),
    "touch_many": (([b"k", b"l"], 10), {}, []),
    "incr": ((b"k", 1), {"initial": 5, "timeout": 10}, None),
    "incr_many": (({b"k": 1},), {"initial": 5, "timeout": 10}, {}),
    "compare_and_set": ((b"k", b"v", b"w"), {"timeout": 10}, False),
    "exists": ((b"k",), {}, False),
    "ttl": ((b"k",), {}, None),
    "ttl_many": (([b"k", b"l"],), {}, {}),
    "expire_at": ((b"k", 2e9), {}, False),
    "persist": ((b"k",), {}, False),
    "keys": ((b"k",), {}, []),
    "clear": ((), {}, None),
    "clear_prefix": ((b"k",), {}, 0),
    "cull": ((10, 3), {}, None),
    "vacuum": ((), {}, None),
    "stats": ((), {}, Stats("none", "out of order", 0, 0, 0, 0, 0, None, None, 0)),
    "ping": ((), {}, False),
}
each_method = pytest.mark.parametrize("method", ANSWERS)


def tolerant(error: Exception) -> Any:
    return TolerantStore(cast(AsyncStore, Failing(error)))


def test_every_method_of_the_contract_has_a_neutral_answer() -> None:
    assert set(METHODS) == set(NEUTRAL)
    assert set(METHODS) == {*ANSWERS, "iter_keys", "iter_entries", "close"}


@pytest.mark.parametrize("error", OUTAGES, ids=repr)
@each_method
def test_an_outage_is_answered(method: str, error: Exception) -> None:
    args, kwargs, answer = ANSWERS[method]
    got = getattr(tolerant(error), method)(*args, **kwargs)
    assert got == answer
    assert type(got) is type(answer)


@pytest.mark.parametrize("error", OUTAGES, ids=repr)
@each_method
def test_an_outage_is_answered_to_whoever_awaits(method: str, error: Exception) -> None:
    args, kwargs, answer = ANSWERS[method]
    got = asyncio.run(getattr(tolerant(error), f"a{method}")(*args, **kwargs))
    assert got == answer
    assert type(got) is type(answer)


@pytest.mark.parametrize("error", MISTAKES, ids=repr)
@each_method
def test_a_mistake_is_raised(method: str, error: Exception) -> None:
    args, kwargs, _ = ANSWERS[method]
    with pytest.raises(type(error)):
        getattr(tolerant(error), method)(*args, **kwargs)
    with pytest.raises(type(error)):
        asyncio.run(getattr(tolerant(error), f"a{method}")(*args, **kwargs))


@pytest.mark.parametrize("error", OUTAGES, ids=repr)
def test_an_iteration_ends_with_what_has_come(error: Exception, runner: asyncio.Runner) -> None:
    assert list(tolerant(error).iter_keys(b"k")) == [b"first"]
    assert [entry.key for entry in tolerant(error).iter_entries(b"k")] == [b"first"]
    assert list(Awaited(tolerant(error), runner).iter_keys(b"k")) == [b"first"]


def test_a_mistake_is_raised_by_an_iteration(runner: asyncio.Runner) -> None:
    with pytest.raises(InvalidInput):
        list(tolerant(InvalidInput("not this")).iter_keys())
    with pytest.raises(InvalidInput):
        list(Awaited(tolerant(InvalidInput("not this")), runner).iter_keys())


def test_cancellation_is_no_outage() -> None:
    async def scenario() -> None:
        call = asyncio.create_task(tolerant(asyncio.CancelledError()).aget(b"k"))
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(scenario())


def test_closing_closes_the_store() -> None:
    tolerant(ConnectionFailed("refused")).close()


@each_method
def test_the_methods_have_the_signatures_of_the_contract(method: str) -> None:
    expected = inspect.signature(getattr(Store, method))
    assert inspect.signature(getattr(TolerantStore, method)) == expected
    assert inspect.signature(getattr(TolerantStore, f"a{method}")) == expected
    assert inspect.iscoroutinefunction(getattr(TolerantStore, f"a{method}"))
    inspect.signature(NEUTRAL[method]).bind(*ANSWERS[method][0], **ANSWERS[method][1])


class TestTolerantStore(StoreContract, Entries, SubsecondExpiry, Counting, CullingByUse):
    """While the server is in order, nothing is different."""

    @pytest.fixture
    def store(self, clock: Clock) -> TolerantStore:
        return TolerantStore(Twinned(clock))


class TestAwaitedTolerantStore(StoreContract, SubsecondExpiry, Counting, CullingByUse):
    @pytest.fixture
    def store(self, clock: Clock, runner: asyncio.Runner) -> Awaited:
        return Awaited(cast(AsyncStore, TolerantStore(Twinned(clock))), runner)
