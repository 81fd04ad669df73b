"""A location and options become `Options`; a mistake in either is told with what to write instead."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from kt_cache.options import AerospikeOptions, EmbeddedOptions, KyotoOptions, Options, TyrantOptions
from kt_cache.stores import open_store
from kt_cache.stores.embedded import EmbeddedStore
from kt_core.database import Environment
from kt_core.errors import Misconfigured
from kt_core.pool import PoolOptions
from kt_core.transport import Address

HERE = "embedded://here"
THERE = "kt://there"
TYRANT = "tt://there"
CLUSTER = "aerospike://there/test/cache"

# name: as Django's OPTIONS has it, as a URL's query has it, as it is read
COMMON: dict[str, tuple[Any, str, Any]] = {
    "serializer": ("json", "json", "json"),
    "accept": (["json", "pickle"], "json,pickle", ("json", "pickle")),
    "compression": ("zlib", "zlib", "zlib"),
    "compress_min_length": (4096, "4k", 4096),
    "compress_level": (9, "9", 9),
    "sign": (True, "yes", True),
    "on_error": ("miss", "miss", "miss"),
}
EMBEDDED: dict[str, tuple[Any, str, Any]] = {
    "max_size": (64 << 20, "64MiB", 64 << 20),
    "durability": ("commit", "commit", "commit"),
    "eviction": ("none", "none", "none"),
    "database": (3, "3", 3),
}
KYOTO: dict[str, tuple[Any, str, Any]] = {
    "database": (3, "3", 3),
    "timeout": (0.25, "0.25", 0.25),
    "connect_timeout": (2, "2", 2.0),
    "max_connections": (8, "8", 8),
    "max_idle": (30, "30", 30.0),
    "retry_attempts": (0, "0", 0),
    "retry_timeout": (0.5, ".5", 0.5),
    "dead_timeout": (10, "1e1", 10.0),
    "failover": (False, "no", False),
    "replicas": (["b", "c:1979"], "b,c:1979", (Address("b"), Address("c", 1979))),
    "replica": ("embedded://b?max_size=1g", "embedded://b?max_size=1g", EmbeddedOptions("b", max_size=1 << 30)),
    "max_lag": (0.5, "0.5", 0.5),
    "outage": (300, "300", 300.0),
}
AEROSPIKE: dict[str, tuple[Any, str, Any]] = {
    "namespace": ("live", "live", "live"),
    "set": ("pages", "pages", "pages"),
    "timeout": (0.25, "0.25", 0.25),
    "connect_timeout": (2, "2", 2.0),
    "max_connections": (8, "8", 8),
    "retries": (0, "0", 0),
    "retry_timeout": (0.5, ".5", 0.5),
    "send_key": (False, "no", False),
    "cluster_name": ("lab", "lab", "lab"),
    "replica": ("any", "any", "any"),
    "read_mode": ("all", "all", "all"),
    "commit_level": ("master", "master", "master"),
    "oversize": ("refuse", "refuse", "refuse"),
}
OF_TYRANT = {name: row for name, row in KYOTO.items() if name not in ("database", "replica", "max_lag", "outage")}
EACH = [
    *((HERE, name, *row) for name, row in (EMBEDDED | COMMON).items()),
    *((THERE, name, *row) for name, row in (KYOTO | COMMON).items()),
    *((TYRANT, name, *row) for name, row in OF_TYRANT.items()),
    *((CLUSTER, name, *row) for name, row in AEROSPIKE.items() if name not in ("namespace", "set")),
]
each_option = pytest.mark.parametrize(
    ("location", "name", "value", "text", "read"), EACH, ids=[f"{location}-{name}" for location, name, *_ in EACH]
)


def parse(location: Any, **options: Any) -> Options:
    return Options.parse(location, options, default_name="default")


@pytest.fixture
def open_at() -> Iterator[Callable[[Options], EmbeddedStore]]:
    """Return a function that opens stores, which are closed after the test."""
    opened: set[Environment] = set()

    def open_(options: Options) -> EmbeddedStore:
        store = open_store(options)
        assert isinstance(store, EmbeddedStore)
        opened.add(store._database.environment)
        return store

    yield open_
    for environment in opened:
        environment.close()


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (Options, {"store", *COMMON}),
        (EmbeddedOptions, {"place", *EMBEDDED}),
        (KyotoOptions, {"servers", *KYOTO}),
        (TyrantOptions, {"servers", *OF_TYRANT}),
        (AerospikeOptions, {"servers", *AEROSPIKE, "user", "password"}),
    ],
)
def test_every_option_is_tested(kind: type[Any], names: set[str]) -> None:
    assert names == {field.name for field in fields(kind)}


def expected(location: str, name: str, read: Any) -> Options:
    """Return the options that differ from the location's own in one."""
    plain = parse(location)
    if name in COMMON:
        return replace(plain, **{name: read})
    return replace(plain, store=replace(plain.store, **{name: read}))


