"""A location names a place or servers; a mistake in it is told with what to write instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kt_core.errors import Misconfigured
from kt_core.locations import locate, read_servers
from kt_core.transport import Address

A, B = Address("a"), Address("b", 1979)


@pytest.mark.parametrize(
    ("location", "place"),
    [
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
        ("embedded:///srv/a,b;c", "/srv/a,b;c"),
        (["embedded://name"], "name"),
    ],
)
def test_a_location_names_a_place(location: object, place: str) -> None:
    found = locate(location)
    assert (found.scheme, found.place) == ("embedded", place)


@pytest.mark.parametrize(
    ("location", "servers"),
    [
        ("kt://a", [A]),
        ("kt://a/", [A]),
        ("kt://a:1978", [A]),
        ("kt://a:1978?timeout=1", [A]),
        ("kt://127.0.0.1:65535", [Address("127.0.0.1", 65535)]),
        ("kt://cache-1.example.org:1", [Address("cache-1.example.org", 1)]),
        ("kt://[::1]", [Address("::1")]),
        ("kt://[fe80::1%eth0]:1979", [Address("fe80::1%eth0", 1979)]),
        ("kt://a,b:1979", [A, B]),
        ("kt://a; b:1979", [A, B]),
        ("kt://a,kt://b:1979", [A, B]),
        ("kt://b:1979;[::1],a", [B, Address("::1"), A]),
        (["kt://a", "kt://b:1979"], [A, B]),
        (("kt://a", "b:1979"), [A, B]),
        (["a", "b:1979"], [A, B]),
        (["kt://a,b:1979"], [A, B]),
        ("kt+unix:///run/kt.sock", [Address(path="/run/kt.sock")]),
        ("kt+unix:///run/my%20kt,1;2", [Address(path="/run/my kt,1;2")]),
        (["kt+unix:///run/kt", "kt://a"], [Address(path="/run/kt"), A]),
        ("kt://a,kt+unix:///run/kt", [A, Address(path="/run/kt")]),
        ("tt://a", [A]),
        ("tt://a,b:1979?timeout=2", [A, B]),
        ("tt://a;tt://b:1979", [A, B]),
        (["tt://a", "b:1979"], [A, B]),
        (["a", "tt://b:1979"], [A, B]),
        ("tt+unix:///run/tt.sock", [Address(path="/run/tt.sock")]),
        (["tt+unix:///run/tt", "a"], [Address(path="/run/tt"), A]),
        ("aerospike://a/test/cache", [Address("a", 3000)]),
        ("aerospike://a:3001,[::1]/test/cache", [Address("a", 3001), Address("::1", 3000)]),
        (["aerospike://a/test/cache", "b:1979"], [Address("a", 3000), B]),
    ],
)
def test_a_location_names_servers(location: object, servers: list[Address]) -> None:
    assert locate(location).place == tuple(servers)


@pytest.mark.parametrize(
    ("location", "options"),
    [
        ("kt://a", {}),
        ("kt://a/0", {"database": "0"}),
        ("kt://a/12?timeout=1&sign=yes", {"database": "12", "timeout": "1", "sign": "yes"}),
        ("kt://a,b/3", {"database": "3"}),
        ("kt://a/3;kt://b/3", {"database": "3"}),
        ("kt://a?accept=json,raw;b", {"accept": "json,raw;b"}),
        (["kt://a/3", "kt://b?Timeout=1"], {"database": "3", "timeout": "1"}),
        (["kt://a/3?timeout=1", "kt://b/3?timeout=1"], {"database": "3", "timeout": "1"}),
        ("kt+unix:///run/kt?database=1", {"database": "1"}),
        ("aerospike://a/test/cache?timeout=1", {"namespace": "test", "set": "cache", "timeout": "1"}),
        ("aerospike://a,b/test/cache", {"namespace": "test", "set": "cache"}),
        (["aerospike://a/test/cache", "aerospike://b/test/cache"], {"namespace": "test", "set": "cache"}),
        ("aerospike://a/test", {"namespace": "test"}),
        ("embedded://name?sign", {"sign": ""}),
        ("embedded://name?accept=json%2Craw", {"accept": "json,raw"}),
    ],
)
def test_a_location_may_hold_options(location: object, options: dict[str, str]) -> None:
    assert dict(locate(location).options) == options


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
        ("redis://localhost:6379", "write kt://localhost:1978 for one, or embedded://NAME"),
        ("rediss://me:secret@cache.example:6380/3?ssl=1", "write kt://cache.example:1978/3 "),
        ("redis://:secret@cache.example", "the location 'redis://...@cache.example' is not that"),
        ("valkey://a:6379/0,valkey://b:6379/0", "write kt://a:1978,b:1978/0 "),
        (["valkeys://a", "valkeys://b"], "write kt://a:1978 "),
        ("redis://[::1]:6379/1", r"write kt://\[::1\]:1978/1 "),
        ("redis://", "write kt://host:1978 "),
        ("redis+socket:///run/redis.sock", "write kt://host:1978 "),
        ("unix:///run/redis.sock?db=1", "write kt[+]unix:///absolute/path"),
        ("unix:/run/memcached.sock", "write kt[+]unix:///absolute/path"),
        ("127.0.0.1:11211", "write kt://127.0.0.1:1978 "),
        ("a:11211;b:11211", "write kt://a:1978;b:1978 "),
        ("a:16379", "write kt://a:16379 "),
        ("mysql://localhost", "'embedded', 'kt', 'kt[+]unix'"),
        ("embeded://name", "did you mean 'embedded'"),
        ("kt+unx:///run/kt", "did you mean 'kt[+]unix'"),
        ("://name", "'embedded'"),
        (["embedded://a", "embedded://b"], "write one embedded://NAME"),
        (["embedded://a", "kt://b"], "write one embedded://NAME, or servers"),
        (["kt://a", "embedded://b"], "write one embedded://NAME, or servers"),
        (Path("/srv/cache"), "embedded:///srv/cache"),
        (3, "embedded://NAME"),
        ("a:1978", "write kt://a:1978 "),
        ("kt:a:1978", "write kt://a:1978 "),
        ("a:1978,b:1979/0", "write kt://a:1978,b:1979/0 "),
        ([], "the list of servers is empty: write ..kt://host:1978"),
        ([None], "None is not a URL"),
        ("kt://", "'' is not a server: write kt://host:1978"),
        ("kt:///0", "write kt://host:1978"),
        ("kt://:1978", "':1978' is not a server"),
        ("kt://a:b", "'a:b' is not a server"),
        ("kt://a:0", "with a port from 1 to 65535"),
        ("kt://a:65536", "with a port from 1 to 65535"),
        ("kt://a,", "'' is not a server"),
        ("kt://a b", "'a b' is not a server"),
        ("kt://::1", r"in brackets, kt://\[::1\]:1978"),
        ("kt://fe80::1:1978/0", "in brackets"),
        ("kt://user:secret@a", "neither users nor passwords"),
        ("kt://a/cache", "'cache' in 'a/cache' is not the number of a database: write kt://a/0"),
        ("kt://a/0/1", "'0/1' in 'a/0/1' is not the number of a database"),
        ("kt://a/-1", "not the number of a database"),
        ("kt://a/0#1", "%23"),
        ("kt://a/0,b/1", "database is '0' and '1' in one location: write it once"),
        ("kt://a/0?database=1", "database is '0' and '1'"),
        (["kt://a?timeout=1", "kt://b?TIMEOUT=2"], "TIMEOUT is '1' and '2' in one location: write it once"),
        ("kt+unix://", "write kt[+]unix:///absolute/path"),
        ("kt+unix://run/kt", "write kt[+]unix:///absolute/path"),
        ("kt+unix:///run/", "write kt[+]unix:///absolute/path"),
        ("tt://", "'' is not a server: write tt://host:1978"),
        ("tt://a/0", "'a/0' names a database, and a Tokyo Tyrant server has one: write tt://a"),
        ("tt://::1", r"in brackets, tt://\[::1\]:1978"),
        ("tt://user:secret@a", r"write tt://host:1978 \(the protocol knows neither users nor passwords"),
        ("tt+unix://run/tt", "write tt[+]unix:///absolute/path"),
        (["tt://a", "kt://b"], "names servers of two kinds: write all kt://, or all tt://"),
        ("tt://a,kt://b", "'kt://b' is not a server: write tt://host:1978"),
        (["tt://a", "embedded://b"], "write one embedded://NAME, or servers"),
        ("aerospike://", "'' is not a server: write aerospike://host:3000"),
        (
            "aerospike://user:secret@a/test/cache",
            r"aerospike://host:3000/NAMESPACE/SET .with the options user and pass",
        ),
        ("aerospike://a/test/cache/0", "more than a namespace and a set: write aerospike://a/NAMESPACE/SET"),
        ("aerospike://a/x/s,b/y/s", "namespace is 'x' and 'y' in one location: write it once"),
        (["aerospike://a/test/cache", "kt://b"], "names servers of two kinds"),
        ("aerospike://a/test/s?password=one&password=other", "password is there twice in one location: write it once"),
    ],
    ids=str,
)
def test_a_malformed_location_is_refused_with_what_to_write(location: Any, advice: str) -> None:
    with pytest.raises(Misconfigured, match=advice):
        locate(location)


@pytest.mark.parametrize(
    "location",
    [
        "aerospike://user:secret@a/test/cache",
        "aerospike://a/test/cache?password=secret#",
        "aerospike://a/test/cache?user=u&password=secret&PASSWORD=secret2",
        ["aerospike://a/test/cache?password=secret&user=u", "kt://b"],
        "kt://user:secret@a",
    ],
    ids=str,
)
def test_no_error_shows_a_password(location: Any) -> None:
    with pytest.raises(Misconfigured) as caught:
        locate(location)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("value", ["a;b:1979", "a, b:1979", ["a", "b:1979"], iter(["kt://a", "kt://b:1979"])], ids=str)
def test_servers_are_a_list_or_a_text(value: object) -> None:
    assert read_servers(value) == (A, B)
