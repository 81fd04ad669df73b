"""The fenced blocks of a page."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

from tests.processes import ROOT

_BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>\w*)(?P<info>[^\n]*)\n(?P<code>.*?)^(?P=indent)```$", re.M | re.S)
_FENCE = re.compile(r"^ *```", re.M)
_TITLE = re.compile(r'title="([^"]+)"')


class Block(NamedTuple):
    """A block: its language, the file that it is or is added to, if it says so, and what it holds."""

    where: str
    language: str
    title: str | None
    code: str


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page in their order."""
    text, name = page.read_text(), os.path.relpath(page, ROOT)
    every = list(_BLOCK.finditer(text))
    assert len(_FENCE.findall(text)) == 2 * len(every), f"{name}: a fence has no other end, or is of another indent"
    for found in every:
        line = text.count("\n", 0, found.start()) + 1
        title = _TITLE.search(found["info"])
        yield Block(f"{name}:{line}", found["language"], title[1] if title else None, dedent(found["code"]))
