"""The bundled server: Kyoto Tycoon's protocol over the embedded database; ``python -m kt_core.server --help``."""

from kt_core.server.server import Server, ServerOptions

__all__ = ["Server", "ServerOptions"]
