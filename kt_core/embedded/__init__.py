"""Servers in sub-processes: started, watched, and ended with the program that uses them."""

from kt_core.embedded.kyoto import EmbeddedServer
from kt_core.embedded.tyrant import EmbeddedTokyoTyrantServer

__all__ = ["EmbeddedServer", "EmbeddedTokyoTyrantServer"]
