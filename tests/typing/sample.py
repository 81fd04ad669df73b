"""Code as a project writes it, for a type checker alone: it is never run.

An ignored line is a mistake that has to be found: where it is not, the checker says that nothing was ignored.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Any, assert_type

from kt_cache.django import KTCache, get_cache
from kt_cache.limits import RateLimiter, Verdict
from kt_cache.locks import AsyncLock, Lock
from kt_cache.stores import Stats

cache = get_cache()
assert_type(cache, KTCache)
assert_type(get_cache("other"), KTCache)


def waiting(when: datetime) -> None:
    assert_type(cache.get("k"), Any)
    assert_type(cache.set("k", "v", 60), bool)
    assert_type(cache.set("k", "v", nx=True, tags=["tag"]), bool)
    assert_type(cache.set("k", "v", xx=True, get=True), Any)
    assert_type(cache.set_many({"k": "v"}, tags=("tag",)), list[Any])
    assert_type(cache.get_many(["k"]), dict[Any, Any])
    assert_type(cache.add("k", "v"), bool)
    assert_type(cache.ttl("k"), int | None)
    assert_type(cache.pttl("k", version=2), int | None)
    assert_type(cache.ttl_many(["k"]), dict[Any, int | None])
    assert_type(cache.touch_many(["k"], 60), list[Any])
    assert_type(cache.persist("k"), bool)
    assert_type(cache.expire("k", 60), bool)
    assert_type(cache.pexpire("k", 60_000), bool)
    assert_type(cache.expire_at("k", when), bool)
    assert_type(cache.pexpire_at("k", 2e12), bool)
    assert_type(cache.pop("k", None), Any)
    assert_type(cache.compare_and_set("k", 1, 2), bool)
    assert_type(cache.incr_many(["k"], initial=0), dict[Any, Any])
    assert_type(cache.keys("a*"), list[str])
    assert_type(cache.iter_keys(), Iterator[str])
    assert_type(cache.delete_pattern("a*"), int)
    assert_type(cache.delete_prefix("a"), int)
    assert_type(cache.clear_prefix(), int)
    assert_type(cache.stats(), Stats)
    assert_type(cache.stats().hit_ratio, float | None)
    assert_type(cache.ping(), bool)
    assert_type(cache.lock("name"), Lock)
    assert_type(cache.rate_limiter("login", 5, 60), RateLimiter)
    assert_type(cache.rate_limiter("login", 5, 60).hit("user"), Verdict)
    with cache.lock("name", timeout=10) as lock:
        assert_type(lock.token, int | None)
    cache.decr("k", 1, initial=10, timeout=None)
    cache.delete_tags(["tag"])


async def awaited() -> None:
    assert_type(await cache.aget("k"), Any)
    assert_type(await cache.aset("k", "v", 60), bool)
    assert_type(await cache.aset("k", "v", get=True), Any)
    assert_type(await cache.attl("k"), int | None)
    assert_type(await cache.attl_many(["k"]), dict[Any, int | None])
    assert_type(await cache.apop("k"), Any)
    assert_type(await cache.aincr_many({"k": 2}), dict[Any, Any])
    assert_type(await cache.akeys(), list[str])
    assert_type(cache.aiter_keys(), AsyncIterator[str])
    assert_type(await cache.adelete_pattern("a*"), int)
    assert_type(await cache.astats(), Stats)
    assert_type(await cache.rate_limiter("login", 5, 60).ahit(), Verdict)
    async with cache.alock("name") as lock:
        assert_type(lock, AsyncLock)


def mistaken() -> None:
    cache.ttl("k").bit_length()  # type: ignore[union-attr]
    cache.set("k", "v", once=True)  # type: ignore[call-overload]
    cache.decr("k", inital=1)  # type: ignore[call-arg]
    cache.delete_tags(1)  # type: ignore[arg-type]
    cache.keys(version="2")  # type: ignore[arg-type]
    cache.sadd("k", "v")  # type: ignore[attr-defined]
