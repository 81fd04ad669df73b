"""Changes that go by what is there: each reads a value, and puts another in its place if nobody was faster."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from kt_cache.flows import Flow, call, is_out
from kt_cache.reading import Found, Values
from kt_cache.stores.base import KEEP, Keep, Value
from kt_cache.terms import Terms
from kt_core.errors import InvalidInput


def increment(
    values: Values, key: bytes, delta: Any, initial: Any = None, timeout: float | None = None
) -> Flow[Any | None]:
    """Add to a value that is no counter of the store's, an int beyond 64 bits or a float, keeping its expiry.

    Return the sum. Where there is nothing that is None, or with `initial` it is that plus `delta`, with the timeout.
    """
    while True:
        found = yield from values.look(key)
        if found is not None and found.is_fresh:
            total = found.value + delta
            stored = yield from values.stored_form(total, key, found.terms)
            is_done = yield call("compare_and_set", key, found.stored, stored, KEEP)
        elif initial is None:
            return None
        else:
            total = initial + delta
            stored = yield from values.stored_form(total, key)
            is_done = yield call("compare_and_set", key, found and found.stored, stored, timeout)
        if is_done or (found is None and (yield from is_out(key))):
            return total


def exchange(
    values: Values, key: bytes, value: object, timeout: float | None, terms: Terms | None, *, nx: bool, xx: bool
) -> Flow[Found | None]:
    """Store a value and return what was there; with `nx` only if that is nothing, with `xx` only if it is something."""
    check_conditions(nx, xx)
    stored = yield from values.stored_form(value, key, terms)
    while True:
        found = yield from values.look(key)
        if found is None if xx else (found is not None and nx):
            return found
        if (yield call("compare_and_set", key, found and found.stored, stored, timeout)):
            return found
        if found is None and (yield from is_out(key)):
            return None  # in an outage nothing is there, and nothing can be stored


def compare_and_set(values: Values, key: bytes, old: object, new: object, timeout: float | Keep | None) -> Flow[bool]:
    """Put a value in the place of one that equals `old`; tell whether that was there."""
    while True:
        found = yield from values.look(key)
        if found is None or not found.is_fresh or found.value != old:
            return False
        stored = yield from values.stored_form(new, key, found.terms)
        if (yield call("compare_and_set", key, found.stored, stored, timeout)):
            return True


def move(source: bytes, target: bytes, rekey: Callable[[Value, bytes, bytes], Value]) -> Flow[bool]:
    """Store a record under another key with the time it has left, and delete it; tell whether there was one.

    `rekey` gives what is to be stored there.
    """
    found = yield call("get_with_ttl", source)
    if found is None:
        return False
    value, left = found
    if source != target:
        yield call("set", target, rekey(value, source, target), None if left == math.inf else left)
        yield call("compare_and_set", source, value, None)  # what somebody stored there meanwhile stays
    return True


def check_conditions(nx: bool, xx: bool) -> None:
    """Refuse what can never be."""
    if nx and xx:
        raise InvalidInput("nx and xx exclude each other: nx stores where nothing is, xx where something is")
