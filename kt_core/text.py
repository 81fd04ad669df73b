"""Text on a server: UTF-8, or whatever else is there."""

from __future__ import annotations

from kt_core.errors import InvalidInput


def encode_text(text: str) -> bytes:
    """Return text as UTF-8."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise not_text(error) from None


def decode_text(data: bytes) -> str | bytes:
    """Return the text of UTF-8, or the bytes themselves if they are none."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def not_text(error: UnicodeEncodeError) -> InvalidInput:
    """Return the error of a str that holds lone surrogates."""
    return InvalidInput(f"not a text that UTF-8 can hold: {error}")
