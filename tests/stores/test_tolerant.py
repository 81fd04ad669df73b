"""With its server out of order a tolerant store answers every call, harmlessly and in the method's own type."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
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
    "get_many": (([b"k"],), {}, {}),
    "set": ((b"k", b"v", 10), {}, None),
    "set_many": (({b"k": b"v", b"l": 1}, None), {}, [b"k", b"l"]),
    "add": ((b"k", b"v", 10), {}, False),
    "replace": ((b"k", b"v", 10), {}, False),
    "delete": ((b"k",), {}, False),
    "delete_many": (([b"k", b"l"],), {}, 0),
    "touch": ((b"k", 10), {}, False),
    "incr": ((b"k", 1), {"initial": 5, "timeout": 10}, None),
    "compare_and_set": ((b"k", b"v", b"w"), {"timeout": 10}, False),
    "exists": ((b"k",), {}, False),
    "ttl": ((b"k",), {}, None),
    "expire_at": ((b"k", 2e9), {}, False),
    "persist": ((b"k",), {}, False),
    "keys": ((b"k",), {}, []),
    "clear": ((), {}, None),
    "clear_prefix": ((b"k",), {}, 0),
    "cull": ((10, 3), {}, None),
    "stats": ((), {}, Stats("none", "out of order", 0, 0, 0, 0, 0, None, None, 0)),
}
each_method = pytest.mark.parametrize("method", ANSWERS)


class Broken:
    """A store whose every method fails in the same way."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def method(*args: Any, **kwargs: Any) -> Any:
            raise self._error

        async def twin(*args: Any, **kwargs: Any) -> Any:
            await asyncio.sleep(0)
            raise self._error

        return twin if name[0] == "a" and name[1:] in ANSWERS else method

    def iter_keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        yield b"first"
        raise self._error

    def close(self) -> None:
        """Closing never fails."""


def tolerant(error: Exception) -> Any:
    return TolerantStore(cast(AsyncStore, Broken(error)))


def test_every_method_of_the_contract_has_a_neutral_answer() -> None:
    assert set(METHODS) == set(NEUTRAL)
    assert set(METHODS) == {*ANSWERS, "iter_keys", "close"}


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
def test_an_iteration_ends_with_what_has_come(error: Exception) -> None:
    assert list(tolerant(error).iter_keys(b"k")) == [b"first"]


def test_a_mistake_is_raised_by_an_iteration() -> None:
    with pytest.raises(InvalidInput):
        list(tolerant(InvalidInput("not this")).iter_keys())


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


class TestTolerantStore(StoreContract, SubsecondExpiry, Counting, CullingByUse):
    """While the server is in order, nothing is different."""

    @pytest.fixture
    def store(self, clock: Clock) -> TolerantStore:
        return TolerantStore(Twinned(clock))


class TestAwaitedTolerantStore(StoreContract, SubsecondExpiry, Counting, CullingByUse):
    @pytest.fixture
    def store(self, clock: Clock, runner: asyncio.Runner) -> Awaited:
        return Awaited(cast(AsyncStore, TolerantStore(Twinned(clock))), runner)
