"""Values of `KTCache`: by every serializer, compressed, signed, and those that may not or cannot be read."""

from __future__ import annotations

import logging
import math
import pickle
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.http import HttpResponse, JsonResponse
from django.test import override_settings
from django.utils import translation
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy, pgettext_lazy

from kt_cache.django import KTCache
from tests.adapters.conftest import Call, MakeCache

PLAIN = {"text": "clé", "list": [1, 2.5, None, True], "deep": {"deeper": {"deepest": []}}}
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, (1 << 63) - 1, 1 << 63, -(1 << 63) - 1, 0.5, math.inf, "", "ab", "text", b"",
    b"8 bytes!", bytes(1000), [], {}, (1, 2), {1, 2}, {1: "one", (2,): "two"}, Decimal("1.10"), date(2024, 2, 29),
    datetime(2024, 2, 29, 12, tzinfo=UTC),
]  # fmt: skip
WAYS: list[dict[str, Any]] = [
    {},
    {"serializer": "msgpack"},
    {"compression": "zlib", "compress_min_length": 0},
    {"sign": True},
    {"serializer": "msgpack", "compression": "bz2", "compress_min_length": 0, "sign": True},
]

exploded: list[object] = []


class Bomb:
    """Shows that it was unpickled."""

    def __reduce__(self) -> Any:
        return exploded.append, (self.__class__,)


# -- what comes back ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("options", WAYS, ids=str)
def test_a_value_comes_back_as_it_was(make_cache: MakeCache, options: dict[str, Any], value: Any) -> None:
    cache = make_cache(OPTIONS=options)
    cache.set("k", value)
    cache.set_many({"many": value})
    for got in (cache.get("k", "gone"), cache.get_many(["many"])["many"]):
        assert got == value
        assert type(got) is type(value)


@pytest.mark.parametrize("value", [PLAIN, "text", None, 1.5, 1 << 70, [[]]], ids=repr)
def test_json_keeps_what_json_can(make_cache: MakeCache, value: Any) -> None:
    cache = make_cache(OPTIONS={"serializer": "json"})
    cache.set("k", value)
    assert cache.get("k", "gone") == value


def test_raw_keeps_bytes_and_counters(make_cache: MakeCache, call: Call) -> None:
    cache = make_cache(OPTIONS={"serializer": "raw"})
    call(cache, "set_many", {"k": b"bytes", "n": 1, "eight": b"12345678", "seven": b"1234567"})
    assert call(cache, "incr", "n") == 2
    assert call(cache, "get_many", ["k", "n", "eight", "seven"]) == {
        "k": b"bytes", "n": 2, "eight": b"12345678", "seven": b"1234567"
    }  # fmt: skip
    with pytest.raises(TypeError, match="raw cannot keep"):
        call(cache, "set", "k", "text")
    assert cache.get("k") == b"bytes"


@pytest.mark.parametrize("value", [object(), {1: 2}, b"bytes", {1, 2}])
def test_what_json_cannot_keep_changes_nothing(make_cache: MakeCache, call: Call, value: Any) -> None:
    cache = make_cache(OPTIONS={"serializer": "json"})
    cache.set("k", "old")
    with pytest.raises(TypeError, match="json cannot keep"):
        call(cache, "set", "k", value)
    assert cache.get("k") == "old"


def test_a_response_comes_back_whole(cache: KTCache, call: Call) -> None:
    response = HttpResponse("café", status=203, headers={"X-Own": "yes"})
    response.set_cookie("cookie", "crumbs")
    page = {"response": response, "data": JsonResponse({"a": 1}), "headers": dict(response.headers)}
    call(cache, "set", "page", page)
    got = call(cache, "get", "page")
    assert got["response"].content == "café".encode()
    assert (got["response"].status_code, got["response"]["X-Own"]) == (203, "yes")
    assert got["response"].cookies["cookie"].value == "crumbs"
    assert got["data"].content == b'{"a": 1}'
    assert got["headers"] == page["headers"]


@pytest.mark.parametrize("serializer", ["pickle", "msgpack"])
def test_safe_text_stays_safe(make_cache: MakeCache, serializer: str) -> None:
    cache = make_cache(OPTIONS={"serializer": serializer})
    cache.set("k", {"fragment": mark_safe("<b>bold</b>"), "text": "<b>"})
    got = cache.get("k")
    assert got == {"fragment": "<b>bold</b>", "text": "<b>"}
    assert {name: type(value) for name, value in got.items()} == {"fragment": SafeString, "text": str}


@pytest.mark.parametrize("serializer", ["pickle", "msgpack"])
def test_a_lazy_translation_stays_lazy(make_cache: MakeCache, serializer: str) -> None:
    cache = make_cache(OPTIONS={"serializer": serializer})
    cache.set("k", [gettext_lazy("Monday"), pgettext_lazy("alt. month", "May")])
    got = cache.get("k")
    with translation.override("de"):
        assert list(map(str, got)) == ["Montag", "Mai"]
    with translation.override("en"):
        assert list(map(str, got)) == ["Monday", "May"]


def test_compression_makes_large_values_smaller(make_cache: MakeCache, call: Call) -> None:
    options = {"compression": "zlib", "compress_min_length": "1k", "compress_level": 9}
    cache, plain = make_cache(OPTIONS=options), make_cache()
    call(cache, "set_many", {"large": "a" * 10_000, "small": "a" * 100})
    assert len(cache._store.get(b":1:large")) < 100 < len(cache._store.get(b":1:small"))
    assert call(plain, "get_many", ["large", "small"]) == {"large": "a" * 10_000, "small": "a" * 100}


