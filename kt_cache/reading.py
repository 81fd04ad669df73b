"""Reading values that are not simply there: under terms, by another serializer, damaged.

What cannot be read is as good as missing, and is deleted, so that another can be added in its place; so is what holds
no longer. The log tells of each kind once. What is only stale stays.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from kt_cache.flows import Encoded, Flow, call
from kt_cache.reserved import Kind, reserved
from kt_cache.stores.base import Value
from kt_cache.terms import Terms
from kt_cache.values import Codec, Conditional, Unreadable

logger = logging.getLogger("kt_cache.values")

_AGES = 1e12  # seconds
_MOST_COMPLAINTS = 1000
_complaints: set[str] = set()


class Found(NamedTuple):
    """A value that is there, what is stored of it, its terms (None for none), and whether it is fresh."""

    value: Any
    stored: Value
    terms: Terms | None = None
    is_fresh: bool = True


class Problem(NamedTuple):
    """A stored value that could not be read, under its key, and why."""

    key: bytes
    stored: Value
    error: Unreadable


class Values:
    """Values as a codec reads and writes them, and with their terms; `clock` gives seconds since the epoch."""

    def __init__(self, codec: Codec, clock: Callable[[], float]) -> None:
        self._codec = codec
        self._loads = codec.loads
        self._clock = clock

    def stored_form(self, value: object, key: bytes, terms: Terms | None = None) -> Flow[Value]:
        """Return what is to be stored of a value."""
        if terms is None or terms == Terms():
            return (yield Encoded(lambda: self._codec.dumps(value, key)))  # type: ignore[no-any-return]
        return (yield Encoded(lambda: self._codec.dumps_with(terms.encode(), value, key)))  # type: ignore[no-any-return]

    def terms(self, tags: tuple[tuple[bytes, int], ...], timeout: float | None, stale: float = 0.0) -> Terms:
        """Return the terms of a value with tags which is stale after its timeout."""
        if stale > 0 and timeout is not None and timeout < _AGES:
            return Terms(max(int((self._clock() + timeout) * 1000), 1), tags)
        return Terms(0, tags)

    def look(self, key: bytes) -> Flow[Found | None]:
        """Return the value under a key, stale or not."""
        stored = yield call("get", key)
        if stored is None:
            return None
        return (yield from self.open(key, stored))

    def open(self, key: bytes, stored: Value) -> Flow[Found | None]:
        """Return the value that is stored, stale or not; None if it does not hold."""
        try:
            return Found(self._loads(stored, key), stored)
        except Unreadable as error:
            return (yield from self.settle([Problem(key, stored, error)])).get(key)

    def read(
        self, made: Mapping[Any, bytes], found: Mapping[bytes, Value]
    ) -> tuple[dict[Any, Any], list[Problem] | None]:
        """Return the values found under keys, and those that are not simply there; None if there are no such ones."""
        loads = self._loads
        try:
            return {key: loads(found[stored], stored) for key, stored in made.items() if stored in found}, None
        except Unreadable:
            values: dict[Any, Any] = {}
            problems = []
            for key, stored in made.items():
                if stored in found:
                    try:
                        values[key] = loads(found[stored], stored)
                    except Unreadable as error:
                        problems.append(Problem(stored, found[stored], error))
            return values, problems

    def settle(self, problems: Iterable[Problem]) -> Flow[dict[bytes, Found]]:
        """Return those of the values that can be read after all, since their terms hold."""
        found: dict[bytes, Found] = {}
        versions: dict[bytes, Any] | None = None
        conditional = [(problem, *_terms(problem)) for problem in problems]
        tags = {reserved(Kind.TAG, tag) for _, terms, _ in conditional if terms for tag, _ in terms.tags}
        for (key, stored, error), terms, complaint in conditional:
            if terms is not None:
                if versions is None:
                    versions = (yield call("get_many", list(tags))) if tags else {}
                if all(versions.get(reserved(Kind.TAG, tag)) == version for tag, version in terms.tags):
                    try:
                        value = error.load()  # type: ignore[attr-defined]
                    except Unreadable as worse:
                        complaint = worse
                    else:
                        fresh = not terms.fresh_until or self._clock() * 1000 < terms.fresh_until
                        found[key] = Found(value, stored, terms, fresh)
                        continue
            if complaint is not None:
                complain_once(str(complaint))
            yield call("compare_and_set", key, stored, None)
        return found


def _terms(problem: Problem) -> tuple[Terms | None, Unreadable | None]:
    if not isinstance(problem.error, Conditional):
        return None, problem.error
    try:
        return Terms.decode(problem.error.terms), None
    except Unreadable as error:
        return None, error


def complain_once(complaint: str) -> None:
    """Log that a value is taken for a miss, once for each reason."""
    if complaint not in _complaints and len(_complaints) < _MOST_COMPLAINTS:
        _complaints.add(complaint)
        logger.warning("a cached value was taken for a miss: %s", complaint)
