"""Protocols, database and server below the kt-cache adapters; knows neither Django nor Flask.

A public name is imported when it is asked for: nobody needs all that stands behind them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kt_core.embedded import EmbeddedServer
    from kt_core.kyoto import KT_BINARY, KT_JSON, KT_MSGPACK, KT_NONE, KT_PICKLE, AsyncKyotoTycoon, KyotoTycoon

__all__ = [
    "KT_BINARY",
    "KT_JSON",
    "KT_MSGPACK",
    "KT_NONE",
    "KT_PICKLE",
    "AsyncKyotoTycoon",
    "EmbeddedServer",
    "KyotoTycoon",
]

_ELSEWHERE = {"EmbeddedServer": "kt_core.embedded"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ELSEWHERE.get(name, "kt_core.kyoto")), name)
