"""Names and keys, checked before the native client sees them.

Natively a NUL cuts a text short, so that 'a', 'a\\0b' and 'a\\0c' are one and the same record; a lone surrogate in
a key ends the process with SIGSEGV; a semicolon in a set's name ends the command that it is pasted into.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, cast

from kt_core.aerospike.errors import param_error
from kt_core.aerospike.package import official

Key = tuple[Any, ...]
"""(namespace, set, primary key) or (namespace, set, None, digest)."""

_PASTED = re.compile(r"[\x00-\x1f\x7f;]")


def check_key(key: Any) -> Key:
    """Return a key as the native client takes it; `ParamError` for one that would name another record, or crash."""
    if not isinstance(key, tuple | list) or not 3 <= len(key) <= 4:
        raise param_error(f"{key!r} is no key: write (namespace, set, primary key)")
    namespace, set_name, primary = key[:3]
    check_text("a namespace", namespace)
    if set_name is not None:
        check_text("the name of a set", set_name)
    if isinstance(primary, str):
        check_text("a primary key", primary, "take bytearray(key.encode()), which is a key of its own")
    elif isinstance(primary, bytes):
        if b"\0" in primary:
            raise param_error(f"the primary key {primary!r} would be cut at its NUL: take bytearray(key)")
        with suppress(UnicodeDecodeError):
            primary = primary.decode()  # which names the same record, and is what comes back
    return (namespace, set_name, primary, *key[3:])


def digest_of(key: Key) -> bytearray | None:
    """Return the 20 bytes that a checked key is known by to the servers; None for bytes that are no UTF-8."""
    namespace, set_name, primary, *digest = key
    if digest or isinstance(primary, bytes):
        return digest[0] if digest else None
    return official().calc_digest(namespace, set_name or "", primary)  # type: ignore[no-any-return]


def check_keys(keys: Iterable[Any]) -> list[Key]:
    """Return the keys of a call for many records, each checked."""
    return [check_key(key) for key in keys]


def check_bins(bins: Any) -> dict[str, Any]:
    """Return the bins of a record; `ParamError` unless it is a dict whose keys can be names of bins."""
    if not isinstance(bins, dict):
        raise param_error(f"bins={bins!r}: write a dict of names and values")
    for name in bins:
        check_text("the name of a bin", name)
    return bins


def check_text(what: str, text: Any, instead: str = "take it out") -> str:
    """Return a text that arrives whole; `ParamError` for one with a NUL or a lone surrogate."""
    if not is_whole(text):
        if not isinstance(text, str):
            raise param_error(f"{what} is a str, not {text!r}")
        raise param_error(f"{what} holds a NUL or a lone surrogate, {text!r}: {instead}")
    return cast("str", text)


def is_whole(text: Any) -> bool:
    """Whether the native client keeps the text as it is."""
    if not isinstance(text, str) or "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_pasted(text: str) -> str:
    """Return a name that a command to the server is made with; `ParamError` if it would end the command early."""
    if _PASTED.search(text) or not is_whole(text):
        raise param_error(f"the name {text!r} holds a semicolon, a control character or a surrogate: choose another")
    return text
