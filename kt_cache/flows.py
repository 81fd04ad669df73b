"""Operations that take several calls of a store, written once for the waiting and for the awaiting world.

A flow is a generator: it yields the calls it needs, as a method's name and its arguments, is sent each result,
and returns its own. `drive` runs one on a store's methods, `adrive` on their awaited twins.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import Any, NamedTuple, TypeVar

from kt_cache.stores.base import KEEP, AsyncStore, Store, Value

T = TypeVar("T")


class Call(NamedTuple):
    """One call of a store: the method's name and its arguments."""

    method: str
    arguments: tuple[Any, ...]


Flow = Generator[Call, Any, T]


def call(method: str, *arguments: Any) -> Call:
    """Name a call."""
    return Call(method, arguments)


def drive(flow: Flow[T], store: Store) -> T:
    """Run a flow to its end and return its result; what a call raises is raised inside the flow."""
    step: Callable[..., Call] = flow.send
    argument: Any = None
    while True:
        try:
            wanted = step(argument)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        try:
            step, argument = flow.send, getattr(store, wanted.method)(*wanted.arguments)
        except Exception as error:
            step, argument = flow.throw, error


async def adrive(flow: Flow[T], store: AsyncStore) -> T:
    """Await a flow to its end and return its result; what a call raises is raised inside the flow."""
    step: Callable[..., Call] = flow.send
    argument: Any = None
    while True:
        try:
            wanted = step(argument)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        try:
            step, argument = flow.send, await getattr(store, "a" + wanted.method)(*wanted.arguments)
        except Exception as error:
            step, argument = flow.throw, error


def increment(
    key: bytes, delta: int, loads: Callable[[Value], Any], dumps: Callable[[object], Value]
) -> Flow[Any | None]:
    """Add to a value that is no counter of the store's, an int beyond 64 bits or a float, keeping its expiry.

    It is read, added to, and put back if nobody was faster. None if there is none.
    """
    while True:
        old = yield call("get", key)
        if old is None:
            return None
        total = loads(old) + delta
        if (yield call("compare_and_set", key, old, dumps(total), KEEP)):
            return total


def move(source: bytes, target: bytes) -> Flow[bool]:
    """Store a record under another key with the time it has left, and delete it; tell whether there was one."""
    value = yield call("get", source)
    left = yield call("ttl", source)
    if value is None or left is None:
        return False
    if source != target:
        yield call("set", target, value, None if left == math.inf else left)
        yield call("compare_and_set", source, value, None)  # what somebody stored there meanwhile stays
    return True
