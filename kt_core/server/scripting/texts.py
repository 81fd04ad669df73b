"""What a script can call on texts and numbers alone.

Numbers are cut to the size they are packed in as the original's processor does it.
Source: the Kyoto Tycoon protocol reference, section 10.2.
"""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import repeat
from struct import Struct
from typing import Any, Final

from kt_core.database.matching import edit_distance
from kt_core.database.posix import compile_posix
from kt_core.errors import InvalidInput
from kt_core.number import INTEGER_MAX, INTEGER_MIN
from kt_core.wire.columns import DECODE, ENCODE
from kt_core.wire.numbers import parse_integer, parse_real

_LARGEST: Final = 64 << 20  # bytes that data may be once it is no longer compressed
_HASHED_BITS: Final = (1 << 48) - 1
_WORD: Final = (1 << 64) - 1
_HALF: Final = (1 << 32) - 1


def to_integer(number: float) -> int:
    """Return a number as 64 bits with a sign; what does not fit is the lowest one, as on the original's processor."""
    return int(number) if -(2.0**63) <= number < 2.0**63 else INTEGER_MIN


# -- numbers in texts ----------------------------------------------------------------------------------------------

_SCALED: Final = re.compile(rb"[\x01-\x20]*([+-]?)(\d*)(?:\.(\d*))?[\x01-\x20]*([kmgtpe]?)", re.IGNORECASE)


def _scaled(text: bytes) -> int:
    """Return the number that a text begins with, times the power of 1024 that the letter behind it says."""
    match = _SCALED.match(text)
    assert match is not None  # it matches nothing, too
    sign, whole, fraction, unit = match.groups()
    number = Fraction(f"{int(whole[-400:] or b'0')}.{(fraction or b'0')[:40].decode() or '0'}")
    if unit:
        number *= 1 << 10 * (b"kmgtpe".index(unit.lower()) + 1)
    return min(max(int(-number if sign == b"-" else number), INTEGER_MIN), INTEGER_MAX)


# -- hashes --------------------------------------------------------------------------------------------------------


def murmur(data: bytes) -> int:
    """Return the low 48 bits of the 64-bit MurmurHash with the original's seed."""
    multiplier, shift = 0xC6A4A7935BD1E995, 47
    hashed = 19780211 ^ len(data) * multiplier & _WORD
    whole = len(data) // 8 * 8
    for (word,) in _LITTLE.iter_unpack(data[:whole]):
        mixed = word * multiplier & _WORD
        mixed = (mixed ^ mixed >> shift) * multiplier & _WORD
        hashed = hashed * multiplier & _WORD ^ mixed
    if len(data) > whole:
        hashed = (hashed ^ int.from_bytes(data[whole:], "little")) * multiplier & _WORD
    hashed = (hashed ^ hashed >> shift) * multiplier & _WORD
    return (hashed ^ hashed >> shift) & _HASHED_BITS


_LITTLE: Final = Struct("<Q")


def fnv(data: bytes) -> int:
    """Return the low 48 bits of the original's FNV hash, which multiplies by a number of its own."""
    hashed = 14695981039346656037
    for byte in data:
        hashed = (hashed ^ byte) * 109951162811 & _WORD
    return hashed & _HASHED_BITS


# -- numbers in bytes ----------------------------------------------------------------------------------------------

_NATIVE: Final = "<" if sys.byteorder == "little" else ">"
_SIGNED: Final = {letter: Struct(_NATIVE + code) for letter, code in zip("csil", "bhiq", strict=True)}
_UNSIGNED: Final = {
    **{letter: Struct(_NATIVE + code) for letter, code in zip("CSIL", "BHIQ", strict=True)},
    **{letter: Struct(">" + code) for letter, code in zip("nNM", "HIQ", strict=True)},
}
_REALS: Final = {letter: Struct(_NATIVE + code) for letter, code in zip("fFdD", "ffdd", strict=True)}
_READ: Final[Mapping[str, Struct]] = {**_SIGNED, **_UNSIGNED, **_REALS}
# To write a number the sign does not matter.
_WRITTEN: Final[Mapping[str, Struct]] = {**_UNSIGNED, **{letter: _UNSIGNED[letter.upper()] for letter in _SIGNED}}
_BER: Final = "wW"
_ITEM: Final = re.compile(r"(.)(\*|\d*)", re.DOTALL)
_MOST: Final = (1 << 31) - 1


def _repeated(form: bytes) -> Iterator[tuple[str, int]]:
    """Yield the letters of a format, and how often each is meant."""
    for letter, count in _ITEM.findall(form.decode("latin-1")):
        yield letter, _MOST if count == "*" else int(count or 1)


