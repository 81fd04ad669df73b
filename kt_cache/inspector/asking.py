"""A request to the inspector and its answer, as any framework can make the one and send the other."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from kt_cache.inspector.listing import Selection, select
from kt_cache.inspector.subjects import Subject
from kt_core.errors import InvalidInput


@dataclass(frozen=True)
class Access:
    """What the asker may do; `refusal` says to the reader what it takes."""

    may_read: bool
    may_delete: bool
    refusal: str = "Ask whoever runs this site for the permission."


@dataclass(frozen=True)
class Request:
    """What is asked: the path below `root`, and the last value of each parameter, all without their quoting.

    `root` is the address that the inspector was put at, quoted, with a slash at its end.
    `hidden` are fields that every form is to carry, a token against forgery for one. `matches` are the tags of what
    the browser has already.
    """

    method: str
    root: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    hidden: Mapping[str, str] = field(default_factory=dict)
    matches: str = ""


@dataclass(frozen=True)
class Site:
    """The caches that there are: their names, and what opens one by its name, or raises a `KTError`."""

    names: Sequence[str]
    open: Callable[[str], Subject]


@dataclass(frozen=True)
class Answer:
    """What is to be sent."""

    status: int
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Wanted:
    """Which records a request is about, as it says it: text to match, or a prefix of any bytes."""

    text: str = ""
    prefix: bytes = b""
    own: bool = False

    @classmethod
    def read(cls, parameters: Mapping[str, str]) -> Wanted:
        """Read it from a query or a form."""
        text = parameters.get("match", "").encode("utf-8", "replace").decode()
        return cls(text, decode_key(parameters.get("under", "")), parameters.get("own", "") == "1")

    @classmethod
    def below(cls, prefix: bytes) -> Wanted:
        """Return what is about a prefix, as text where a reader could have typed it."""
        text = prefix.decode("utf-8", "replace")
        plain = text.isprintable() and text.encode() == prefix and select(text).fits is None
        return cls(text=text) if plain and select(text).prefix == prefix else cls(prefix=prefix)

    @property
    def selection(self) -> Selection:
        """The records."""
        chosen = select(self.text, self.own)
        return chosen if not self.prefix else Selection(self.prefix, None, self.own)

    @property
    def is_all(self) -> bool:
        """Whether nothing was said."""
        return not self.text and not self.prefix

    def parameters(self) -> dict[str, str]:
        """Return it as `read` reads it."""
        written = {"match": self.text, "under": encode_key(self.prefix), "own": "1" if self.own else ""}
        return {name: value for name, value in written.items() if value}


def encode_key(key: bytes) -> str:
    """Return a key for an address: whatever bytes it has."""
    return urlsafe_b64encode(key).decode("ascii").rstrip("=")


def decode_key(text: str) -> bytes:
    """Return the key of an address."""
    try:
        return urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise InvalidInput(f"{text[:80]!r} is no key: follow a link of the list, or look for the key there") from None


def address(root: str, name: str = "", page: str = "", parameters: Mapping[str, object] = {}) -> str:
    """Return the address of a page of a cache."""
    place = f"{root}{quote(name, safe='')}/{page}" if name else root
    return f"{place}?{urlencode(parameters)}" if parameters else place
