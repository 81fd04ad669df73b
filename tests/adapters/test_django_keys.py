"""Keys of `KTCache`: made, and warned about, as Django makes and warns."""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any

import pytest
from django.core.cache.backends.base import CacheKeyWarning, InvalidCacheKey
from django.core.cache.backends.locmem import LocMemCache

from kt_cache.django import KTCache
from tests.adapters.conftest import Call, MakeCache

REMARKABLE = {
    "space": "key with spaces and 清",
    "newline": "a\nb",
    "nul": "a\0b",
    "delete": "a\x7fb",
    "long": "a" * 251,
    "long with a space": "a " * 200,
    "long by its prefix": "a" * 248,
}
CALLS: dict[str, tuple[Any, ...]] = {
    "get": (),
    "set": ("v",),
    "add": ("v",),
    "touch": (),
    "delete": (),
    "has_key": (),
    "incr": (),
    "decr": (),
    "incr_version": (),
    "decr_version": (),
    "get_or_set": ("v",),
}
MANY = {"get_many": lambda key: [key], "set_many": lambda key: {key: "v"}, "delete_many": lambda key: [key]}


def warnings_of(call: Call, cache: Any, method: str, *arguments: Any) -> set[str]:
    """Return the texts that a call warns with."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with suppress(ValueError):
            call(cache, method, *arguments)
    assert {warning.category for warning in caught} <= {CacheKeyWarning}
    return {str(warning.message) for warning in caught}


@pytest.mark.filterwarnings("ignore::django.core.cache.CacheKeyWarning")
@pytest.mark.parametrize("key", REMARKABLE.values(), ids=REMARKABLE.keys())
def test_keys_are_warned_about_as_django_does(cache: KTCache, call: Call, key: str) -> None:
    django = LocMemCache("warnings", {})
    calls = [(method, key, *arguments) for method, arguments in CALLS.items()]
    calls += [(method, argument(key)) for method, argument in MANY.items()]
    for method, *arguments in calls:
        # Django warns of a new version only when there is an old one.
        django.set(key, 1)
        cache.set(key, 1)
        ours, theirs = (warnings_of(call, each, method, *arguments) for each in (cache, django))
        assert ours == theirs
        assert ours


@pytest.mark.parametrize("key", ["k" * 246, "!~", "清", "\x80\xa0", "\ud800", ""])
def test_other_keys_are_not_warned_about(cache: KTCache, call: Call, key: str) -> None:
    assert warnings_of(call, cache, "set", key, "v") == set()
    assert cache.get(key) == "v"


@pytest.mark.filterwarnings("ignore::django.core.cache.CacheKeyWarning")
@pytest.mark.parametrize("key", REMARKABLE.values(), ids=REMARKABLE.keys())
def test_keys_that_are_warned_about_work(cache: KTCache, call: Call, key: str) -> None:
    call(cache, "set", key, 1)
    assert call(cache, "incr", key) == 2
    assert call(cache, "get_many", [key]) == {key: 2}
    assert call(cache, "touch", key) is True
    assert call(cache, "delete", key) is True
    assert call(cache, "has_key", key) is False


@pytest.mark.parametrize("key", [1, 1.5, None, True, (1,), b"bytes", "\ud800", "a\udcffb", "é", "", "😀", frozenset()])
def test_a_key_is_whatever_has_a_text(cache: KTCache, call: Call, key: Any) -> None:
    call(cache, "set", key, "v", version=3)
    assert call(cache, "get", str(key), version=3) == "v"
    assert call(cache, "get_many", [key], version=3) == {key: "v"}
    assert call(cache, "set_many", {key: "w"}, version=3) == []
    assert call(cache, "has_key", key, version=3) is True
    assert call(cache, "delete_many", [key], version=3) is None
    assert call(cache, "get", key, version=3) is None


def test_lone_surrogates_are_different_keys(cache: KTCache, call: Call) -> None:
    values = {chr(code): code for code in (0xD800, 0xDFFF, 0xFFFD, ord("?"))}
    call(cache, "set_many", values)
    assert call(cache, "get_many", values) == values


def test_versions_are_kept_apart(make_cache: MakeCache, call: Call) -> None:
    first, second = make_cache(), make_cache(VERSION=2)
    call(first, "set", "k", "one")
    call(first, "set", "k", "two", version=2)
    call(first, "set", "k", "zero", version=0)
    assert call(second, "get", "k") == "two"
    assert call(second, "get", "k", version=1) == "one"
    assert call(second, "get", "k", version=0) == "zero"
    assert call(second, "delete", "k") is True
    assert call(first, "get_many", ["k"]) == {"k": "one"}
    assert call(first, "has_key", "k", version=2) is False


def shouted(key: Any, prefix: str, version: int) -> str:
    return f"{key}/{prefix}/{version}".upper()


@pytest.mark.parametrize("function", [shouted, f"{__name__}.shouted"])
def test_a_key_function_makes_the_keys(make_cache: MakeCache, call: Call, function: Any) -> None:
    cache = make_cache(KEY_FUNCTION=function, KEY_PREFIX="prefix")
    call(cache, "set", "k", 1)
    call(cache, "set_many", {"l": 2}, version=7)
    assert sorted(cache._store.keys()) == [b"K/PREFIX/1", b"L/PREFIX/7"]
    assert call(cache, "get", "K") == 1


def test_keys_are_stored_as_django_would_name_them(make_cache: MakeCache) -> None:
    cache = make_cache(KEY_PREFIX="préfix")
    cache.set("clé", 1)
    assert cache._store.keys() == [cache.make_key("clé").encode()] == ["préfix:1:clé".encode()]


class Strict(KTCache):
    """A project's own rules, written as Django's documentation says."""

    def make_key(self, key: Any, version: int | None = None) -> str:
        return "own:" + super().make_key(key, version)

    def validate_key(self, key: str) -> None:
        if "!" in key:
            raise InvalidCacheKey(key)


def test_a_subclass_may_have_rules_of_its_own(make_cache: MakeCache, call: Call) -> None:
    cache = make_cache(kind=Strict)
    call(cache, "set", "with spaces", 1)
    assert cache._store.keys() == [b"own::1:with spaces"]
    for method, argument in (("get", "k!"), ("get_many", ["k!"]), ("delete", "k!")):
        with pytest.raises(InvalidCacheKey):
            call(cache, method, argument)
