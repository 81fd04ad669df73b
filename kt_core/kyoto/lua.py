"""The procedures of a server's script as if they were methods: ``client.lua.hset(table_key="t", key="k", value=5)``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any


class Lua:
    """What has a method for every procedure; each takes and returns what `KyotoTycoon.script` does after the name."""

    def __init__(self, script: Callable[..., Any]) -> None:
        self._script = script

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):  # what Python itself looks for, such as `__deepcopy__`
            raise AttributeError(name)
        return partial(self._script, name)
