"""`KTCache` finds and deletes keys by glob, prefix, or all of its own, and no others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.core.cache.backends.base import CacheKeyWarning

from kt_cache.django import KTCache
from kt_core.errors import NotSupported
from tests.adapters.conftest import Call, MakeCache, waiting

# What there is, and which of it fits which glob.
KEYS = ["", "a", "ab", "ab:c", "a*", "a[b]", "a?", "a\\b", "b", "A", "清", "清b", "\ud800", "a\ud800b", "x\ty"]
GLOBS: dict[str, list[str]] = {
    "*": KEYS,
    "": [""],
    "a": ["a"],
    "a*": ["a", "ab", "ab:c", "a*", "a[b]", "a?", "a\\b", "a\ud800b"],
    "a?": ["ab", "a*", "a?"],
    "a\\*": ["a*"],
    "a\\?": ["a?"],
    "a\\[b\\]": ["a[b]"],
    "a\\\\b": ["a\\b"],
    "[ab]": ["a", "b"],
    "[^a]": ["b", "A", "清", "\ud800"],
    "[a-z]?": ["ab", "a*", "a?"],
    "*b": ["ab", "a\\b", "b", "清b", "a\ud800b"],
    "清*": ["清", "清b"],
    "?": ["a", "b", "A", "清", "\ud800"],
    "\ud800": ["\ud800"],
    "x?y": ["x\ty"],
    "*:*": ["ab:c"],
    "none*": [],
}


def reversing(key: str, prefix: str, version: int) -> str:
    return f"{prefix}|{key}|{version}"


def restored(made: str) -> str:
    return made.split("|", 1)[1].rsplit("|", 1)[0]


WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "glob characters in the prefix": {"KEY_PREFIX": "a*[b]?\\", "VERSION": 12},
    "colons in the prefix": {"KEY_PREFIX": "a:1:"},
    "key functions": {"KEY_PREFIX": "p[q]*", "KEY_FUNCTION": reversing, "REVERSE_KEY_FUNCTION": restored},
    "paths of key functions": {
        "KEY_FUNCTION": f"{__name__}.reversing",
        "REVERSE_KEY_FUNCTION": f"{__name__}.restored",
    },
}

pytestmark = pytest.mark.filterwarnings("ignore::django.core.cache.CacheKeyWarning")


@pytest.fixture(params=WAYS.values(), ids=WAYS.keys())
def cache(request: pytest.FixtureRequest, make_cache: MakeCache) -> KTCache:
    """Return a cache with all keys, beside others with keys that only look like its own."""
    params = request.param
    others = [
        make_cache(**{**params, "VERSION": 2}),
        make_cache(**{**params, "KEY_PREFIX": "aXb"}),
        make_cache(**{**params, "KEY_PREFIX": params.get("KEY_PREFIX", "") + "more"}),
    ]
    cache = make_cache(**params)
    for each in (cache, *others):
        each.set_many(dict.fromkeys(KEYS, "v"))
    return cache


async def listed(cache: KTCache, *args: Any, **kwargs: Any) -> list[str]:
    return [key async for key in cache.aiter_keys(*args, **kwargs)]


def iterated(call: Call, cache: KTCache, *args: Any, **kwargs: Any) -> list[str]:
    """Return what an iterator of keys yields."""
    if call is waiting:
        return list(cache.iter_keys(*args, **kwargs))
    return asyncio.run(listed(cache, *args, **kwargs))


# -- listing -----------------------------------------------------------------------------------------------


def test_keys_are_those_that_fit(cache: KTCache, call: Call) -> None:
    for glob, fitting in GLOBS.items():
        assert sorted(call(cache, "keys", glob)) == sorted(fitting), glob
        assert sorted(iterated(call, cache, glob, itersize=2)) == sorted(fitting), glob


def test_without_a_glob_all_are_listed(cache: KTCache, call: Call) -> None:
    assert sorted(call(cache, "keys")) == sorted(KEYS)
    assert sorted(iterated(call, cache)) == sorted(KEYS)


def test_keys_of_another_version_are_listed_by_it(cache: KTCache, call: Call) -> None:
    cache.set("k", 1, version=77)
    assert call(cache, "keys", "*", version=77) == ["k"]
    assert iterated(call, cache, version=77) == ["k"]
    assert call(cache, "keys", "*", version=78) == []


def test_an_iterator_goes_on_while_keys_are_deleted(make_cache: MakeCache) -> None:
    cache = make_cache()
    cache.set_many({str(number): number for number in range(1500)})
    keys = cache.iter_keys()
    first = next(keys)
    cache.delete(first)
    seen = {first, *keys}
    assert len(seen) == 1500


def test_what_is_not_a_users_key_is_not_listed(make_cache: MakeCache, call: Call) -> None:
    cache = make_cache(KEY_FUNCTION=lambda key, prefix, version: f"{key}", REVERSE_KEY_FUNCTION=str)
    cache.set("k", 1, tags=["tag"])
    cache._store.set(b"\xff", b"of somebody else", None)
    lock = cache.lock("lock")
    assert lock.acquire()
    assert call(cache, "keys") == ["k"]
    assert call(cache, "delete_pattern", "*") == 1
    assert cache._store.get(b"\xff") == b"of somebody else"
    lock.release()


def test_a_key_function_without_its_reverse_lists_nothing_but_deletes(make_cache: MakeCache, call: Call) -> None:
    cache = make_cache(KEY_FUNCTION=reversing)
    cache.set_many({"a": 1, "ab": 2, "b": 3})
    with pytest.raises(NotSupported, match="REVERSE_KEY_FUNCTION"):
        call(cache, "keys")
    with pytest.raises(NotSupported, match="REVERSE_KEY_FUNCTION"):
        iterated(call, cache)
    assert call(cache, "delete_pattern", "a*") == 2
    assert cache.get_many(["a", "ab", "b"]) == {"b": 3}


class Own(KTCache):
    """Makes its keys by a method of its own."""

    def make_key(self, key: Any, version: int | None = None) -> str:
        return "own:" + super().make_key(key, version)


class Lenient(KTCache):
    """Checks its keys by a method of its own."""

    def validate_key(self, key: str) -> None:
        return None


def test_keys_of_a_make_key_of_ones_own_cannot_be_found(make_cache: MakeCache, call: Call) -> None:
    cache = make_cache(kind=Own)
    cache.set("k", 1)
    for method, *arguments in (("keys",), ("delete_pattern", "*"), ("delete_prefix", "k"), ("clear_prefix",)):
        with pytest.raises(NotSupported, match="KEY_FUNCTION"):
            call(cache, method, *arguments)
    assert cache.get("k") == 1


def test_a_check_of_ones_own_does_not_matter(make_cache: MakeCache, call: Call) -> None:
    cache = make_cache(kind=Lenient, KEY_PREFIX="p")
    cache.set_many({"a": 1, "b": 2})
    assert call(cache, "keys", "a*") == ["a"]
    assert call(cache, "clear_prefix") == 2


# -- deleting ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("glob", ["*", "", "a*", "a\\*", "[^a]", "*b", "none*"])
def test_delete_pattern_deletes_what_fits(cache: KTCache, call: Call, glob: str) -> None:
    there, fitting = cache.stats().entries, GLOBS[glob]
    assert call(cache, "delete_pattern", glob, itersize=2) == len(fitting)
    assert set(cache.get_many(KEYS)) == set(KEYS) - set(fitting)
    assert cache.stats().entries == there - len(fitting)


def test_delete_pattern_may_be_told_version_and_prefix(cache: KTCache, call: Call) -> None:
    assert call(cache, "delete_pattern", "a*", version=2) == len(GLOBS["a*"])
    assert call(cache, "delete_pattern", "a*", prefix="aXb") == len(GLOBS["a*"])
    assert set(cache.get_many(KEYS)) == set(KEYS)


def test_more_keys_than_are_deleted_at_once(make_cache: MakeCache, call: Call) -> None:
    cache = make_cache()
    cache.set_many({f"k{number}": number for number in range(2500)} | {"other": 1})
    assert call(cache, "delete_pattern", "k*") == 2500
    assert call(cache, "keys") == ["other"]


@pytest.mark.parametrize("prefix", ["a", "a*", "a[", "清", "", "none"])
def test_delete_prefix_takes_the_text_as_it_is(cache: KTCache, call: Call, prefix: str) -> None:
    fitting = [key for key in KEYS if key.startswith(prefix)]
    assert call(cache, "delete_prefix", prefix) == len(fitting)
    assert set(cache.get_many(KEYS)) == set(KEYS) - set(fitting)


def test_clear_prefix_deletes_all_versions_of_its_own(make_cache: MakeCache, call: Call) -> None:
    ours, theirs = make_cache(KEY_PREFIX="a[b]*"), make_cache(KEY_PREFIX="a[b]*c")
    for cache in (ours, theirs):
        cache.set("k", 1)
        cache.set("k", 2, version=2)
    assert call(ours, "clear_prefix") == 2
    assert call(ours, "clear_prefix") == 0
    assert (theirs.get("k"), theirs.get("k", version=2)) == (1, 2)


def test_clear_prefix_cannot_know_what_a_key_function_makes(make_cache: MakeCache, call: Call) -> None:
    with pytest.raises(NotSupported, match="delete_pattern"):
        call(make_cache(KEY_FUNCTION=reversing), "clear_prefix")


def test_globs_are_not_warned_about(make_cache: MakeCache, call: Call, recwarn: pytest.WarningsRecorder) -> None:
    call(make_cache(), "keys", "with spaces *")
    assert not [warning for warning in recwarn if warning.category is CacheKeyWarning]
