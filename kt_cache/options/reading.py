"""How one option is read, from a value of Python or the text of a URL; `Misconfigured` says what to write instead."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from kt_core.database.options import MAX_DATABASES
from kt_core.errors import Misconfigured, choose

_TRUTH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}

Readers = dict[str, Callable[[Any], Any]]


class Kind(NamedTuple):
    """What a location of one scheme is configured with: the options, and how each is read."""

    options: Callable[..., Any]
    readers: Readers


def one_of(*values: str) -> Callable[[object], str]:
    """Return what reads one of these values."""
    return lambda value: choose(dict(zip(values, values, strict=True)), str(value), "such value")


def number(value: object) -> int:
    """Return a whole number, 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).isdecimal():
        raise Misconfigured(f"{value!r} is not a number")
    return int(value)


def count(value: object) -> int:
    """Return a whole number, 1 or more."""
    found = number(value)
    if not found:
        raise Misconfigured("0 is not enough: write 1 or more")
    return found


def seconds(value: object) -> float:
    """Return a time that is greater than 0 and ends."""
    try:
        time = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        time = math.nan
    if not 0 < time < math.inf:
        raise Misconfigured(f"{value!r} is not a time: write seconds as a number greater than 0, like 0.5")
    return time


def database(value: object) -> int:
    """Return the number of a logical database."""
    index = number(value)
    if index >= MAX_DATABASES:
        raise Misconfigured(f"there is no logical database {index}: write a number from 0 to {MAX_DATABASES - 1}")
    return index


def truth(value: object) -> bool:
    """Return whether a switch is on."""
    return choose(_TRUTH, str(value).lower(), "truth value")


def names(value: object) -> tuple[str, ...] | None:
    """Return a list of names; None for none given."""
    if value is None:
        return None
    if isinstance(value, str):
        return tuple(filter(None, value.split(",")))
    if not isinstance(value, Iterable):
        raise Misconfigured(f"{value!r} is not a list of names")
    return tuple(map(str, value))


def optional(reader: Callable[[object], Any]) -> Callable[[object], Any]:
    """Return what reads None, too."""
    return lambda value: None if value is None else reader(value)
