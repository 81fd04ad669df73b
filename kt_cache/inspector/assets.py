"""The files that the pages are made of, as they are in the package."""

from __future__ import annotations

from functools import cache
from hashlib import blake2b
from importlib.resources import files
from typing import Final, NamedTuple

TYPES: Final = {"inspector.css": "text/css; charset=utf-8", "inspector.js": "text/javascript; charset=utf-8"}
"""The files that a browser asks for, with their media types."""


class Asset(NamedTuple):
    """A file and the tag that its contents have, in quotes."""

    body: bytes
    tag: str


@cache
def read_asset(name: str) -> Asset:
    """Return a file of this package."""
    body = files("kt_cache.inspector").joinpath("static", name).read_bytes()
    return Asset(body, f'"{blake2b(body, digest_size=12).hexdigest()}"')