# -- other writers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", ["json", "msgpack", "pickle"])
@pytest.mark.parametrize("after", ["json", "msgpack", "pickle"])
def test_a_serializer_may_change_while_the_cache_is_warm(
    make_cache: MakeCache, call: Call, before: str, after: str
) -> None:
    old = make_cache(OPTIONS={"serializer": before})
    new = make_cache(OPTIONS={"serializer": after, "accept": ["json", "msgpack", "pickle"]})
    call(old, "set_many", {"k": PLAIN, "n": 1, "x": 0.5})
    assert call(new, "get", "k") == PLAIN
    assert (call(new, "incr", "n"), call(new, "incr", "x")) == (2, 1.5)
    call(new, "set", "k", [PLAIN])
    assert make_cache(OPTIONS={"serializer": before, "accept": [after]}).get("k") == [PLAIN]


@pytest.fixture
def guarded(make_cache: MakeCache) -> KTCache:
    """Return a cache that reads no pickle, over one in which somebody has put some."""
    exploded.clear()
    make_cache().set_many({"bomb": Bomb(), "text": "pickled", "number": 0.5, "counter": 5})
    cache = make_cache(OPTIONS={"serializer": "json"})
    cache.set("ours", "readable")
    return cache


def test_a_serializer_that_is_not_accepted_is_never_run(guarded: KTCache, call: Call) -> None:
    call(guarded, "incr_version", "bomb")
    assert call(guarded, "get", "bomb", version=2) is None
    assert call(guarded, "get_many", ["text", "counter", "ours", "none"]) == {"counter": 5, "ours": "readable"}
    for key in ("bomb", "text", "number"):
        assert call(guarded, "get", key) is None
        assert call(guarded, "get", key, "default") == "default"
    assert exploded == []


def test_incr_of_an_unreadable_value_finds_nothing(guarded: KTCache, call: Call) -> None:
    for key in ("bomb", "number"):
        with pytest.raises(ValueError, match=f"Key '{key}' not found"):
            call(guarded, "incr", key)
    assert exploded == []


def test_get_or_set_replaces_an_unreadable_value(guarded: KTCache, call: Call) -> None:
    made: list[int] = []
    for _ in range(2):
        assert call(guarded, "get_or_set", "text", lambda: made.append(1) or "fresh") == "fresh"
    assert made == [1]


def test_an_unreadable_value_can_be_replaced_and_deleted(guarded: KTCache, call: Call) -> None:
    call(guarded, "set", "text", "fresh")
    assert call(guarded, "get", "text") == "fresh"
    assert call(guarded, "delete", "bomb") is True
    assert exploded == []


@pytest.mark.parametrize(
    "stored", [b"", b"\x52other", b"\x20\xc1", b"\x10{", b"\x14notxz", b"\x1ebadbz", b"\x11" + b"signed" * 5, b"\x7f"]
)
def test_bytes_of_somebody_else_are_a_miss(cache: KTCache, call: Call, stored: bytes) -> None:
    cache._store.set(b":1:k", stored, None)
    cache.set("ours", 1.5)
    assert call(cache, "get", "k", "default") == "default"
    assert call(cache, "get_many", ["k", "ours"]) == {"ours": 1.5}


def test_a_complaint_is_logged_once(make_embedded_cache: MakeCache, caplog: pytest.LogCaptureFixture) -> None:
    # No other test has values of this header: complaints are remembered for the life of the process.
    cache = make_embedded_cache()
    cache._store.set_many({b":1:a": b"\x62", b":1:b": b"\x62", b":1:c": b"\x62"}, None)
    with caplog.at_level(logging.WARNING, "kt_cache"):
        for _ in range(3):
            cache.get("a")
            cache.get_many(["b", "c"])
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "0x62" in caplog.text


def test_a_damaged_pickle_is_an_error_of_its_own(cache: KTCache, call: Call) -> None:
    cache._store.set(b":1:k", pickle.dumps("a longer text")[:-3], None)
    with pytest.raises(pickle.UnpicklingError):
        call(cache, "get", "k")


# -- signatures --------------------------------------------------------------------------------------------

SIGN = {"sign": True}


def test_secret_keys_may_be_rotated(make_cache: MakeCache, call: Call) -> None:
    with override_settings(SECRET_KEY="first", SECRET_KEY_FALLBACKS=[]):
        make_cache(OPTIONS=SIGN).set_many({"k": "old", "counter": 1})
    with override_settings(SECRET_KEY="second", SECRET_KEY_FALLBACKS=["first"]):
        rotating = make_cache(OPTIONS=SIGN)
        assert call(rotating, "get", "k") == "old"
        call(rotating, "set", "new", "new")
    with override_settings(SECRET_KEY="third", SECRET_KEY_FALLBACKS=["second", b"first"]):
        assert call(make_cache(OPTIONS=SIGN), "get_many", ["k", "new"]) == {"k": "old", "new": "new"}
    with override_settings(SECRET_KEY="second", SECRET_KEY_FALLBACKS=[]):
        rotated = make_cache(OPTIONS=SIGN)
        assert call(rotated, "get_many", ["k", "new", "counter"]) == {"new": "new", "counter": 1}


@override_settings(SECRET_KEY="first", SECRET_KEY_FALLBACKS=[])
def test_a_reader_without_keys_reads_no_signed_value(make_cache: MakeCache, call: Call) -> None:
    make_cache(OPTIONS=SIGN).set("k", "signed")
    assert call(make_cache(), "get", "k") is None


@override_settings(SECRET_KEY="first", SECRET_KEY_FALLBACKS=[])
@pytest.mark.parametrize("value", [0.5, 1 << 70])
def test_numbers_are_signed_anew_by_incr(make_cache: MakeCache, call: Call, value: Any) -> None:
    cache = make_cache(OPTIONS=SIGN)
    cache.set("k", value)
    assert call(cache, "incr", "k") == value + 1
    assert cache.get("k") == value + 1
