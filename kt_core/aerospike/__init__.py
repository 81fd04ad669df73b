"""The legacy Python module of Aerospike, every name of it, on today's official package.

Code for the module as it was before version 2 runs on it after changing one line::

    from kt_core import aerospike  # was: import aerospike

Names that are not described here are those of the official package (`pip install 'kt-cache[aerospike]'`), which is
imported when the first of them is used. What differs between the two is in docs/aerospike.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

from kt_core.aerospike import exception, predicates
from kt_core.aerospike.config import translate_config
from kt_core.aerospike.constants import GONE, KEPT
from kt_core.aerospike.errors import param_error
from kt_core.aerospike.legacy import Client
from kt_core.aerospike.log import set_log_handler, set_log_level
from kt_core.aerospike.package import official
from kt_core.aerospike.serialization import REGISTERED

__all__ = [
    *GONE,
    *KEPT,
    "Client",
    "GeoJSON",
    "client",
    "exception",
    "geodata",
    "geojson",
    "predicates",
    "set_deserializer",
    "set_log_handler",
    "set_log_level",
    "set_serializer",
    "unset_serializers",
]


def client(config: Mapping[str, Any]) -> Client:
    """Return a client that is not connected yet; `ParamError` for a config that cannot be used.

    `kt_core.aerospike.config.translate_config` says what a config may have.
    """
    return Client(translate_config(config))


def set_serializer(callback: Callable[[Any], bytes | str]) -> int:
    """Have `put(..., serializer=SERIALIZER_USER)` of every client without one of its own call this with values."""
    REGISTERED.serializer = _checked(callback)
    return 0


def set_deserializer(callback: Callable[[bytes], Any]) -> int:
    """Have every client without one of its own call this with the blobs that it reads."""
    REGISTERED.deserializer = _checked(callback)
    return 0


def unset_serializers() -> int:
    """Take back `set_serializer` and `set_deserializer`."""
    REGISTERED.serializer = REGISTERED.deserializer = None
    return 0


def geodata(geo_data: Mapping[str, Any] | None = None) -> Any:
    """Return a `GeoJSON` of a dict; coordinates are [longitude, latitude]."""
    return official().geodata({} if geo_data is None else geo_data)


def geojson(geojson_str: str = "{}") -> Any:
    """Return a `GeoJSON` of a JSON text."""
    return official().geojson(geojson_str)


def __getattr__(name: str) -> Any:
    if name in GONE:
        return GONE[name]
    if name == "__version__":
        return version("aerospike")
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(official(), name)


def _checked(callback: Any) -> Any:
    if not callable(callback):
        raise param_error(f"{callback!r} cannot be called: write a function of one argument")
    return callback
