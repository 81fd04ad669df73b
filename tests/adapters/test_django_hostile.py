"""What others put into the store of a `KTCache` is a miss where it may not be read: told once, deleted, never run."""

from __future__ import annotations

import logging
import pickle
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import override_settings

from kt_cache import reading
from kt_cache.django import KTCache
from kt_cache.terms import Terms
from kt_cache.values import Codec
from tests.adapters.conftest import Call, MakeCache

SIGNED: dict[str, Any] = {"OPTIONS": {"sign": True}}
SECRET = b"for tests alone"

exploded: list[object] = []


class Bomb:
    """Shows that it was unpickled."""

    def __reduce__(self) -> Any:
        return exploded.append, (1,)


@pytest.fixture(autouse=True)
def unharmed() -> Iterator[None]:
    """Let nothing explode, and complaints be told anew, which otherwise each process tells once."""
    exploded.clear()
    reading._complaints.clear()
    yield
    assert exploded == []


# How a value is read, and what is to come of it where it is not there.
READS: dict[str, tuple[Callable[[Call, KTCache], Any], Any]] = {
    "get": (lambda call, cache: call(cache, "get", "k", "none"), "none"),
    "get_many": (lambda call, cache: call(cache, "get_many", ["k", "sound"]), {"sound": ["sound"]}),
    "pop": (lambda call, cache: call(cache, "pop", "k", "none"), "none"),
    "set": (lambda call, cache: call(cache, "set", "k", "new", get=True), None),
    "set where nothing is": (lambda call, cache: call(cache, "set", "k", "new", nx=True, get=True), None),
    "set where something is": (lambda call, cache: call(cache, "set", "k", "new", xx=True, get=True), None),
    "get_or_set": (lambda call, cache: call(cache, "get_or_set", "k", "new"), "new"),
    "get_or_set, computed": (lambda call, cache: call(cache, "get_or_set", "k", lambda: "new", early=1), "new"),
    "compare_and_set": (lambda call, cache: call(cache, "compare_and_set", "k", ["value"], "new"), False),
    "incr": (lambda call, cache: call(cache, "incr", "k", initial=5), 6),
    "incr_many": (lambda call, cache: call(cache, "incr_many", ["k"]), {}),
}


