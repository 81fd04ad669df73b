"""A stored value taken apart for a reader: what it is, and what can be shown of it without running anything.

Nothing is ever unpickled, and no serializer of anybody's own is called. Of a pickle the instructions are listed, which
name what it would import. MessagePack is read with extensions as they stand. Signatures are not checked.
"""

from __future__ import annotations

import json
import pickletools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import BytesIO
from itertools import islice
from pprint import pformat
from typing import Any, Final, NamedTuple

import msgpack  # type: ignore[import-untyped]

from kt_cache.compression import COMPRESSIONS
from kt_cache.inspector.wording import readable, size_text
from kt_cache.serializers import extension_name
from kt_cache.stores import Value
from kt_cache.terms import Terms
from kt_cache.values import Form, Unreadable, form_of
from kt_core.number import INTEGER

MOST_EXPANDED: Final = 1 << 20
"""Bytes to which a compressed value is expanded at most."""

_MOST_DECODED = 256 << 10
_MOST_BYTES = 2048
_MOST_TEXT = 20_000
_MOST_INSTRUCTIONS = 400
_LONGEST_ARGUMENT = 200
_PER_LINE = 16


class View(NamedTuple):
    """One way to show a value."""

    title: str
    text: str


class Anatomy(NamedTuple):
    """What is known about a value, as pairs of a name and a text, and the ways to show it, the best first."""

    facts: list[tuple[str, str]]
    views: list[View]


def take_apart(value: Value) -> Anatomy:
    """Return what a stored value is."""
    if isinstance(value, int):
        return Anatomy([("Kind", "counter")], [View("Number", str(value)), _bytes_view(INTEGER.pack(value))])
    try:
        form = form_of(value)
    except Unreadable as error:
        return Anatomy([("Kind", f"not a value of a kt-cache codec: {error}")], [_text_view(value), _bytes_view(value)])
    facts = [("Kind", form.serializer), ("Compression", form.compression or "none")]
    facts.append(("Signature", "signed, not checked here" if form.is_signed else "none"))
    views: list[View] = []
    if form.terms is not None:
        facts += _terms(form.terms)
    payload, complaint = _expand(form)
    if complaint:
        facts.append(("Problem", complaint))
    else:
        if form.compression:
            facts.append(("Expanded", size_text(len(payload))))
        views += _decoded(form.serializer, payload)
    return Anatomy(facts, [*views, _bytes_view(value)])


def _terms(stored: bytes) -> Iterator[tuple[str, str]]:
    try:
        terms = Terms.decode(stored)
    except Unreadable as error:
        yield "Problem", str(error)
        return
    if terms.fresh_until:
        yield "Fresh until", _moment(terms.fresh_until / 1000)
    if terms.tags:
        yield "Tags", ", ".join(f"{readable(tag)} (version {version})" for tag, version in terms.tags)


def _moment(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(" ", "seconds")
    except (ValueError, OverflowError, OSError):
        return f"{seconds:.0f} s after the epoch"


def _expand(form: Form) -> tuple[bytes, str]:
    """Return the payload as it was before it was compressed, or why it cannot be shown."""
    if form.compression is None:
        return form.payload, ""
    compression = COMPRESSIONS.get(form.compression)
    if compression is None:
        return b"", f"compression {form.compression}"
    try:
        return compression.decompress(form.payload, MOST_EXPANDED), ""
    except Exception as error:  # a missing package, damage, or more than is shown: every package has its own errors
        return b"", f"not expanded: {error}"


def _decoded(serializer: str, payload: bytes) -> Iterator[View]:
    shown = _DECODERS.get(serializer)
    if shown is not None:
        title, decode = shown
        if len(payload) > _MOST_DECODED and serializer != "pickle":
            yield View(title, f"not shown: it is larger than {size_text(_MOST_DECODED)}")
        else:
            try:
                yield View(title, _cut(decode(payload)))
            except Exception as error:  # whatever damage there is: the reader is to see it, and the rest
                yield View(title, f"cannot be decoded: {error}")
    if serializer in ("raw", "json") or shown is None:
        yield _text_view(payload)


def _number(payload: bytes) -> str:
    return str(INTEGER.unpack(payload)[0])


def _json(payload: bytes) -> str:
    return json.dumps(json.loads(payload.decode()), indent=2, ensure_ascii=False)


def _msgpack(payload: bytes) -> str:
    value = msgpack.unpackb(
        payload, use_list=False, strict_map_key=False, ext_hook=_Extension, unicode_errors="backslashreplace"
    )
    return pformat(_named(value), width=100, sort_dicts=False)


class _Extension:
    """An extension as it stands; at the head of an array it says what the array is."""

    def __init__(self, code: int, data: bytes) -> None:
        self.code = code
        self.data = data

    def __repr__(self) -> str:
        return f"extension {self.code} of {self.data!r}"


class _Built(NamedTuple):
    name: str
    state: tuple[Any, ...]

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(map(repr, self.state))})"


def _named(value: Any) -> Any:
    """Return the value with the arrays that stand for other types under the names of those."""
    if isinstance(value, tuple):
        items = tuple(map(_named, value))
        if items and isinstance(items[0], _Extension) and not items[0].data:
            return _Built(extension_name(items[0].code), items[1:])
        return list(items)
    if isinstance(value, dict):
        return {_hashable(key): _named(item) for key, item in value.items()}
    return value


def _hashable(key: Any) -> Any:
    named = _named(key)
    return tuple(named) if isinstance(named, list) else named


def _pickle(payload: bytes) -> str:
    """List the instructions; the machine that would run them is not started."""
    lines: list[str] = []
    try:
        for operation, argument, position in islice(pickletools.genops(BytesIO(payload)), _MOST_INSTRUCTIONS + 1):
            if len(lines) == _MOST_INSTRUCTIONS:
                lines.append(f"… only the first {_MOST_INSTRUCTIONS} instructions are listed")
                break
            shown = "" if argument is None else _short(repr(argument))
            lines.append(f"{position or 0:>6}  {operation.name:<18} {shown}".rstrip())
    except Exception as error:  # damage of any kind
        lines.append(f"… and here it is damaged: {error}")
    return "\n".join(lines)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_ARGUMENT else f"{text[:_LONGEST_ARGUMENT]}… ({len(text):,} characters)"


_DECODERS: dict[str, tuple[str, Callable[[bytes], str]]] = {
    "counter": ("Number", _number),
    "json": ("JSON", _json),
    "msgpack": ("MessagePack", _msgpack),
    "pickle": ("Instructions of the pickle, which is not run", _pickle),
}


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}\n… of {len(text):,} characters"


def _text_view(data: bytes) -> View:
    text = "\n".join(readable(line) for line in data[:_MOST_TEXT].split(b"\n"))
    return View("Text", text if len(data) <= _MOST_TEXT else f"{text}\n… of {size_text(len(data))}")


def _bytes_view(data: bytes) -> View:
    lines = []
    for start in range(0, min(len(data), _MOST_BYTES), _PER_LINE):
        line = data[start : start + _PER_LINE]
        letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in line)
        lines.append(f"{start:06x}  {line.hex(' '):<{3 * _PER_LINE}} {letters}")
    if len(data) > _MOST_BYTES:
        lines.append(f"… of {size_text(len(data))}")
    return View("Bytes as stored", "\n".join(lines) or "none")
