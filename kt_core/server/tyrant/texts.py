"""What a script can call on texts and numbers alone.

Source: the Tokyo Tyrant protocol reference, section 10.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import sys
import zlib
from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any, Final

from kt_core.database.matching import edit_distance
from kt_core.server.tyrant.records import expression
from kt_core.wire.columns import decode_url, encode_url

# What the letters of a format stand for; w is a number of as many bytes as it needs, 7 bits in each.
_FORMATS: Final[dict[str, Struct]] = {
    **{letter: Struct(f"={code}") for letter, code in zip("cCsSiIlLfd", "bBhHiIqQfd", strict=True)},
    **{letter: Struct(f">{code}") for letter, code in zip("nNM", "HIQ", strict=True)},
}
_BITS: Final = (1 << 32) - 1
_NATIVE: Final[Any] = sys.byteorder
_ITEM: Final = re.compile(r"([a-zA-Z])(\*|\d*)")


def _items(form: bytes, most: int) -> list[str]:
    """Return the letters of a format, each as often as it says; ``*`` is for all that are left."""
    letters: list[str] = []
    for letter, count in _ITEM.findall(form.decode("latin-1")):
        repeated = max(most - len(letters), 0) if count == "*" else int(count or 1)
        letters += [letter] * min(repeated, most)
    return letters


def pack(form: bytes, *values: Any) -> bytes:
    """Return numbers as bytes."""
    numbers = [number for value in values for number in (value if isinstance(value, list) else [value])]
    packed = b""
    for letter, number in zip(_items(form, len(numbers)), numbers, strict=False):
        packed += _pack_ber(int(number)) if letter == "w" else _pack_one(_FORMATS[letter], number)
    return packed


def _pack_one(form: Struct, number: float) -> bytes:
    if form.format[-1] in "fd":
        return form.pack(number)
    return (int(number) % (1 << 8 * form.size)).to_bytes(form.size, "big" if form.format[0] == ">" else _NATIVE)


def _pack_ber(number: int) -> bytes:
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.append(number & 0x7F | 0x80)
    return bytes(reversed(digits))


def unpack(form: bytes, data: bytes | None = None) -> list[float]:
    """Return the numbers in bytes; of a record that there is not, none."""
    found: list[float] = []
    data, at = data or b"", 0
    for letter in _items(form, len(data)):
        if letter == "w":
            number, at = _unpack_ber(data, at)
            found.append(number)
            continue
        one = _FORMATS[letter]
        if at + one.size > len(data):
            break
        found.append(one.unpack_from(data, at)[0])
        at += one.size
    return found


def _unpack_ber(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at a place, and the place behind it."""
    number = 0
    while at < len(data):
        byte, at = data[at], at + 1
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            break
    return number, at


def split(text: bytes, delimiters: bytes | None = None) -> list[bytes]:
    """Return the parts of a text between any of some bytes, a NUL unless they are given."""
    return re.split(b"[" + re.escape(delimiters or b"\0") + b"]", text)


_CODECS: Final[dict[bytes, Callable[[bytes], bytes]]] = {
    b"url": encode_url,
    b"~url": decode_url,
    b"base": base64.b64encode,
    b"~base": base64.b64decode,
    b"hex": binascii.hexlify,
    b"~hex": binascii.unhexlify,
    b"deflate": zlib.compress,
    b"~deflate": zlib.decompress,
}


def codec(mode: bytes, data: bytes) -> bytes | None:
    """Return data in another form; with ``~`` before its name, out of that form."""
    convert = _CODECS.get(mode)
    try:
        return convert(data) if convert is not None else None
    except (ValueError, zlib.error):
        return None


def digest(mode: bytes, data: bytes) -> bytes | int | None:
    """Return a digest of data."""
    if mode == b"crc32":
        return zlib.crc32(data)
    md5 = hashlib.md5(data, usedforsecurity=False)
    return {b"md5": md5.hexdigest().encode(), b"md5raw": md5.digest()}.get(mode)


def find(text: bytes, pattern: bytes, other: bytes | None = None) -> int | bytes:
    """Return where a text contains another, counted from 1, 0 if it does not; or with a third one replace it."""
    return text.find(pattern) + 1 if other is None else text.replace(pattern, other)


def matches(text: bytes, pattern: bytes) -> bool:
    """Tell whether a regular expression is found in a text."""
    search = expression(pattern)
    return search is not None and bool(search(text))


def operate(mode: bytes, number: float, other: float = 0) -> int | None:
    """Return what an operation on the bits of numbers gives, of which 32 count."""
    left, right = int(number) & _BITS, int(other)
    results = {
        b"and": lambda: left & right,
        b"or": lambda: left | right,
        b"xor": lambda: left ^ right,
        b"not": lambda: ~left,
        b"left": lambda: left << right,
        b"right": lambda: left >> right,
    }
    return results[mode]() & _BITS if mode in results else None


def union(*lists: Sequence[bytes]) -> list[bytes]:
    """Return what is in any of some lists."""
    return sorted(set().union(*lists))


def intersection(*lists: Sequence[bytes]) -> list[bytes]:
    """Return what is in all of some lists."""
    return sorted(set.intersection(*map(set, lists))) if lists else []


def code_points(text: bytes | list[float]) -> list[int] | bytes:
    """Return the code points of a text in UTF-8, or the text of code points."""
    if isinstance(text, bytes):
        return [ord(letter) for letter in text.decode("utf-8", "replace")]
    return "".join([chr(int(point)) for point in text]).encode("utf-8", "replace")


def distance(text: bytes, other: bytes, utf: bool = False) -> int:
    """Return how many letters have to be changed to make a text another one; bytes, unless `utf`."""
    left, right = (each.decode("utf-8", "replace") if utf else each for each in (text, other))
    return edit_distance(left, right, max(len(left), len(right)))


FUNCTIONS: Final[dict[bytes, Callable[..., Any]]] = {
    b"_pack": pack,
    b"_unpack": unpack,
    b"_split": split,
    b"_codec": codec,
    b"_hash": digest,
    b"_strstr": find,
    b"_regex": matches,
    b"_bit": operate,
    b"_ucs": code_points,
    b"_dist": distance,
    b"_union": union,
    b"_isect": intersection,
}
"""By their names in a script."""
