"""`KTCache` over Kyoto Tycoon servers: what a CACHES entry may say, and a site that goes on without its cache."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache.backends.base import CacheKeyWarning
from django.core.exceptions import ImproperlyConfigured

from kt_cache.django import KTCache
from kt_core.errors import ConnectionFailed, InvalidInput
from kt_core.transport import Address
from tests.adapters.conftest import Call
from tests.fix_servers import KINDS, running
from tests.peer import peer

# -- locations ---------------------------------------------------------------------------------------------

LOCATIONS: dict[str, Callable[[Address, Address], Any]] = {
    "comma": lambda first, second: f"kt://{first},{second}/0",
    "semicolon": lambda first, second: f"kt://{first};kt://{second}",
    "list of URLs": lambda first, second: [f"kt://{first}", f"kt://{second}"],
    "tuple of hosts": lambda first, second: (str(first), str(second)),
    "one": lambda first, second: f"kt://{first}?timeout=5",
}


@pytest.fixture(scope="module", params=KINDS)
def servers(request: pytest.FixtureRequest) -> Iterator[tuple[Address, Address]]:
    """Return the addresses of two servers of a kind."""
    with running(request.param) as first, running(request.param) as second:
        yield first, second


@pytest.mark.parametrize("location", LOCATIONS.values(), ids=LOCATIONS.keys())
def test_a_location_is_written_as_django_users_write_it(
    servers: tuple[Address, Address], call: Call, location: Callable[[Address, Address], Any]
) -> None:
    cache = KTCache(location(*servers), {"OPTIONS": {"timeout": 5}})
    cache.clear()
    values = {f"key-{number}": number for number in range(100)}
    assert call(cache, "set_many", values) == []
    assert call(cache, "get_many", values) == values
    assert call(cache, "incr", "key-7") == 8
    assert call(cache, "stats").entries == 100
    call(cache, "delete_many", values)
    assert call(cache, "get_many", values) == {}
    cache._store.close()


@pytest.mark.parametrize(
    ("location", "options", "message"),
    [
        ("kt://here/cache", {}, "'cache' in 'here/cache' is not the number of a database: write kt://here/0"),
        ("kt://me:secret@here", {}, "neither users nor passwords"),
        ("here:1978", {}, "write kt://here:1978"),
        ("kt://here", {"max_size": "1g"}, "max_size is an option of embedded:// locations"),
        ("kt://here", {"time_out": 1}, "there is no option 'time_out': did you mean 'timeout'"),
        ("kt://here", {"on_error": "log"}, "option on_error: there is no such value 'log'"),
        (["kt://here", "kt://here:1978"], {}, "the server here:1978 is there twice"),
        ([], {}, "the list of servers is empty"),
    ],
)
def test_a_mistake_is_improper_configuration(location: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=message):
        KTCache(location, {"OPTIONS": options})


# -- without a server --------------------------------------------------------------------------------------


def without_a_server(**options: Any) -> KTCache:
    """Return a cache whose server has just gone."""
    with peer(lambda connected: None) as gone:
        return KTCache(f"kt://{gone.address}", {"OPTIONS": options})


@pytest.fixture
def alone() -> KTCache:
    """Return a cache that can do without its server, and has to."""
    return without_a_server(on_error="miss")


def test_an_outage_is_an_error_unless_it_shall_be_a_miss(call: Call) -> None:
    with pytest.raises(ConnectionFailed):
        call(without_a_server(), "get", "k")


def test_a_key_is_not_in_a_cache_without_its_server(alone: KTCache) -> None:
    assert "k" not in alone


def test_entries_are_not_limited_without_a_server(call: Call) -> None:
    with peer(lambda connected: None) as gone:
        cache = KTCache(f"kt://{gone.address}", {"OPTIONS": {"on_error": "miss", "MAX_ENTRIES": 3}})
    call(cache, "set", "k", "v")
    assert call(cache, "get", "k") is None


def test_mistakes_are_raised_without_a_server_too(alone: KTCache, call: Call) -> None:
    with pytest.raises((pickle.PicklingError, AttributeError)):
        call(alone, "set", "k", lambda: None)
    with pytest.raises(InvalidInput, match="NaN"):
        call(alone, "set", "k", "v", float("nan"))
    with pytest.warns(CacheKeyWarning):
        call(alone, "get", "a key with spaces")
