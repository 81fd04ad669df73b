"""Going over a set through the real client."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.aerospike.calling import Key, connect
from tests.aerospike.server import Cluster
from tests.fix_aerospike import Place

aerospike = pytest.importorskip("aerospike")
operations = pytest.importorskip("aerospike_helpers.operations.operations")
expressions = pytest.importorskip("aerospike_helpers.expressions")

NAME = "scanned"


@pytest.fixture
def scanned(native: Any, aerospike_place: Place) -> Iterator[list[Key]]:
    """Return the keys of a set that has nothing else in it; every other record is stored with its key."""
    keys = [(aerospike_place.namespace, NAME, f"app:{number % 2}:k{number}") for number in range(100)]
    native.batch_operate(keys[::2], [operations.write("v", 1), operations.write("w", b"w")], {}, {"key": 1})
    native.batch_operate(keys[1::2], [operations.write("v", 2)])
    yield keys
    native.batch_remove(keys)


def primaries(found: list[Any]) -> list[Any]:
    """Return the keys that records were stored with, in order."""
    return sorted(str(key[2]) for key, *_ in found)


def test_finds_every_record_once(native: Any, scanned: list[Key]) -> None:
    found = native.query(scanned[0][0], NAME).results()

    assert primaries(found) == sorted([key[2] for key in scanned[::2]] + ["None"] * 50)
    assert sorted(bins["v"] for _, _, bins in found) == [1] * 50 + [2] * 50
    assert {bytes(key[3]) for key, _, _ in found} == {bytes(aerospike.calc_digest(*key)) for key in scanned}


def test_leaves_out_bins(native: Any, scanned: list[Key]) -> None:
    found = native.query(scanned[0][0], NAME).results({}, {"nobins": True})

    assert len(found) == 100
    assert all(bins == {} and meta["gen"] == 1 for _, meta, bins in found)


def test_selects_bins_and_records_that_have_one(native: Any, scanned: list[Key]) -> None:
    query = native.query(scanned[0][0], NAME)
    query.select("w")

    assert [bins for _, _, bins in query.results()] == [{"w": b"w"}] * 50


@pytest.mark.filterwarnings("ignore:CmpRegex expression is deprecated:DeprecationWarning")
@pytest.mark.parametrize(
    ("pattern", "flags", "expected"),
    [
        ("^app:0:k1", 0, 5),
        ("^app:1:", 0, 0),  # stored without keys
        ("^app:[0-9]:k1.$", 0, 5),
        (r"^app\:0", 0, 50),
        ("^app:(0|1):k(1|2)$", 1, 1),
        ("^app:(0|1):k(1|2)$", 0, 0),
        (r"^app:0:k1\{1,2\}$", 0, 0),
        ("K10$", 2, 1),
        ("k10*$", 0, 1),
        (r"k1\.$", 0, 0),
    ],
)
def test_filters_by_key(native: Any, scanned: list[Key], pattern: str, flags: int, expected: int) -> None:
    policy = {"expressions": expressions.CmpRegex(flags, pattern, expressions.KeyStr()).compile()}

    assert len(native.query(scanned[0][0], NAME).results(policy, {"nobins": True})) == expected


def test_goes_page_by_page(native: Any, scanned: list[Key]) -> None:
    query = native.query(scanned[0][0], NAME)
    query.max_records = 30
    query.paginate()
    pages = []
    while not query.is_done():
        pages.append(query.results())

    assert {bytes(key[3]) for page in pages for key, *_ in page} == {
        bytes(aerospike.calc_digest(*key)) for key in scanned
    }
    assert [len(page) for page in pages if page] == [30, 30, 30, 10]


def test_stops_when_told(native: Any, scanned: list[Key]) -> None:
    seen = []

    def take(record: Any) -> bool:
        seen.append(record)
        return len(seen) < 10

    native.query(scanned[0][0], NAME).foreach(take)

    assert 10 <= len(seen) <= 100


def test_a_scan_is_the_same(native: Any, scanned: list[Key]) -> None:
    assert len(native.scan(scanned[0][0], NAME).results()) == 100


def test_nothing_is_found_in_an_empty_set(native: Any, aerospike_place: Place) -> None:
    assert native.query(aerospike_place.namespace, "never-was").results() == []


def test_the_whole_namespace(native: Any, scanned: list[Key]) -> None:
    assert len(native.query(scanned[0][0], None).results({}, {"nobins": True})) >= 100


def test_a_set_is_truncated(native: Any, scanned: list[Key]) -> None:
    kept = (scanned[0][0], "kept", "k")
    native.put(kept, {"v": 1})
    time.sleep(0.002)  # what was written in the same millisecond would survive

    assert native.truncate(scanned[0][0], NAME, 0) == 0
    assert native.query(scanned[0][0], NAME).results() == []
    assert native.exists(kept)[1] is not None
    native.put(scanned[0], {"v": 1})
    assert native.exists(scanned[0])[1] is not None


def test_the_future_cannot_be_truncated(native: Any, aerospike_place: Place) -> None:
    with pytest.raises(aerospike.exception.InvalidRequest):
        native.truncate(aerospike_place.namespace, NAME, 1 << 62)
    assert native.truncate("nowhere", NAME, 0) == 0


def test_two_nodes_are_gone_over(two_nodes: Cluster) -> None:
    client = connect(two_nodes.hosts)
    keys = [("test", NAME, number) for number in range(100)]
    client.batch_operate(keys, [operations.write("v", 1)], {}, {"key": 1})
    found = client.query("test", NAME).results()
    query = client.query("test", NAME)
    query.max_records = 30
    query.paginate()
    pages = []
    while not query.is_done():
        pages += query.results()

    assert sorted(key[2] for key, *_ in found) == sorted(key[2] for key, *_ in pages) == list(range(100))
    assert all(two_nodes.served(node) for node in (0, 1))