# -- options -----------------------------------------------------------------------------------------------


@each_option
def test_an_option_is_read_from_the_mapping(location: str, name: str, value: Any, text: str, read: Any) -> None:
    assert parse(location, **{name: value}) == expected(location, name, read)


@each_option
def test_an_option_is_read_from_the_query(location: str, name: str, value: Any, text: str, read: Any) -> None:
    assert parse(f"{location}?{name}={text}") == expected(location, name, read)


@each_option
def test_an_option_may_be_a_text_in_the_mapping_too(location: str, name: str, value: Any, text: str, read: Any) -> None:
    assert parse(location, **{name: text}) == expected(location, name, read)


@each_option
def test_names_may_be_in_any_case(location: str, name: str, value: Any, text: str, read: Any) -> None:
    assert parse(location, **{name.upper(): value}) == expected(location, name, read)
    assert parse(f"{location}?{name.title()}={text}") == expected(location, name, read)


@each_option
def test_each_option_differs_from_its_default(location: str, name: str, value: Any, text: str, read: Any) -> None:
    assert parse(location) != expected(location, name, read)


def test_the_mapping_wins_over_the_query() -> None:
    assert parse(f"{HERE}?max_size=1g&database=1", MAX_SIZE="2g") == parse(HERE, max_size="2g", database=1)
    assert parse(f"{THERE}/1?timeout=2", DATABASE=3) == parse(THERE, database=3, timeout=2)


def test_a_query_may_hold_several_options() -> None:
    options = parse("embedded:///srv/cache?max_size=1.5%20GiB&accept=json%2Cmsgpack&sign=on")
    assert options.store == EmbeddedOptions("/srv/cache", max_size=3 << 29)
    assert (options.accept, options.sign) == (("json", "msgpack"), True)


def test_options_are_values() -> None:
    assert parse(HERE, max_size="1g") == parse(f"{HERE}?max_size=1024m")
    assert len({parse(HERE), parse(HERE), parse("embedded://there"), parse(THERE), parse(THERE)}) == 3
    for location in (HERE, THERE):
        assert pickle.loads(pickle.dumps(parse(location))) == parse(location)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("max_sise", "max_size"),
        ("MAXSIZE", "max_size"),
        ("serialiser", "serializer"),
        ("durable", "durability"),
        ("compress", "compression"),
        ("signed", "sign"),
    ],
)
@pytest.mark.parametrize("by", ["mapping", "query"])
def test_an_unknown_name_is_refused_with_the_nearest(name: str, nearest: str, by: str) -> None:
    location, options = {"mapping": (HERE, {name: 1}), "query": (f"{HERE}?{name}=1", {})}[by]
    with pytest.raises(Misconfigured, match=f"(?i){name}.*did you mean '{nearest}'"):
        parse(location, **options)


@pytest.mark.parametrize(
    ("location", "name", "advice"),
    [
        (THERE, "max_size", "max_size is an option of embedded:// locations, not of kt:// ones: leave it out"),
        ("kt+unix:///socket", "EVICTION", "eviction is an option of embedded:// locations, not of kt[+]unix:// ones"),
        (HERE, "timeout", "timeout is an option of kt:// locations, not of embedded:// ones"),
        (TYRANT, "database", "database is an option of embedded:// locations, not of tt:// ones: leave it out"),
    ],
)
def test_an_option_of_another_kind_of_store_is_refused(location: str, name: str, advice: str) -> None:
    with pytest.raises(Misconfigured, match=advice):
        parse(location, **{name: 1})