def check(call: Call, cache: KTCache, stored: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Put something into the store, read it in every way, and see that it is a miss that was told once and is gone."""
    made = cache._key("k", None)
    cache.set("sound", ["sound"])
    with caplog.at_level(logging.WARNING, "kt_cache"):
        for read, (ask, answer) in READS.items():
            cache._store.set(made, stored, None)
            assert ask(call, cache) == answer, read
            assert cache._store.get(made) != stored, read
    assert [record.levelname for record in caplog.records if record.name.startswith("kt_cache")] == ["WARNING"]
    assert "taken for a miss" in caplog.text


# -- changed values ----------------------------------------------------------------------------------------


def stored(cache: KTCache, key: str = "k", **params: Any) -> bytes:
    """Return what is stored of a value under a key."""
    cache.set(key, ["value"], **params)
    found = cache._store.get(cache._key(key, None))
    assert isinstance(found, bytes)
    return found


CHANGES: dict[str, Callable[[KTCache, MakeCache], bytes]] = {
    "one bit": lambda cache, make: bytes((stored(cache)[0], stored(cache)[1] ^ 1)) + stored(cache)[2:],
    "end": lambda cache, make: stored(cache)[:-1],
    "more": lambda cache, make: stored(cache) + b"\0",
    "not signed": lambda cache, make: stored(make()),
    "flag of the signature": lambda cache, make: bytes((stored(cache)[0] & ~1,)) + stored(cache)[1:],
    "not signed, json": lambda cache, make: stored(make(OPTIONS={"serializer": "json"})),
    "signed as json": lambda cache, make: bytes((0x11,)) + stored(cache)[1:],
    "signed as compressed": lambda cache, make: bytes((stored(cache)[0] | 2,)) + stored(cache)[1:],
    "of another key": lambda cache, make: stored(cache, "other"),
    "of another version": lambda cache, make: stored(make(**SIGNED, VERSION=2)),
    "of another prefix": lambda cache, make: stored(make(**SIGNED, KEY_PREFIX="other")),
    "with tags, of another key": lambda cache, make: stored(cache, "other", tags=["tag"]),
    "with tags, not signed": lambda cache, make: stored(make(), tags=["tag"]),
    "with tags, one bit": lambda cache, make: stored(cache, tags=["tag"])[:-1] + b"?",
    "with the tags taken off": lambda cache, make: b"\x31" + stored(cache, tags=["tag"])[1:],
    "signed by somebody else": lambda cache, make: bytes(Codec(signing_keys=[b"other"]).dumps(["value"], b":1:k")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_signed_value_that_was_changed_is_a_miss(
    make_cache: MakeCache,
    call: Call,
    caplog: pytest.LogCaptureFixture,
    change: Callable[[KTCache, MakeCache], bytes],
) -> None:
    cache = make_cache(**SIGNED)
    check(call, cache, change(cache, make_cache), caplog)


def test_no_bit_and_no_byte_of_a_signed_value_may_be_another(make_embedded_cache: MakeCache, call: Call) -> None:
    cache = make_embedded_cache(**SIGNED)
    for tags in ([], ["tag"]):
        sound = stored(cache, tags=tags)
        changed = [
            sound[:at] + bytes((sound[at] ^ 1 << bit,)) + sound[at + 1 :]
            for at in range(len(sound))
            for bit in range(8)
        ]
        # Eight bytes are a counter, and never signed.
        changed += [sound[:length] for length in range(len(sound)) if length != 8]
        for each in changed:
            cache._store.set(b":1:k", each, None)
            assert cache.get("k") is None
            assert cache._store.get(b":1:k") is None


def test_a_value_may_be_moved_by_the_cache_alone(make_cache: MakeCache, call: Call) -> None:
    cache = make_cache(**SIGNED)
    cache.set_many({"k": ["value"], "tagged": "value"})
    cache.set("tagged", ["value"], tags=["tag"])
    for key in ("k", "tagged"):
        assert call(cache, "incr_version", key) == 2
        assert call(cache, "get", key, version=2) == ["value"]


def test_what_cannot_be_vouched_for_is_not_moved(make_cache: MakeCache, call: Call) -> None:
    cache = make_cache(**SIGNED)
    cache._store.set(b":1:k", pickle.dumps(Bomb()), None)
    with pytest.raises(ValueError, match="Key 'k' not found"):
        call(cache, "incr_version", "k")
    assert call(cache, "has_key", "k", version=2) is False


@override_settings(SECRET_KEY_FALLBACKS=["older"])
def test_an_older_key_vouches_for_a_value_until_it_is_written_again(make_cache: MakeCache, call: Call) -> None:
    cache = make_cache(**SIGNED)
    older = Codec(signing_keys=[b"older"])
    cache._store.set(b":1:k", older.dumps(1.5, b":1:k"), None)
    assert call(cache, "get", "k") == 1.5
    assert call(cache, "incr", "k") == 2.5
    assert Codec(signing_keys=[SECRET]).loads(cache._store.get(b":1:k"), b":1:k") == 2.5


# -- pickles of somebody else ------------------------------------------------------------------------------


def with_terms(value: bytes) -> bytes:
    terms = Terms().encode()
    return b"\x50" + len(terms).to_bytes(2, "big") + terms + value


BOMBS: dict[str, Callable[[], bytes]] = {
    "plain": lambda: pickle.dumps(Bomb()),
    "of an old protocol": lambda: b"\x30" + pickle.dumps(Bomb(), 0),
    "with a header": lambda: b"\x30" + pickle.dumps(Bomb()),
    "compressed": lambda: b"\x32" + zlib.compress(pickle.dumps(Bomb())),
    "with terms": lambda: with_terms(pickle.dumps(Bomb())),
    "with terms, compressed": lambda: with_terms(b"\x32" + zlib.compress(pickle.dumps(Bomb()))),
    "of a serializer of one's own": lambda: b"\x70" + pickle.dumps(Bomb()),
    "marked as signed": lambda: b"\x31" + bytes(16) + pickle.dumps(Bomb()),
}
GUARDED: list[dict[str, Any]] = [
    {"serializer": "json"},
    {"serializer": "msgpack"},
    {"sign": True},
    {"serializer": "json", "sign": True, "accept": ["pickle"]},
]


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
@pytest.mark.parametrize("options", GUARDED, ids=str)
def test_a_pickle_is_not_unpickled(
    make_cache: MakeCache,
    call: Call,
    caplog: pytest.LogCaptureFixture,
    options: dict[str, Any],
    bomb: Callable[[], bytes],
) -> None:
    check(call, make_cache(OPTIONS=options), bomb(), caplog)


def test_a_pickle_is_moved_as_it_is(make_cache: MakeCache, call: Call) -> None:
    cache = make_cache(OPTIONS={"serializer": "json"})
    cache._store.set(b":1:k", pickle.dumps(Bomb()), None)
    assert call(cache, "incr_version", "k") == 2
    assert call(cache, "get", "k", version=2) is None
