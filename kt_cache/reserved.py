"""Keys that the product keeps for itself, beside those of its users.

They begin with NUL, which neither Django nor Flask lets a key begin with, so that no listing of a prefix meets them.
"""

from __future__ import annotations

from enum import Enum


class Kind(Enum):
    """What a key of ours is for."""

    TAG = b"tag"
    """The version of a tag: a counter that is changed when the tag is deleted."""
    ONCE = b"once"
    """Held by whoever computes a value."""
    LOCK = b"lock"
    """Held by whoever has a lock; its value is the token."""
    FENCE = b"fence"
    """The last token of a lock."""
    RATE = b"rate"
    """The count of a rate limit in one period."""
    SESSION = b"session"
    """Says that a session is a user's; its value is when it ends, in seconds since the epoch."""
    HISTORY = b"history"
    """What the inspector has noted."""


def reserved(kind: Kind, key: bytes) -> bytes:
    """Return the key of that kind that belongs to a user's key."""
    return b"\0" + kind.value + b"\0" + key


def kind_of(key: bytes) -> Kind | None:
    """Return the kind of a key of ours, None for any other key."""
    if not key.startswith(b"\0"):
        return None
    name, separator, _ = key[1:].partition(b"\0")
    return _KINDS.get(name) if separator else None


_KINDS = {kind.value: kind for kind in Kind}
