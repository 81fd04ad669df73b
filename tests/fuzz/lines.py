"""Which lines of the packages a run has executed, for each module; `sys.settrace` is slow, and everywhere."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("kt_core", "kt_cache")
_PREFIXES: Final = tuple(f"{ROOT / package}/" for package in PACKAGES)

Lines = dict[str, set[int]]
"""The lines of modules, by their paths below the root."""


@contextmanager
def noting() -> Iterator[Lines]:
    """Note the lines of the packages that this thread executes."""
    found: Lines = defaultdict(set)

    def enter(frame: FrameType, event: str, argument: Any) -> Callable[..., Any] | None:
        path = frame.f_code.co_filename
        if not path.startswith(_PREFIXES):
            return None
        add = found[path].add

        def step(frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
            add(frame.f_lineno)
            return step

        return step

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        yield found
    finally:
        sys.settrace(before)
        for path in list(found):
            found[str(Path(path).relative_to(ROOT))] = found.pop(path) & in_functions(Path(path))


def in_functions(path: Path) -> set[int]:
    """Return the lines of a module's functions that can be executed: what runs when it is imported does not count."""
    return set(_lines(compile(path.read_bytes(), path, "exec").co_consts))


def _lines(constants: Iterable[object]) -> Iterator[int]:
    for code in constants:
        if isinstance(code, CodeType):
            is_class = not code.co_flags & 0x02  # CO_NEWLOCALS: of functions alone
            if not is_class:
                yield from (line for _, _, line in code.co_lines() if line is not None and line > code.co_firstlineno)
            yield from _lines(code.co_consts)
