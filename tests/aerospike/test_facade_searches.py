"""Scans and queries: what they find, decoded, all at once or one by one or in pages."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from kt_core import aerospike
from tests.aerospike.real import REAL, OnARealServer
from tests.fix_aerospike import Place

_numbers = count()


@pytest.fixture
def found(aerospike_place: Place, client: Any) -> Iterator[tuple[str, str]]:
    """Return the place of ten records in a set of their own."""
    place = (aerospike_place.namespace, f"searched-{next(_numbers)}")
    keys = [(*place, number) for number in range(10)]
    for number, key in enumerate(keys):
        client.put(key, {"number": number, "pair": (number, None)}, policy={"key": aerospike.POLICY_KEY_SEND})
    yield place
    for key in keys:
        client.remove(key)


@pytest.fixture(params=["scan", "query"])
def search(request: pytest.FixtureRequest, client: Any, found: Any) -> Any:
    """Return a scan and a query of these records."""
    return getattr(client, request.param)(*found)


def test_all_at_once(search: Any) -> None:
    records = search.results()
    assert sorted(bins["pair"] for _, _, bins in records) == [(number, None) for number in range(10)]
    assert sorted(key[2] for key, _, _ in records) == list(range(10))


def test_some_of_the_bins(search: Any) -> None:
    search.select("number")
    assert sorted(bins["number"] for _, _, bins in search.results({"timeout": 5000})) == list(range(10))
    assert all(list(bins) == ["number"] for _, _, bins in search.results())


def test_one_by_one(search: Any) -> None:
    pairs: list[Any] = []
    search.foreach(lambda record: pairs.append(record[2]["pair"]), {"timeout": 5000}, {"concurrent": False})
    assert sorted(pairs) == [(number, None) for number in range(10)]


def test_no_more_after_false(search: Any) -> None:
    seen: list[Any] = []

    def take(record: Any) -> bool:
        seen.append(record)
        return False

    search.foreach(take)
    assert 1 <= len(seen) < 10


def test_without_bins(search: Any) -> None:
    seen: list[Any] = []
    search.foreach(seen.append, None, {"nobins": True})
    assert [bins for _, _, bins in seen] == [{}] * 10


@pytest.mark.parametrize("option", ["priority", "percent", "include_ldt"])
def test_options_that_are_gone(option: str, search: Any) -> None:
    seen: list[Any] = []
    with pytest.warns(UserWarning, match=option):
        search.foreach(seen.append, {}, {option: 1})
    assert len(seen) == 10


def test_pages(client: Any, found: Any) -> None:
    query = client.query(*found)
    query.max_records = 4
    query.paginate()
    pages = [query.results()]
    while not query.is_done():
        pages.append(query.results())
    assert max(map(len, pages)) <= 4
    assert sorted(bins["number"] for page in pages for _, _, bins in page) == list(range(10))
    assert query.get_partitions_status()


def test_a_whole_namespace(client: Any, found: Any) -> None:
    assert len(client.scan(found[0]).results()) >= 10


def test_a_search_is_told_more_after_it_was_asked(client: Any, found: Any) -> None:
    query = client.query(*found)
    query.results()
    query.select("number")
    assert all(list(bins) == ["number"] for _, _, bins in query.results())


if REAL:

    class TestOnAServer(OnARealServer):
        def test_an_index_that_is_missing(self, client: Any, found: Any) -> None:
            query = client.query(*found).where(aerospike.predicates.equals("number", 3))
            with pytest.raises(aerospike.exception.IndexNotFound):
                query.results()
