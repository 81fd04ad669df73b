"""Commands that a server forbids: ``-mask`` and ``-unmask``.

Source: the Tokyo Tyrant protocol reference, section 2.5.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kt_core.errors import choose
from kt_core.server.tyrant.counters import COMMANDS

_READS = frozenset("get mget vsiz iterinit iternext fwmkeys rnum size stat".split())  # noqa: SIM905
_WRITES = frozenset("put putkeep putcat putshl putnr out addint adddouble vanish misc".split())  # noqa: SIM905
_MANAGES = frozenset("sync optimize copy restore setmst".split())  # noqa: SIM905
_GROUPS: Final = ("allorg", "allmc", "allhttp", "allread", "allwrite", "allmanage")
# In the order of their bits.
_BITS: Final = (*COMMANDS, "repl", "slave", *_GROUPS)
_NAMES: Final = dict.fromkeys([*COMMANDS, "slave", *_GROUPS, "all"])

BINARY, MEMCACHED, HTTP = "allorg", "allmc", "allhttp"
"""The group of all commands of a protocol."""


class Mask:
    """What is forbidden."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names = frozenset(names)

    def forbids(self, command: str, protocol: str = BINARY) -> bool:
        """Tell whether a command may not be given in a protocol."""
        names = self.names
        return bool(names) and (
            command in names
            or (protocol in names and command != "repl")
            or ("allread" in names and command in _READS)
            or ("allwrite" in names and command in _WRITES)
            or ("allmanage" in names and command in _MANAGES)
        )


def parse(text: str) -> frozenset[str]:
    """Read names of commands and groups with commas between them; `Misconfigured` if one is unknown."""
    names = [name.strip().lower() for name in text.split(",")]
    for name in names:
        choose(_NAMES, name, "command")
    return frozenset(_NAMES) - {"all"} if "all" in names else frozenset(names)
