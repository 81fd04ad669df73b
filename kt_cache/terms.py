"""Terms: under which conditions a stored value holds, besides that its record is there.

A value may be *fresh* until a time before its record expires: then only those get it who take a stale value while
another is computed. And it may have *tags*, each with the version that the tag had when the value was stored: a tag
is deleted by giving it another version, which costs one write however many values have it. A tag whose record has
gone, by eviction say, has no version that any value holds under: so what is lost makes values miss, never last.

Stored form: ``>QB`` milliseconds since the epoch (0 for no such time) and the number of tags, then for each ``>HQ``
the length of its name and its version, and the name.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from struct import Struct, error
from typing import NamedTuple

from kt_cache.flows import Flow, call
from kt_cache.reserved import Kind, reserved
from kt_cache.values import Unreadable
from kt_core.errors import InvalidInput

_HEAD = Struct(">QB")
_TAG = Struct(">HQ")
_MOST_TAGS = 255
_MOST_BYTES = 65535


class Terms(NamedTuple):
    """Until when a value is fresh, in milliseconds since the epoch (0 for as long as its record is there); its tags."""

    fresh_until: int = 0
    tags: tuple[tuple[bytes, int], ...] = ()

    def encode(self) -> bytes:
        """Return the stored form."""
        parts = [_HEAD.pack(self.fresh_until, len(self.tags))]
        for name, version in self.tags:
            parts += (_TAG.pack(len(name), version), name)
        return b"".join(parts)

    @classmethod
    def decode(cls, data: bytes) -> Terms:
        """Return what the stored form says; `Unreadable` if it is none."""
        try:
            fresh_until, count = _HEAD.unpack_from(data)
            tags, at = [], _HEAD.size
            for _ in range(count):
                length, version = _TAG.unpack_from(data, at)
                at += _TAG.size + length
                tags.append((data[at - length : at], version))
        except error:
            at = -1
        if at != len(data):
            raise Unreadable("damaged terms; delete the value")
        return cls(fresh_until, tuple(tags))


def check_tags(tags: Iterable[bytes]) -> list[bytes]:
    """Return the names of tags, each once; `InvalidInput` if a value cannot have as many."""
    names = list(dict.fromkeys(tags))
    if len(names) > _MOST_TAGS or _HEAD.size + sum(_TAG.size + len(name) for name in names) > _MOST_BYTES:
        raise InvalidInput(f"a value cannot have {len(names)} tags of that length: give it fewer")
    return names


def tag_versions(tags: Iterable[bytes]) -> Flow[tuple[tuple[bytes, int], ...]]:
    """Return tags with the versions that they have now; one that has none yet is given one."""
    records = {reserved(Kind.TAG, tag): tag for tag in tags}
    found: dict[bytes, int] = yield call("get_many", list(records))
    for record in records.keys() - found.keys():
        version = _new_version()
        if not (yield call("add", record, version, None)):
            version = (yield call("get", record)) or version  # somebody was faster
        found[record] = version
    return tuple((tag, found[record]) for record, tag in records.items())


def delete_tags(tags: Iterable[bytes]) -> Flow[None]:
    """Let no value hold any more that has one of the tags."""
    records = {reserved(Kind.TAG, tag): _new_version() for tag in tags}
    failed = yield call("set_many", records, None)
    if failed:
        yield call("delete_many", failed)


def _new_version() -> int:
    return secrets.randbits(63)
