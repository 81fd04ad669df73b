"""Protocols, database and server below the kt-cache adapters; knows neither Django nor Flask.

A public name is imported when it is asked for: nobody needs all that stands behind them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kt_core.embedded import EmbeddedServer, EmbeddedTokyoTyrantServer
    from kt_core.kyoto import KT_BINARY, KT_JSON, KT_MSGPACK, KT_NONE, KT_PICKLE, AsyncKyotoTycoon, KyotoTycoon
    from kt_core.tyrant import TT_TABLE, AsyncTokyoTyrant, QueryBuilder, TokyoTyrant

__all__ = [
    "KT_BINARY",
    "KT_JSON",
    "KT_MSGPACK",
    "KT_NONE",
    "KT_PICKLE",
    "TT_TABLE",
    "AsyncKyotoTycoon",
    "AsyncTokyoTyrant",
    "EmbeddedServer",
    "EmbeddedTokyoTyrantServer",
    "KyotoTycoon",
    "QueryBuilder",
    "TokyoTyrant",
]

_ELSEWHERE = {
    **dict.fromkeys(("EmbeddedServer", "EmbeddedTokyoTyrantServer"), "kt_core.embedded"),
    **dict.fromkeys(("AsyncTokyoTyrant", "QueryBuilder", "TT_TABLE", "TokyoTyrant"), "kt_core.tyrant"),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ELSEWHERE.get(name, "kt_core.kyoto")), name)
