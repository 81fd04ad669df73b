"""A location and options become `Options`; a mistake in either is told with what to write instead."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from kt_cache.options import Options, parse_size
from kt_cache.stores import open_store
from kt_cache.stores.embedded import EmbeddedStore
from kt_core.database import Environment
from kt_core.errors import Misconfigured

HERE = "embedded://here"

# name: as Django's OPTIONS has it, as a URL's query has it, as it is read
OPTIONS: dict[str, tuple[Any, str, Any]] = {
    "max_size": (64 << 20, "64MiB", 64 << 20),
    "durability": ("commit", "commit", "commit"),
    "eviction": ("none", "none", "none"),
    "database": (3, "3", 3),
    "serializer": ("json", "json", "json"),
    "accept": (["json", "pickle"], "json,pickle", ("json", "pickle")),
    "compression": ("zlib", "zlib", "zlib"),
    "compress_min_length": (4096, "4k", 4096),
    "compress_level": (9, "9", 9),
    "sign": (True, "yes", True),
}
each_option = pytest.mark.parametrize(
    ("name", "value", "text", "read"), [(name, *row) for name, row in OPTIONS.items()], ids=OPTIONS.keys()
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


def test_every_option_is_tested() -> None:
    assert {"scheme", "place", *OPTIONS} == {field.name for field in fields(Options)}


# -- options -----------------------------------------------------------------------------------------------


@each_option
def test_an_option_is_read_from_the_mapping(name: str, value: Any, text: str, read: Any) -> None:
    assert parse(HERE, **{name: value}) == Options("embedded", "here", **{name: read})


@each_option
def test_an_option_is_read_from_the_query(name: str, value: Any, text: str, read: Any) -> None:
    assert parse(f"{HERE}?{name}={text}") == Options("embedded", "here", **{name: read})


@each_option
def test_an_option_may_be_a_text_in_the_mapping_too(name: str, value: Any, text: str, read: Any) -> None:
    assert getattr(parse(HERE, **{name: text}), name) == read


@each_option
def test_names_may_be_in_any_case(name: str, value: Any, text: str, read: Any) -> None:
    assert getattr(parse(HERE, **{name.upper(): value}), name) == read
    assert getattr(parse(f"{HERE}?{name.title()}={text}"), name) == read


@each_option
def test_each_option_differs_from_its_default(name: str, value: Any, text: str, read: Any) -> None:
    assert getattr(parse(HERE), name) != read


def test_the_mapping_wins_over_the_query() -> None:
    assert parse(f"{HERE}?max_size=1g&database=1", MAX_SIZE="2g").max_size == 2 << 30


def test_a_query_may_hold_several_options() -> None:
    options = parse("embedded:///srv/cache?max_size=1.5%20GiB&accept=json%2Cmsgpack&sign=on")
    assert (options.max_size, options.accept, options.sign) == (3 << 29, ("json", "msgpack"), True)


def test_options_are_values() -> None:
    assert parse(HERE, max_size="1g") == parse(f"{HERE}?max_size=1024m")
    assert len({parse(HERE), parse(HERE), parse("embedded://there")}) == 2
    assert pickle.loads(pickle.dumps(parse(HERE))) == parse(HERE)


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


@pytest.mark.parametrize("name", ["scheme", "zzz", ""])
def test_a_name_that_resembles_none_is_refused_with_all(name: str) -> None:
    with pytest.raises(Misconfigured, match=r"choose one of 'max_size', .*'sign'"):
        parse(HERE, **{name: 1})


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(Misconfigured, match="choose one of"):
        Options.parse(HERE, {1: 2}, default_name="default")  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("max_size", "large", "'large' is not a size: write bytes as a number, or like '256MiB'"),
        ("max_size", 1.5, "1.5 is not a size"),
        ("max_size", True, "True is not a size"),
        ("max_size", None, "None is not a size"),
        ("max_size", "-1", "'-1' is not a size"),
        ("max_size", "1 PB", "'1 PB' is not a size"),
        ("durability", "comit", "did you mean 'commit'"),
        ("durability", None, "choose one of 'process', 'commit'|did you mean"),
        ("eviction", "lfu", "'lru'"),
        ("database", -1, "-1 is not a number"),
        ("database", "two", "'two' is not a number"),
        ("database", True, "True is not a number"),
        ("database", 1.0, "1.0 is not a number"),
        ("accept", 3, "3 is not a list of names"),
        ("compress_level", "high", "'high' is not a number"),
        ("compress_min_length", "short", "'short' is not a size"),
        ("sign", "perhaps", "'perhaps'"),
        ("sign", None, "'none'"),
        ("sign", 2, "'2'"),
    ],
)
def test_a_value_that_cannot_be_is_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(Misconfigured, match=f"option {name.upper()}: .*({message})"):
        parse(HERE, **{name.upper(): value})


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


def test_accept_may_be_empty() -> None:
    assert parse(HERE, accept=[]).accept == ()
    assert parse(HERE, accept="").accept == ()


@pytest.mark.parametrize("serializer", [json, "json", "pathlib.Path"])
def test_a_serializer_is_passed_on_as_it_is(serializer: object) -> None:
    assert parse(HERE, serializer=serializer).serializer is serializer


# -- sizes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (1048576, 1 << 20),
        ("1048576", 1 << 20),
        ("64k", 64 << 10),
        ("64K", 64 << 10),
        ("64kb", 64 << 10),
        ("64 KiB", 64 << 10),
        ("256MiB", 256 << 20),
        (" 256 mib ", 256 << 20),
        ("1.5 GB", 3 << 29),
        ("2T", 2 << 40),
        ("100B", 100),
        ("0", 0),
    ],
)
def test_a_size_has_a_unit(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "m", "1x", "1,5g", "1e6", "0x10", "1 2", "1kk", b"1k", [], 1.0, False])
def test_what_is_no_size_is_refused(text: object) -> None:
    with pytest.raises(Misconfigured, match="is not a size: write bytes"):
        parse_size(text)


# -- locations ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "place"),
    [
        ("", "default"),
        ("embedded://NAME", "NAME"),
        ("embedded://name/", "name"),
        ("embedded://project.settings-1_a", "project.settings-1_a"),
        ("embedded:///srv/cache", "/srv/cache"),
        ("embedded:///srv/cache?sign=1", "/srv/cache"),
        ("embedded:///srv/my%20cache", "/srv/my cache"),
        ("embedded:///srv/my cache", "/srv/my cache"),
        ("embedded:///srv/50%25", "/srv/50%"),
        ("embedded:///srv/who%3F", "/srv/who?"),
        ("embedded:///srv/%23one", "/srv/#one"),
        ("embedded:///srv/caf%C3%A9", "/srv/café"),
        ("embedded:///srv/café", "/srv/café"),
    ],
)
def test_a_location_names_a_place(location: str, place: str) -> None:
    options = parse(location)
    assert (options.scheme, options.place) == ("embedded", place)


@pytest.mark.parametrize(
    ("location", "advice"),
    [
        ("mycache", "embedded://mycache"),
        ("my/cache", "embedded:///absolute/path"),
        ("/srv/cache", "embedded:///srv/cache"),
        ("embedded:/srv/cache", "embedded:///srv/cache"),
        ("embedded:mycache", "embedded://mycache"),
        ("embedded://", "embedded://NAME"),
        ("embedded://?max_size=1g", "embedded://NAME"),
        ("embedded://srv/cache", "embedded:///srv/cache"),
        ("embedded://name#part", "%23"),
        ("embedded:///srv/cache#1", "%23"),
        ("redis://localhost:6379", "'embedded'"),
        ("embeded://name", "did you mean 'embedded'"),
        ("://name", "'embedded'"),
        (["embedded://a", "embedded://b"], "embedded://NAME"),
        (Path("/srv/cache"), "embedded:///srv/cache"),
    ],
    ids=str,
)
def test_a_malformed_location_is_refused_with_what_to_write(location: Any, advice: str) -> None:
    with pytest.raises(Misconfigured, match=advice):
        parse(location)


@pytest.mark.parametrize("name", ["a@b", "a:80", "[", ".hidden", "-dash", "a%2Fb", "..", "ä", "x" * 101])
def test_a_name_that_cannot_be_a_directory_is_refused_when_opened(name: str) -> None:
    with pytest.raises(Misconfigured, match=r"cannot name a database.*embedded:///path"):
        open_store(parse(f"embedded://{name}"))


# -- what they are for -------------------------------------------------------------------------------------


def test_the_database_gets_its_part() -> None:
    of_database = parse(HERE, max_size="2m", durability="commit", eviction="none", database=2).of_database
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
        parse(HERE, **options).of_database  # noqa: B018 - a property that checks


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
    assert codec.loads(old.dumps("value")) == "value"
    assert codec.dumps("value") != old.dumps("value")


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
