"""How keys, sizes and times are written for people."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from kt_cache.inspector.markup import Markup, element, join

NOT_KNOWN = "not known by this store"
DASH = "\N{EN DASH}"

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_SPANS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_ESCAPE = re.compile(r"(\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|[nrt]))")


def size_text(size: float) -> str:
    """Return bytes in a unit that leaves few digits: ``3.4 MiB``."""
    power = min(max(int(math.log(size, 1024)), 0), len(_UNITS) - 1) if size >= 1 else 0
    scaled = size / 1024**power
    return f"{scaled:.1f} {_UNITS[power]}" if power and scaled < 100 else f"{scaled:,.0f} {_UNITS[power]}"


def time_text(seconds: float) -> str:
    """Return a span of time in its two largest units: ``3 h 12 min``; infinity is ``for ever``."""
    if seconds == math.inf:
        return "for ever"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    rest = int(seconds)
    parts: list[str] = []
    for unit, name in _SPANS:
        count, rest = divmod(rest, unit)
        if count or parts:
            parts.append(f"{count:,} {name}" if count else "")
    return " ".join(filter(None, parts[:2]))


def percent(ratio: float | None) -> str:
    """Return a share: ``93.4 %``; a dash for none."""
    return DASH if ratio is None else f"{100 * ratio:.1f} %"


def count_text(number: int, noun: str, plural: str = "") -> str:
    """Return a number of things: ``1 key``, ``1,204 keys``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def readable(data: bytes) -> str:
    """Return bytes as text on one line; what is no printable character is escaped as in Python, a backslash doubled."""
    text = data.decode("utf-8", "surrogateescape")
    return text if text.isprintable() and "\\" not in text else "".join(map(_printable, text))


def _printable(letter: str) -> str:
    if letter == "\\":
        return "\\\\"
    if letter.isprintable():
        return letter
    if "\udc80" <= letter <= "\udcff":  # a byte that is no UTF-8
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode("ascii")


def key_markup(key: bytes, longest: int = 120) -> Markup:
    """Return a key, cut if need be, with all that is escaped in it set apart."""
    if not key:
        return element("span", "(the empty key)", class_="odd")
    text = readable(key[:longest])
    more = element("span", f"… {size_text(len(key))}", class_="odd") if len(key) > longest else None
    return join(_set_apart(text), more)


def _set_apart(text: str) -> Iterable[object]:
    """Split what `readable` has made; a doubled backslash keeps what follows it from being an escape."""
    for number, whole in enumerate(text.split("\\\\")):
        if number:
            yield "\\\\"
        for place, part in enumerate(_ESCAPE.split(whole)):
            if part:
                yield element("span", part, class_="odd") if place % 2 else part
