"""What a server says about itself, as a dict of figures.

Source: the Kyoto Tycoon protocol reference, sections 2.7 and 7.3; the Tokyo Tyrant protocol reference, section 9.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

Figure: TypeAlias = int | float | str

_INTEGER = re.compile(r"-?[0-9]+", re.ASCII)
_REAL = re.compile(r"-?[0-9]+\.[0-9]+", re.ASCII)


class Figures(dict[str, Figure]):
    """Names and figures; what reads as a number is one."""

    def __init__(self, said: Mapping[bytes, bytes]) -> None:
        super().__init__({_text(name): _figure(_text(value)) for name, value in said.items()})

    def _integer(self, name: str) -> int:
        return int(self.get(name, 0))

    def _real(self, name: str) -> float:
        return float(self.get(name, 0))

    def _begin_with(self, prefix: str) -> dict[str, Figure]:
        return {name.removeprefix(prefix): figure for name, figure in self.items() if name.startswith(prefix)}


def _text(said: bytes) -> str:
    return said.decode("utf-8", "surrogateescape")  # a path may have any bytes


def _figure(text: str) -> Figure:
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _REAL.fullmatch(text) else text