@pytest.mark.parametrize("name", ["scheme", "zzz", ""])
def test_a_name_that_resembles_none_is_refused_with_all(name: str) -> None:
    with pytest.raises(Misconfigured, match=r"choose one of 'max_size', .*'sign', 'on_error'"):
        parse(HERE, **{name: 1})


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(Misconfigured, match="choose one of"):
        Options.parse(HERE, {1: 2}, default_name="default")  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("location", "name", "value", "message"),
    [
        (HERE, "max_size", "large", "'large' is not a size: write bytes as a number, or like '256MiB'"),
        (HERE, "max_size", 1.5, "1.5 is not a size"),
        (HERE, "max_size", True, "True is not a size"),
        (HERE, "max_size", None, "None is not a size"),
        (HERE, "max_size", "-1", "'-1' is not a size"),
        (HERE, "max_size", "1 PB", "'1 PB' is not a size"),
        (HERE, "durability", "comit", "did you mean 'commit'"),
        (HERE, "durability", None, "choose one of 'process', 'commit'|did you mean"),
        (HERE, "eviction", "lfu", "'lru'"),
        (HERE, "database", -1, "-1 is not a number"),
        (HERE, "database", "two", "'two' is not a number"),
        (HERE, "database", True, "True is not a number"),
        (HERE, "database", 1.0, "1.0 is not a number"),
        (HERE, "accept", 3, "3 is not a list of names"),
        (HERE, "compress_level", "high", "'high' is not a number"),
        (HERE, "compress_min_length", "short", "'short' is not a size"),
        (HERE, "sign", "perhaps", "True or False"),
        (HERE, "sign", None, "True or False"),
        (HERE, "sign", 2, "True or False"),
        (HERE, "on_error", "ignore", "choose one of 'raise', 'miss'"),
        (THERE, "database", 200, "write a number from 0 to 199"),
        (THERE, "timeout", "soon", "'soon' is not a time: write seconds as a number greater than 0, like 0.5"),
        (THERE, "timeout", 0, "0 is not a time"),
        (THERE, "timeout", -1, "-1 is not a time"),
        (THERE, "timeout", None, "None is not a time"),
        (THERE, "timeout", True, "True is not a time"),
        (THERE, "timeout", "nan", "'nan' is not a time"),
        (THERE, "connect_timeout", "inf", "'inf' is not a time"),
        (THERE, "retry_timeout", [1], r"\[1\] is not a time"),
        (THERE, "max_connections", 0, "0 is not enough: write 1 or more"),
        (THERE, "retry_attempts", -1, "-1 is not a number"),
        (THERE, "replicas", 3, "3 is not a list of servers: write .'host:1978'"),
        (THERE, "replicas", "b,,c", "'' is not a server: write kt://host:1978"),
        (THERE, "replicas", ["b:1978/0"], "'b:1978/0' is more than a server: write host:port"),
        (THERE, "replica", "kt://b", "'kt://b' is not on this machine: write embedded://NAME"),
        (THERE, "replica", "copy", "'copy' is not a URL: write embedded://copy"),
        (THERE, "replica", "embedded://copy?eviction=none", "no option of a copy 'eviction'.*'max_size'"),
        (THERE, "replica", "embedded://copy?max_size=big", "'big' is not a size"),
        (TYRANT, "replicas", ["b:1978/0"], "names a database, and a Tokyo Tyrant server has one: write tt://b:1978"),
        (TYRANT, "replicas", ["kt://b"], "'kt://b' is not a server: write tt://host:1978"),
    ],
)
def test_a_value_that_cannot_be_is_refused(location: str, name: str, value: Any, message: str) -> None:
    with pytest.raises(Misconfigured, match=f"option {name.upper()}: .*({message})"):
        parse(location, **{name.upper(): value})