def pack(form: bytes, given: Any) -> bytes:
    """Return the numbers of a table as bytes."""
    numbers = [float(number) for number in given.values()]
    packed: list[bytes] = []
    position = 0
    for letter, count in _repeated(form):
        some = numbers[position : position + count]
        position += len(some)
        packed += [_pack(letter, number) for number in some]
    return b"".join(packed)


def _pack(letter: str, number: float) -> bytes:
    if letter in _REALS:
        try:
            return _REALS[letter].pack(number)
        except OverflowError:  # beyond what four bytes hold
            return _REALS[letter].pack(float("inf") if number > 0 else float("-inf"))
    if letter in _BER:
        return _pack_ber(_unsigned(number))
    form = _WRITTEN.get(letter)
    if form is None:
        return b""
    if form.size <= 2:  # by way of 32 bits
        return form.pack((int(number) if abs(number) < 2.0**31 else 0) % (1 << 8 * form.size))
    if form.size == 4:
        return form.pack(to_integer(number) & _HALF)
    return form.pack(_unsigned(number))


def _unsigned(number: float) -> int:
    if 2.0**63 <= number < 2.0**64:
        return int(number)
    return 0 if number >= 2.0**64 else to_integer(number) & _WORD


def _pack_ber(number: int) -> bytes:
    digits = [number & 0x7F]
    rest = number
    while rest := rest >> 7:
        digits.append(rest & 0x7F | 0x80)
    if len(digits) > 8:  # as the original has it, with a digit too few
        digits[8:] = [0x80 | number >> 63]
    return bytes(reversed(digits))


def unpack(form: bytes, data: bytes) -> list[float]:
    """Return the numbers in bytes."""
    found: list[float] = []
    at = 0
    for letter, count in _repeated(form):
        if at >= len(data):
            break
        one = _READ.get(letter)
        for _ in repeat(None, min(count, len(data) - at)):
            if at >= len(data):
                break
            if one is not None:
                if at + one.size > len(data):
                    return found
                found.append(float(one.unpack_from(data, at)[0]))  # Lua has no other numbers
                at += one.size
            elif letter in _BER:
                number, at = _unpack_ber(data, at)
                found.append(float(number))
    return found


