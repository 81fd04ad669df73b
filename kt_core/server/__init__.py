"""The bundled server: Kyoto Tycoon's protocol over the embedded database; ``python -m kt_core.server --help``.

The server is imported when it is asked for: who only wants a module of this package needs nothing of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kt_core.server.server import Server, ServerOptions

__all__ = ["Server", "ServerOptions"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kt_core.server import server

    return getattr(server, name)
