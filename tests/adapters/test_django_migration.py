"""A CACHES entry and code that were written for another backend: translated, or told what to write instead."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

import pytest
from django.core.cache import cache as default_cache
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from kt_cache.django import KTCache
from kt_cache.django.base import read_options
from kt_cache.django.migration import LEFT_OUT, REFUSED, TRANSLATIONS, translate
from kt_cache.options import EmbeddedOptions, KyotoOptions, Options
from kt_core.errors import Misconfigured
from tests.adapters.conftest import MakeCache

HERE = "embedded://here"
THERE = "kt://there"
OURS = {field.name for kind in (Options, EmbeddedOptions, KyotoOptions) for field in fields(kind)}

# -- options that have an equivalent -----------------------------------------------------------------------

# name, value: what is read; for an embedded database where that differs
EQUIVALENTS: list[tuple[str, Any, dict[str, Any], dict[str, Any] | None]] = [
    ("SOCKET_TIMEOUT", 5, {"timeout": 5}, {}),
    ("SOCKET_TIMEOUT", None, {}, None),
    ("socket_timeout", 0.5, {"timeout": 0.5}, {}),
    ("SOCKET_CONNECT_TIMEOUT", 2, {"connect_timeout": 2}, {}),
    ("SOCKET_CONNECT_TIMEOUT", None, {}, None),
    ("IGNORE_EXCEPTIONS", True, {"on_error": "miss"}, None),
    ("IGNORE_EXCEPTIONS", False, {"on_error": "raise"}, None),
    ("CONNECTION_POOL_KWARGS", {"max_connections": 50}, {"max_connections": 50}, {}),
    ("CONNECTION_POOL_KWARGS", {"socket_timeout": 5}, {"timeout": 5}, {}),
    ("CONNECTION_POOL_KWARGS", {"socket_connect_timeout": 1}, {"connect_timeout": 1}, {}),
    ("CONNECTION_POOL_KWARGS", {"max_connections": None}, {}, None),
    ("CONNECTION_POOL_KWARGS", {}, {}, None),
    ("SERIALIZER", "django_redis.serializers.pickle.PickleSerializer", {"serializer": "pickle"}, None),
    ("SERIALIZER", "django_redis.serializers.json.JSONSerializer", {"serializer": "json"}, None),
    ("SERIALIZER", "django_redis.serializers.msgpack.MSGPackSerializer", {"serializer": "msgpack"}, None),
    ("SERIALIZER", "django_valkey.serializers.json.JSONSerializer", {"serializer": "json"}, None),
    ("SERIALIZER", "django_valkey.serializers.msgspec.MsgSpecJsonSerializer", {"serializer": "json"}, None),
    ("SERIALIZER", "django_valkey.serializers.msgspec.MsgSpecMsgPackSerializer", {"serializer": "msgpack"}, None),
    ("SERIALIZER", "django.core.cache.backends.redis.RedisSerializer", {"serializer": "pickle"}, None),
    ("SERIALIZER", "json", {"serializer": "json"}, None),
    ("COMPRESSOR", "django_redis.compressors.identity.IdentityCompressor", {"compression": None}, None),
    ("COMPRESSOR", "django_redis.compressors.zlib.ZlibCompressor", {"compression": "zlib"}, None),
    ("COMPRESSOR", "django_redis.compressors.gzip.GzipCompressor", {"compression": "zlib"}, None),
    ("COMPRESSOR", "django_redis.compressors.lzma.LzmaCompressor", {"compression": "lzma"}, None),
    ("COMPRESSOR", "django_redis.compressors.lz4.Lz4Compressor", {"compression": "lz4"}, None),
    ("COMPRESSOR", "django_redis.compressors.zstd.ZStdCompressor", {"compression": "zstd"}, None),
    ("COMPRESSOR", "django_valkey.compressors.bz2.Bz2Compressor", {"compression": "bz2"}, None),
    ("COMPRESSOR", "django_valkey.compressors.brotli.BrotliCompressor", {"compression": "brotli"}, None),
    ("CACHE_COMPRESS_LEVEL", 9, {"compress_level": 9}, None),
    ("CACHE_COMPRESS_MIN_LENGTH", 15, {"compress_min_length": 15}, None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "there", "here"), EQUIVALENTS, ids=str)
def test_an_equivalent_is_translated(name: str, value: Any, there: dict[str, Any], here: dict[str, Any] | None) -> None:
    assert translate(THERE, {name: value}) == there
    for location in (HERE, "", None):
        assert translate(location, {name: value}) == (there if here is None else here)
    assert read_options(THERE, {"OPTIONS": {name: value}}) == read_options(THERE, {"OPTIONS": there})


def test_every_translation_is_tested_and_gives_options_that_there_are() -> None:
    assert {name.lower() for name, *_ in EQUIVALENTS} == set(TRANSLATIONS)
    assert {ours for _, _, there, _ in EQUIVALENTS for ours in there} <= OURS


def test_our_own_options_stay_as_they_are() -> None:
    class Own:
        """A serializer."""

    options = {"max_size": "1g", "SERIALIZER": Own, "timeout": 1, "MAX_CONNECTIONS": 5}
    assert translate(THERE, options) == {"max_size": "1g", "serializer": Own, "timeout": 1, "max_connections": 5}


def test_an_entry_of_django_redis_becomes_a_cache(make_cache: MakeCache) -> None:
    cache = make_cache(
        TIMEOUT=60,
        KEY_PREFIX="site",
        OPTIONS={
            "SOCKET_TIMEOUT": 5,
            "SOCKET_CONNECT_TIMEOUT": 5,
            "IGNORE_EXCEPTIONS": True,
            "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
            "COMPRESSOR": "django_redis.compressors.zlib.ZlibCompressor",
            "CONNECTION_POOL_KWARGS": {"max_connections": 100},
        },
    )
    cache.set("k", {"a": [1] * 1000})
    assert cache.get("k") == {"a": [1] * 1000}
    assert (cache._options.on_error, cache._options.serializer, cache._options.compression) == ("miss", "json", "zlib")


# -- options that have none --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REFUSED)
def test_an_option_without_an_equivalent_is_refused(name: str) -> None:
    for location, written in ((THERE, name.upper()), (HERE, name)):
        with pytest.raises(ImproperlyConfigured, match=f"{written} is an option of another backend: ") as caught:
            KTCache(location, {"OPTIONS": {written: "value"}})
        assert REFUSED[name] in str(caught.value)


@pytest.mark.parametrize("advice", [*REFUSED.values(), *LEFT_OUT.values()])
def test_advice_names_what_there_is(advice: str) -> None:
    assert set(re.findall(r"\b([a-z_]+)=", advice)) - {"stale", "early", "get"} <= OURS
    assert set(re.findall(r"called (\w+)|\b(\w+_\w+)\(", advice)) <= {
        (name, "") for name in dir(KTCache)
    } | {("", name) for name in dir(KTCache)}  # fmt: skip


def test_an_option_is_either_translated_or_refused_or_ours() -> None:
    assert set(TRANSLATIONS).isdisjoint(REFUSED)
    assert OURS.isdisjoint(REFUSED)
    assert OURS & set(TRANSLATIONS) == {"serializer"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"CONNECTION_POOL_KWARGS": {"max_connections": 1, "ssl_cert_reqs": None}}, "has 'ssl_cert_reqs', which means"),
        ({"CONNECTION_POOL_KWARGS": 50}, "CONNECTION_POOL_KWARGS is 50: write max_connections=64 instead"),
        ({"CONNECTION_POOL_KWARGS": {"max_connections": 0}}, "option max_connections: 0 is not enough"),
        ({"SERIALIZER": "django_redis.serializers.dill.DillSerializer"}, "no equivalent: write serializer='pickle'"),
        ({"COMPRESSOR": "django_redis.compressors.snappy.SnappyCompressor"}, "write compression= and one of 'zlib'"),
        ({"COMPRESSOR": "project.compressors.Own"}, "'project.compressors.Own' has no equivalent"),
        ({"SOCKET_TIMEOUT": "soon"}, "option timeout: 'soon' is not a time"),
        ({"SOCKET_TIMEOUT": 5, "timeout": 5}, "the option timeout is given twice, once as timeout: leave out either"),
        ({"timeout": 5, "SOCKET_TIMEOUT": 5}, "the option timeout is given twice, once as SOCKET_TIMEOUT"),
        ({"SOCKET_TIMEOUTS": 5}, "there is no option 'socket_timeouts': did you mean"),
        ({"LOCATION": "x"}, "there is no option 'location'"),
    ],
    ids=str,
)
def test_what_cannot_be_translated_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(Misconfigured, match=re.escape(message)):
        read_options(THERE, {"OPTIONS": options})


def test_what_is_ours_is_not_dropped_where_it_means_nothing() -> None:
    with pytest.raises(Misconfigured, match="timeout is an option of kt:// locations"):
        read_options(HERE, {"OPTIONS": {"timeout": 5}})


def test_a_password_is_not_shown() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"write kt://cache\.example:1978/1 ") as caught:
        KTCache(["redis://me:secret@cache.example/1"], {})
    assert "secret" not in str(caught.value)


# -- methods -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_method_that_is_left_out_is_told_with_what_to_do_instead(make_embedded_cache: MakeCache, name: str) -> None:
    cache = make_embedded_cache()
    assert not hasattr(cache, name)
    with pytest.raises(AttributeError, match=f"a KTCache has no '{name}': ") as caught:
        getattr(cache, name)
    assert (caught.value.name, caught.value.obj) == (name, cache)
    assert LEFT_OUT[name] in str(caught.value)


def test_a_subclass_may_have_what_is_left_out(make_embedded_cache: MakeCache) -> None:
    class Own(KTCache):
        def sadd(self, key: str) -> str:
            return key

    cache = make_embedded_cache(kind=Own)
    assert cache.sadd("k") == "k"
    with pytest.raises(AttributeError, match="a Own has no 'srem': "):
        cache.srem  # type: ignore[attr-defined]  # noqa: B018 - it is looked for


def test_it_is_told_through_djangos_proxy_too(tmp_path: Any) -> None:
    entry = {"BACKEND": "kt_cache.django.KTCache", "LOCATION": f"embedded://{tmp_path}/place?max_size=2m"}
    with override_settings(CACHES={"default": entry}):
        assert not hasattr(default_cache, "sadd")
        with pytest.raises(AttributeError, match="compare_and_set"):
            default_cache.sadd  # type: ignore[attr-defined]  # noqa: B018 - it is looked for
        default_cache._store.close()  # type: ignore[attr-defined]