def _unpack_ber(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    while at < len(data):
        byte, at = data[at], at + 1
        number = (number << 7 | byte & 0x7F) & _WORD
        if byte < 0x80:
            break
    return number, at


def bit(mode: bytes, number: float, other: float) -> int:
    """Return what an operation on the low 32 bits of numbers gives; the number itself for an unknown one."""
    left, right = to_integer(number) & _HALF, to_integer(other) & _HALF
    operation = _OPERATIONS.get(mode.lower())
    return operation(left, right) & _HALF if operation is not None else left


_OPERATIONS: Final[Mapping[bytes, Callable[[int, int], int]]] = {
    b"and": lambda left, right: left & right,
    b"or": lambda left, right: left | right,
    b"xor": lambda left, right: left ^ right,
    b"not": lambda left, _: ~left,
    b"left": lambda left, right: left << right % 32,
    b"right": lambda left, right: left >> right % 32,
}


# -- encodings -----------------------------------------------------------------------------------------------------

_WBITS: Final = {b"zlib": -15, b"deflate": 15, b"gzip": 15 + 16}


def codec(mode: bytes, data: bytes) -> bytes | None:
    """Return data in another form; with ``~`` before its name, out of that form; None if that cannot be."""
    convert = _CODECS.get(mode.lower())
    return convert(data) if convert is not None else None


def _compress(wbits: int) -> Callable[[bytes], bytes]:
    def compress(data: bytes) -> bytes:
        squeeze = zlib.compressobj(6, zlib.DEFLATED, wbits, 9)
        return squeeze.compress(data) + squeeze.flush() + (b"\0" if wbits < 0 else b"")  # as the original has it

    return compress


def _decompress(wbits: int) -> Callable[[bytes], bytes | None]:
    def decompress(data: bytes) -> bytes | None:
        expand = zlib.decompressobj(wbits)
        try:
            expanded = expand.decompress(data, _LARGEST)
        except zlib.error:
            return None
        return expanded if expand.eof else None

    return decompress


def _until_nul(decode: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda data: decode(data.partition(b"\0")[0])


_NO_DIGIT: Final = re.compile(rb"[^0-9A-Fa-f]")


def _from_hex(data: bytes) -> bytes:
    """Decode pairs of digits, before which there may be blanks; what is no digit counts as 0."""
    pairs = re.findall(rb"[\x01-\x20]*([^\x01-\x20].?)", data, re.DOTALL)
    return bytes([_hex_value(pair) for pair in pairs])


def _hex_value(pair: bytes) -> int:
    if len(pair) == 2 and _NO_DIGIT.match(pair, 1):  # an odd one out: what was there stays unshifted
        return int(_NO_DIGIT.sub(b"0", pair[:1]), 16)
    return int(_NO_DIGIT.sub(b"0", pair), 16)


_CODECS: Final[Mapping[bytes, Callable[[bytes], bytes | None]]] = {
    b"url": ENCODE["U"],
    b"~url": _until_nul(DECODE["U"]),
    b"base": ENCODE["B"],
    b"~base": _until_nul(DECODE["B"]),
    b"quote": ENCODE["Q"],
    b"~quote": _until_nul(DECODE["Q"]),
    b"hex": lambda data: data.hex().encode(),
    b"~hex": _until_nul(_from_hex),
    **{name: _compress(wbits) for name, wbits in _WBITS.items()},
    **{b"~" + name: _decompress(wbits) for name, wbits in _WBITS.items()},
}


# -- texts ---------------------------------------------------------------------------------------------------------


def split(text: bytes, delimiters: bytes | None) -> list[bytes]:
    """Return the parts of a text between any of some bytes, or between NULs."""
    if delimiters == b"":
        return [text]
    return re.split(b"[" + re.escape(delimiters or b"\0") + b"]", text)


def find(text: bytes, pattern: bytes, other: bytes | None) -> int | bytes:
    """Return where a text contains another, counted from 1, 0 if it does not; or with a third one replace it."""
    if other is None:
        return text.find(pattern) + 1
    if not pattern:
        return text
    if text.count(pattern) * len(other) > _LARGEST:
        raise InvalidInput("the text is larger than there is memory for")
    return text.replace(pattern, other)


def match(text: bytes, pattern: bytes, other: bytes | None) -> bool | bytes:
    """Tell whether a POSIX extended regular expression is found in a text; or with a third one replace it there."""
    expression = _expression(pattern)
    if other is None:
        return expression is not None and expression.search(text) is not None
    return text if expression is None or not pattern else _replace(expression, text, other)


@lru_cache(maxsize=256)
def _expression(pattern: bytes) -> re.Pattern[bytes] | None:
    try:
        return compile_posix(pattern)
    except InvalidInput:
        return None


_REFERENCE: Final = re.compile(rb"\$(.?)", re.DOTALL)


def _replace(expression: re.Pattern[bytes], text: bytes, other: bytes) -> bytes:
    """Replace what is found, up to the first place where that is nothing; ``$1`` and ``$&`` are what was found."""
    pieces: list[bytes] = []
    at = size = 0
    while at < len(text):
        found = expression.search(text, at)
        if found is None:
            break
        size += len(other)
        if size > _LARGEST:
            raise InvalidInput("the text is larger than there is memory for")
        pieces += [text[at : found.start()], _REFERENCE.sub(lambda sign, found=found: _part(found, sign[1]), other)]  # type: ignore[misc]
        if found.end() == at:
            break
        at = found.end()
    return b"".join(pieces) + text[at:]


def _part(found: re.Match[bytes], name: bytes) -> bytes:
    if name == b"&":
        return found[0]
    if not name.isdigit():
        return name
    return found[int(name)] or b"" if int(name) <= len(found.groups()) else b""


def distance(text: bytes, other: bytes, utf: bool) -> int:
    """Return how many letters have to be changed to make a text another one; bytes, unless `utf`."""
    left, right = (each.decode("utf-8", "surrogateescape") if utf else each for each in (text, other))
    return edit_distance(left, right, max(len(left), len(right)))


def functions(table: Callable[[Sequence[Any]], Any], largest: int) -> dict[str, Callable[..., Any]]:
    """Return the functions by the names that scripts have for them; lists are given as tables.

    What is larger than so many bytes is an error.
    """

    def bound(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            result = function(*arguments)
            if isinstance(result, bytes) and len(result) > largest:
                raise InvalidInput("the text is larger than there is memory for")
            return table(result) if isinstance(result, list) else result

        return call

    return {name: bound(function) for name, function in _FUNCTIONS.items()}


_FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "atoi": parse_integer,
    "atof": parse_real,
    "atoix": _scaled,
    "split": split,
    "unpack": unpack,
    "hash_murmur": murmur,
    "hash_fnv": fnv,
    "pack": pack,
    "bit": bit,
    "codec": codec,
    "strstr": find,
    "strfwm": lambda text, pattern, _: text.startswith(pattern),
    "strbwm": lambda text, pattern, _: text.endswith(pattern),
    "regex": match,
    "levdist": distance,
}
