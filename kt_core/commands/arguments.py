"""Arguments of commands as a table holds them, for argparse to take."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple


class Argument(NamedTuple):
    """One argument of a command, as argparse takes it."""

    names: tuple[str, ...]
    options: dict[str, Any]


def argument(*names: str, **options: Any) -> Argument:
    """Return an argument with the names and the options that argparse knows."""
    return Argument(names, options)


def add_arguments(parser: argparse.ArgumentParser, arguments: Iterable[Argument]) -> None:
    """Describe arguments to a parser."""
    for each in arguments:
        parser.add_argument(*each.names, **each.options)


def positive(kind: Callable[[str], Any], name: str = "number") -> Callable[[str], Any]:
    """Return what reads a number above 0, which argparse calls by the name where it is none."""

    def read(text: str) -> Any:
        found = kind(text)
        if not found > 0:
            raise ValueError
        return found

    read.__name__ = name
    return read
