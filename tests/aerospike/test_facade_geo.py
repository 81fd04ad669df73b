"""Geospatial values: made, stored, and found."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kt_core import aerospike
from tests.aerospike.real import REAL, OnARealServer

POINT = {"type": "Point", "coordinates": [63.342222, 45.920278]}


def test_geodata_wraps_a_dict() -> None:
    assert aerospike.geodata(POINT).unwrap() == POINT
    assert json.loads(str(aerospike.geodata(POINT))) == POINT


def test_geojson_wraps_a_text() -> None:
    assert aerospike.geojson(json.dumps(POINT)).unwrap() == POINT


def test_both_may_begin_empty() -> None:
    for empty in (aerospike.geodata(), aerospike.geojson()):
        assert empty.unwrap() == {}
        empty.wrap(POINT)
        assert empty.unwrap() == POINT
        empty.loads('{"type": "Point", "coordinates": [1, 2]}')
        assert json.loads(empty.dumps())["coordinates"] == [1, 2]


def test_it_is_an_instance_of_the_class() -> None:
    assert isinstance(aerospike.geodata(POINT), aerospike.GeoJSON)


@pytest.mark.parametrize("call", [lambda: aerospike.geodata(3), lambda: aerospike.geojson("{")])
def test_what_is_none(call: Any) -> None:
    with pytest.raises(aerospike.exception.AerospikeError):
        call()


def test_it_is_stored_as_what_it_is(client: Any, key: Any) -> None:
    client.put(key, {"g": aerospike.geodata(POINT), "l": [aerospike.geojson(json.dumps(POINT))]})
    bins = client.get(key)[2]
    assert bins["g"].unwrap() == bins["l"][0].unwrap() == POINT


def test_coordinates_that_are_none(client: Any, key: Any) -> None:
    with pytest.raises(aerospike.exception.InvalidGeoJSON):
        client.put(key, {"g": aerospike.geodata({"type": "Point", "coordinates": [45, 163]})})


if REAL:

    class TestOnAServer(OnARealServer):
        def test_it_is_found(self, client: Any, key: Any) -> None:
            client.put(key, {"g": aerospike.geodata(POINT)})
            client.index_geo2dsphere_create(*key[:2], "g", "kt_geo")
            try:
                near = aerospike.predicates.geo_within_radius("g", *POINT["coordinates"], 10.0)
                far = aerospike.predicates.geo_within_radius("g", 0.0, 0.0, 10.0)
                assert [len(client.query(*key[:2]).where(where).results()) for where in (near, far)] == [1, 0]
            finally:
                client.index_remove(key[0], "kt_geo")
