"""What a server says about itself, as a dict of figures.

Source: the Kyoto Tycoon protocol reference, sections 2.7 and 7.3; the Tokyo Tyrant protocol reference, section 9.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

from kt_core.errors import ProtocolError

Figure: TypeAlias = int | float | str

# No figure has more than 64 bits; what is longer stays a text.
_INTEGER = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_REAL = re.compile(r"-?[0-9]{1,20}\.[0-9]{1,20}", re.ASCII)


class Figures(dict[str, Figure]):
    """Names and figures; what reads as a number is one."""

    def __init__(self, said: Mapping[bytes, bytes]) -> None:
        super().__init__({_text(name): _figure(_text(value)) for name, value in said.items()})

    def _integer(self, name: str) -> int:
        return int(self._number(name))

    def _real(self, name: str) -> float:
        return float(self._number(name))

    def _integers(self, prefix: str) -> dict[str, int]:
        """Return the figures whose names begin so, by what follows."""
        return {name.removeprefix(prefix): self._integer(name) for name in self if name.startswith(prefix)}

    def _number(self, name: str) -> int | float:
        figure = self.get(name, 0)
        if isinstance(figure, str):
            raise ProtocolError(f"the server says that {name} is {figure:.40}, which is no number")
        return figure


def _text(said: bytes) -> str:
    return said.decode("utf-8", "surrogateescape")  # a path may have any bytes


def _figure(text: str) -> Figure:
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _REAL.fullmatch(text) else text
