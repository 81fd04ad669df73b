"""The encodings of a name or a value in text: percent-encoding, base64, quoted-printable.

Decoding follows the original server, which takes anything for encoded; `DECODE_STRICTLY` refuses what is not.
Source: the Kyoto Tycoon protocol reference, section 2.2.
"""

from __future__ import annotations

import re
from binascii import Error, a2b_base64, b2a_base64
from collections.abc import Callable
from re import Match
from typing import Literal, TypeAlias

from kt_core.errors import ProtocolError

# As a content type names it: none, base64, quoted-printable, percent-encoding.
Encoding: TypeAlias = Literal["", "B", "Q", "U"]

_NOT_URL = re.compile(rb"[^A-Za-z0-9_.~-]")
_NOT_QUOTED = re.compile(rb"[^\x20-\x3c\x3e-\x7e]")
_URL_SEQUENCE = re.compile(rb"%(.?)(.?)|\+|[\x00-\x20\x7f]", re.DOTALL)
_QUOTED_SEQUENCE = re.compile(rb"=(?:\r|(.?)(.?))|[\x00-\x1f\x7f]", re.DOTALL)
_BAD_URL = re.compile(rb"%(?![0-9A-Fa-f]{2})|[\x00-\x20\x7f]")
_BAD_QUOTED = re.compile(rb"=(?![0-9A-Fa-f]{2})|[\x00-\x1f\x7f]")
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(set(range(256)) - set(_BASE64 + b"="))


def encode_url(data: bytes) -> bytes:
    """Percent-encode all but letters, digits and ``-_.~``, as the original server does."""
    return _NOT_URL.sub(lambda match: b"%%%02x" % ord(match[0]), data)


def decode_url(data: bytes) -> bytes:
    """Decode percent-encoding: bad digits are 0; blanks, control bytes and what is cut off are dropped."""
    return _URL_SEQUENCE.sub(lambda match: b" " if match[0] == b"+" else _unescape(match), data)


def _encode_quoted(data: bytes) -> bytes:
    return _NOT_QUOTED.sub(lambda match: b"=%02X" % ord(match[0]), data)


def _decode_quoted(data: bytes) -> bytes:
    return _QUOTED_SEQUENCE.sub(_unescape, data)


def _unescape(match: Match[bytes]) -> bytes:
    high, low = match.groups()
    return bytes((_hex_digit(high) << 4 | _hex_digit(low),)) if low else b""


def _hex_digit(digit: bytes) -> int:
    try:
        return int(digit, 16)
    except ValueError:
        return 0


def _encode_base64(data: bytes) -> bytes:
    return b2a_base64(data, newline=False)


def _decode_base64(data: bytes) -> bytes:
    try:
        return a2b_base64(data, strict_mode=True)
    except Error:
        return _decode_odd_base64(data)


def _decode_odd_base64(data: bytes) -> bytes:
    """Decode four digits at a time until some are padding; of fewer than four, none are shifted to their place."""
    digits = data.translate(None, _NOT_BASE64)
    end = digits.find(b"=")
    if end < 0:
        end = len(digits)
    whole = end - end % 4
    last = digits[whole : whole + 4]
    bits = 0
    for digit in last:
        bits = bits << 6 | max(_BASE64.find(digit), 0)
    kept = max(3 - last.count(b"="), 0) if last else 0
    return a2b_base64(digits[:whole]) + bits.to_bytes(3, "big")[:kept]


def _strict_base64(data: bytes) -> bytes:
    try:
        return a2b_base64(data, strict_mode=True)
    except Error as error:
        raise ProtocolError(f"a column is badly encoded: {error}") from None


def _strictly(bad: re.Pattern[bytes], decode: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def strict(data: bytes) -> bytes:
        if found := bad.search(data):
            raise ProtocolError(f"a column is badly encoded at byte {found.start()}")
        return decode(data)

    return strict


ENCODE: dict[Encoding, Callable[[bytes], bytes]] = {
    "": bytes,
    "B": _encode_base64,
    "Q": _encode_quoted,
    "U": encode_url,
}
DECODE: dict[Encoding, Callable[[bytes], bytes]] = {
    "": bytes,
    "B": _decode_base64,
    "Q": _decode_quoted,
    "U": decode_url,
}
DECODE_STRICTLY: dict[Encoding, Callable[[bytes], bytes]] = {
    "": bytes,
    "B": _strict_base64,
    "Q": _strictly(_BAD_QUOTED, _decode_quoted),
    "U": _strictly(_BAD_URL, decode_url),
}