@pytest.mark.parametrize("query", ["max_size=", "max_size", "sign", "database=", "durability", "accept=json&sign="])
def test_an_option_without_a_value_is_refused(query: str) -> None:
    with pytest.raises(Misconfigured, match="option"):
        parse(f"{HERE}?{query}&compression=zlib")


@pytest.mark.parametrize("value", [True, 1, "1", "true", "True", "YES", "on"])
def test_truth_has_many_names(value: object) -> None:
    assert parse(HERE, sign=value).sign is True


@pytest.mark.parametrize("value", [False, 0, "0", "false", "False", "NO", "off"])
def test_falsehood_has_many_names(value: object) -> None:
    assert parse(HERE, sign=value).sign is False


@pytest.mark.parametrize("name", ["accept", "compression", "compress_level"])
def test_what_may_be_left_out_may_be_none(name: str) -> None:
    assert getattr(parse(HERE, **{name: None}), name) is None


def test_the_time_to_connect_may_be_left_out() -> None:
    assert parse(THERE, connect_timeout=None) == parse(THERE)


@pytest.mark.parametrize("replicas", [[], "", ()])
def test_there_may_be_no_replicas(replicas: object) -> None:
    assert parse(THERE, replicas=replicas) == parse(THERE)


def test_there_may_be_no_copy() -> None:
    assert parse(THERE, replica=None) == parse(THERE)


def test_accept_may_be_empty() -> None:
    assert parse(HERE, accept=[]).accept == ()
    assert parse(HERE, accept="").accept == ()


@pytest.mark.parametrize("serializer", [json, "json", "pathlib.Path"])
def test_a_serializer_is_passed_on_as_it_is(serializer: object) -> None:
    assert parse(HERE, serializer=serializer).serializer is serializer


# -- servers -----------------------------------------------------------------------------------------------


def test_a_server_may_be_the_replica_of_one_alone() -> None:
    with pytest.raises(Misconfigured, match="replicas copy one server, and several are given: leave out either"):
        parse("kt://a,b", replicas="c")


def test_reads_go_to_a_copy_here_or_to_replicas_elsewhere() -> None:
    with pytest.raises(Misconfigured, match="replica= on this machine or to replicas= on others: leave out either"):
        parse("kt://a", replica="embedded://copy", replicas="b")


@pytest.mark.parametrize("location", ["kt://a:1978,b,a", ["kt://a", "kt://a:1978/0"], "kt://a?replicas=b,a:1978"])
def test_a_server_is_not_there_twice(location: object) -> None:
    with pytest.raises(Misconfigured, match="the server a:1978 is there twice: write it once"):
        parse(location)


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("aerospike://a", "the location names no namespace: write aerospike://a:3000/NAMESPACE/SET"),
        ("aerospike://a,b:3001/test", "names no set: write aerospike://a:3000,b:3001/test/SET"),
        ("aerospike://a/test/", "names no set: write aerospike://a:3000/test/SET"),
        ("aerospike://a/te st/s", "'te st' cannot name a namespace: write up to 31 letters, digits, '-' and '_'"),
        ("aerospike://a/test/a%3Bb", "'a;b' cannot name a set: write up to 63 letters"),
        (f"aerospike://a/test/{'s' * 64}", "cannot name a set"),
        ("aerospike://a/test/s%00t", "cannot name a set"),
        ("aerospike://a/test/s?user=u", "a user needs a password, and a password a user: give both or neither"),
    ],
)
def test_a_set_of_a_cluster_has_names(location: str, message: str) -> None:
    """The native client would cut a name at NUL, and empty the set "a" when told to empty "a;b"."""
    with pytest.raises(Misconfigured, match=message):
        parse(location)


def test_names_and_a_user_may_be_options() -> None:
    options = parse("aerospike://a", NAMESPACE="test", SET="cache", user="u", password="secret").store
    assert options == AerospikeOptions((Address("a", 3000),), "test", "cache", user="u", password="secret")
    assert "secret" not in repr(options)


