"""Ways in which a data file gets damaged."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from struct import Struct

from kt_core.database.datafile import PAGE

_NUMBER = Struct("=Q")
_META = 16  # after the page's header
_FIELDS = {"free_root": _META + 64, "root": _META + 112, "last_page": _META + 120, "transaction": _META + 128}


def _newest(data: Path) -> int:
    return max((0, 1), key=lambda page: _read(data, page * PAGE + _FIELDS["transaction"]))


def _read(data: Path, position: int) -> int:
    with data.open("rb") as file:
        file.seek(position)
        return int(_NUMBER.unpack(file.read(_NUMBER.size))[0])


def meta_field(data: Path, name: str) -> int:
    """Return a number from the meta page that is in force."""
    return _read(data, _newest(data) * PAGE + _FIELDS[name])


def write_meta_field(data: Path, name: str, number: int) -> None:
    """Write a number into the meta page that is in force."""
    position = _newest(data) * PAGE + _FIELDS[name]
    with data.open("r+b") as file:
        file.seek(position)
        file.write(_NUMBER.pack(number))


def _noise(*pages: Callable[[Path], int] | int) -> Callable[[Path], None]:
    def damage(data: Path) -> None:
        numbers = [page if isinstance(page, int) else page(data) for page in pages]
        with data.open("r+b") as file:
            for number in numbers:
                file.seek(number * PAGE)
                file.write(Random(number).randbytes(PAGE))

    return damage


def noise_below_the_roots(data: Path) -> None:
    """Damage what is not looked at when the file is opened."""
    roots = {meta_field(data, "root"), meta_field(data, "free_root")}
    pages = range(2, meta_field(data, "last_page") + 1)
    _noise(*(page for page in pages if page not in roots))(data)


def _cut(part: float) -> Callable[[Path], None]:
    return lambda data: os.truncate(data, int(data.stat().st_size * part))


DAMAGES: dict[str, Callable[[Path], None]] = {
    "missing": Path.unlink,
    "empty": _cut(0),
    "cut in half": _cut(0.5),
    "cut by a byte": lambda data: os.truncate(data, data.stat().st_size - 1),
    "cut inside the meta pages": lambda data: os.truncate(data, PAGE + 10),
    "noise in meta page 0": _noise(0),
    "noise in meta page 1": _noise(1),
    "noise in both meta pages": _noise(0, 1),
    "noise in the root page": _noise(lambda data: meta_field(data, "root")),
    "noise in the root page of free pages": _noise(lambda data: meta_field(data, "free_root")),
    "noise everywhere": lambda data: data.write_bytes(Random(3).randbytes(data.stat().st_size)),
    "text": lambda data: data.write_bytes(b"something else altogether\n"),
    "last page beyond the file": lambda data: write_meta_field(data, "last_page", 1 << 40),
}
