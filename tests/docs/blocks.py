"""The fenced blocks of a page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

from tests.processes import ROOT

_BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>\w*)(?P<info>[^\n]*)\n(?P<code>.*?)^(?P=indent)```$", re.M | re.S)
_TITLE = re.compile(r'title="([^"]+)"')

SHOWN = "text"
"""The language of what is no code: what a program shows, a tree of files, a drawing."""


class Block(NamedTuple):
    """A block: its language, the file that it is or is added to, if it says so, and what it holds."""

    where: str
    language: str
    title: str | None
    code: str


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page in their order."""
    text = page.read_text()
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        title = _TITLE.search(found["info"])
        where = f"{page.relative_to(ROOT)}:{line}"
        yield Block(where, found["language"], title[1] if title else None, dedent(found["code"]))