def test_a_server_gets_its_part() -> None:
    options = parse("kt://a,b", timeout=2, connect_timeout=1, max_connections=3, max_idle=5).store
    assert isinstance(options, KyotoOptions)
    assert options.of_pool(Address("b")) == PoolOptions(
        Address("b"), timeout=2, connect_timeout=1, max_connections=3, max_idle=5
    )


@pytest.mark.parametrize("name", ["a@b", "a:80", "[", ".hidden", "-dash", "a%2Fb", "..", "ä", "x" * 101])
def test_a_name_that_cannot_be_a_directory_is_refused_when_opened(name: str) -> None:
    with pytest.raises(Misconfigured, match=r"cannot name a database.*embedded:///path"):
        open_store(parse(f"embedded://{name}"))


# -- what they are for -------------------------------------------------------------------------------------


def test_the_database_gets_its_part() -> None:
    options = parse(HERE, max_size="2m", durability="commit", eviction="none", database=2).store
    assert isinstance(options, EmbeddedOptions)
    of_database = options.of_database
    assert (of_database.max_size, of_database.durability, of_database.eviction) == (2 << 20, "commit", "none")
    assert of_database.databases >= 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_size": "64k"}, "max_size is 65536 bytes: write at least 1048576"),
        ({"max_size": -5}, "max_size is -5 bytes"),
        ({"database": 100_000}, r"\bdatabase\b"),
    ],
)
def test_what_no_database_can_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(Misconfigured, match=message):
        parse(HERE, **options).store.of_database  # type: ignore[union-attr]  # noqa: B018 - a property that checks


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"serializer": "jsonn"}, "'json'"),
        ({"serializer": "no.such.module"}, "cannot be loaded"),
        ({"serializer": "pathlib.Path"}, "no dumps and loads"),
        ({"accept": ["yaml"]}, "'yaml'"),
        ({"compression": "gzip"}, "'gzip'"),
        ({"compression": "zlib", "compress_level": 99}, "compress_level 99"),
    ],
)
def test_what_no_codec_can_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(Misconfigured, match=message):
        parse(HERE, **options).codec(list)


def test_the_codec_signs_with_the_first_key() -> None:
    codec = parse(HERE, sign=True).codec(lambda: [b"new", b"old"])
    old = parse(HERE, sign=True).codec(lambda: [b"old"])
    assert codec.loads(old.dumps("value", b"k"), b"k") == "value"
    assert codec.dumps("value", b"k") != old.dumps("value", b"k")


def test_keys_are_not_fetched_unless_it_signs() -> None:
    def keys() -> list[bytes]:
        raise AssertionError("fetched")

    parse(HERE).codec(keys)
    with pytest.raises(AssertionError, match="fetched"):
        parse(HERE, sign=True).codec(keys)


OpenAt: TypeAlias = "Callable[[Options], EmbeddedStore]"


def test_two_locations_of_one_place_are_one_store(tmp_path: Path, open_at: OpenAt) -> None:
    location = f"embedded://{tmp_path}/store"
    first = open_at(parse(location, serializer="json", max_size="2m"))
    second = open_at(parse(f"{location}?max_size=2m"))
    first.set(b"k", b"v", None)
    assert second.get(b"k") == b"v"


@pytest.mark.parametrize("numbers", [(1, 0), (0, 1), (0, 7, 3)])
def test_logical_databases_of_one_place_are_stores_of_their_own(
    tmp_path: Path, open_at: OpenAt, numbers: tuple[int, ...]
) -> None:
    location = f"embedded://{tmp_path}/store?max_size=2m"
    stores = [open_at(parse(location, database=number)) for number in numbers]
    for number, store in zip(numbers, stores, strict=True):
        store.set(b"k", b"of %d" % number, None)
    assert [store.get(b"k") for store in stores] == [b"of %d" % number for number in numbers]


def test_one_place_has_one_size(tmp_path: Path, open_at: OpenAt) -> None:
    location = f"embedded://{tmp_path}/store"
    open_at(parse(location, max_size="2m"))
    with pytest.raises(Misconfigured, match=r"max_size=3145728.*2097152"):
        open_at(parse(location, max_size="3m"))
