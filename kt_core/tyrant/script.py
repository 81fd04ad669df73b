"""Functions of the server's script: in which form their arguments go, and in which their results come.

Source: the Tokyo Tyrant protocol reference, section 10.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from kt_core.errors import InvalidInput
from kt_core.wire.tt_messages import LOCK_GLOBAL, LOCK_RECORD

_VERDICTS: Final = {b"true": True, b"false": False}


@dataclass(frozen=True)
class Form:
    """How a function is called, and what its result is read as."""

    lock_records: bool = False
    lock_all: bool = False
    encode_value: bool = True
    decode_value: bool = False
    as_list: bool = False
    as_dict: bool = False
    as_int: bool = False

    def __post_init__(self) -> None:
        if self.lock_records and self.lock_all:
            raise InvalidInput("lock_all locks every record: write lock_records=True or lock_all=True, not both")
        if self.as_list + self.as_dict + self.as_int > 1:
            raise InvalidInput("a result is read as one thing: write as_list, as_dict or as_int")

    @property
    def options(self) -> int:
        """The options of the request."""
        return LOCK_RECORD * self.lock_records | LOCK_GLOBAL * self.lock_all

    def read(self, result: bytes, load: Callable[[bytes], Any]) -> Any:
        """Return what a result says: lines, lines of two columns, an integer, a truth, or what `load` makes of it."""
        if self.as_int:
            return _integer(result) if result else None
        if self.as_list:
            return [load(line) for line in _lines(result)]
        if self.as_dict:
            return {load(key): load(value) for key, _, value in (line.partition(b"\t") for line in _lines(result))}
        return _VERDICTS[result] if result in _VERDICTS else load(result)


def _integer(result: bytes) -> int:
    try:
        return int(result)
    except ValueError:
        raise InvalidInput(f"as_int=True, but the function gave {result[:80]!r}") from None


def _lines(result: bytes) -> list[bytes]:
    return result.rstrip(b"\n").split(b"\n") if result else []


class Lua:
    """The functions of the server's script as methods: ``client.lua.function(key, value)``."""

    def __init__(self, script: Callable[..., Any]) -> None:
        self._script = script

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(f"{name} is no function that clients may call")

        def call(key: Any = None, value: Any = None, **form: bool) -> Any:
            return self._script(name, key, value, **form)

        return call
