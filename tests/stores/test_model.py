"""Whatever is done to it, and in whatever order, the embedded store does as the reference store does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kt_cache.stores import KEEP
from kt_cache.stores.embedded import EmbeddedStore
from kt_cache.stores.memory import MemoryStore
from kt_core.database import Database, DatabaseOptions, Environment
from kt_core.errors import KTError
from tests.clock import Clock

KEYS = [b"", b"\0", b"a", b"ab", b"b", b"k" * 600, b"k" * 600 + b"1"]

keys = st.sampled_from(KEYS)
values = st.sampled_from([b"", b"v", b"1234567", b"12345678", b"x" * 5000, 0, 1, -1, (1 << 63) - 1, -(1 << 63)])
deltas = st.sampled_from([0, 1, -1, 5, 1 << 62, -(1 << 62), (1 << 63) - 1])
timeouts = st.sampled_from([None, None, -1, 0, 1, 2, 3, 10])
kept = timeouts | st.just(KEEP)
initials = st.sampled_from([None, 0, 7, (1 << 63) - 1])
some_keys = st.lists(keys, max_size=5)


class Step(NamedTuple):
    """A call of a store; or with the method `advance` time that passes."""

    method: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]


def step(method: str, *arguments: st.SearchStrategy[Any], **options: st.SearchStrategy[Any]) -> Any:
    return st.builds(Step, st.just(method), st.tuples(*arguments), st.fixed_dictionaries(options))


STEPS = [
    step("get", keys),
    step("get_with_ttl", keys),
    step("get_many", some_keys),
    step("set", keys, values, timeouts),
    step("set_many", st.dictionaries(keys, values, max_size=5), timeouts),
    step("add", keys, values, timeouts),
    step("replace", keys, values, timeouts),
    step("delete", keys),
    step("delete_many", some_keys),
    step("pop", keys),
    step("touch", keys, timeouts),
    step("touch_many", some_keys, timeouts),
    step("incr", keys, deltas, initial=initials, timeout=timeouts),
    step("incr_many", st.dictionaries(keys, deltas, max_size=5), initial=initials, timeout=timeouts),
    step("compare_and_set", keys, st.none() | values, st.none() | values, kept),
    step("exists", keys),
    step("ttl", keys),
    step("ttl_many", some_keys),
    step("persist", keys),
    step("keys", st.sampled_from([b"", b"a", b"k"])),
    step("clear_prefix", st.sampled_from([b"a", b"k", b"none"])),
    step("vacuum"),
    step("ping"),
    step("advance", st.sampled_from([1, 2])),
]


@pytest.fixture(scope="module", params=[{}, {"durability": "commit", "eviction": "none"}], ids=["cache", "sessions"])
def embedded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[EmbeddedStore, Clock]]:
    """Return a store of each kind, and its clock."""
    clock = Clock()
    options = DatabaseOptions(max_size=8 << 20, **request.param)
    environment = Environment.open(tmp_path_factory.mktemp("model"), options, clock=clock)
    yield EmbeddedStore(Database(environment)), clock
    environment.close()


def outcome(store: Any, step: Step) -> object:
    """Return what a step answers, an error by its kind."""
    try:
        answer = getattr(store, step.method)(*step.arguments, **step.options)
    except KTError as error:
        return type(error)
    if step.method in ("keys", "touch_many"):
        return sorted(answer)
    if step.method == "incr_many":
        return {key: type(total) if isinstance(total, KTError) else total for key, total in answer.items()}
    return answer


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.one_of(STEPS), max_size=50))
def test_both_answer_alike_and_have_the_same_at_the_end(
    embedded: tuple[EmbeddedStore, Clock], steps: list[Step]
) -> None:
    store, clock = embedded
    model = MemoryStore(clock=clock)
    store.clear()
    for one in steps:
        if one.method == "advance":
            clock.advance(*one.arguments)
        else:
            assert outcome(store, one) == outcome(model, one), one
    assert store.get_many(KEYS) == model.get_many(KEYS)
    assert store.ttl_many(KEYS) == model.ttl_many(KEYS)
    assert sorted(store.iter_keys()) == sorted(model.iter_keys())
