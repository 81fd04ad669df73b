"""GeoJSON as a server keeps it: checked, and with a place for its cells."""

from __future__ import annotations

import json
from typing import Any

from tests.aerospike.server.records import Refused
from tests.aerospike.server.wire import Result

_REQUEST = b"\0\0\0"
_STORED = b"\0\0\1" + bytes(8)  # no flags, one cell; the client skips it


def stored(value: bytes) -> bytes:
    """Return the particle for a request's; refused where a coordinate is none."""
    if not value.startswith(_REQUEST):
        raise Refused(Result.GEOJSON)
    text = value[len(_REQUEST) :]
    try:
        _check(json.loads(text))
    except (ValueError, KeyError, TypeError, IndexError):
        raise Refused(Result.GEOJSON) from None
    return _STORED + text


def _check(shape: dict[str, Any]) -> None:
    points = shape["coordinates"]
    if shape["type"] == "AeroCircle":
        points = points[0]
    while isinstance(points[0], list):
        for other in points[1:]:
            _check({"type": "", "coordinates": other})
        points = points[0]
    longitude, latitude = points
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        raise ValueError(points)
