"""What an optional part needs: its error where that is not installed says how to install it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needs(who: str, extra: str) -> Iterator[None]:
    """Import within this what comes with an extra of the package; ModuleNotFoundError names the extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        raise ModuleNotFoundError(f"{who} needs {package}: pip install 'kt-cache[{extra}]'", name=package) from error
