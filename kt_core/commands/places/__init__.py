"""Places: what a URL names, opened, with the same operations on bytes wherever the records are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from kt_core.commands.places.base import Place, Row
from kt_core.errors import Misconfigured, choose
from kt_core.locations import locate
from kt_core.sizes import parse_size
from kt_core.transport import Address

__all__ = ["Place", "Row", "open_place"]

Options = dict[str, Any]


def open_place(url: str, *, create: bool = False, like: Mapping[str, Any] | None = None) -> Place:
    """Open what a URL names; with `create`, an embedded database that is not there is made.

    It is made `like` another one was, as far as the URL does not say how. `Misconfigured` if the URL names nothing, or
    more than one server.
    """
    location = locate(url)
    open_it, readers = choose(_KINDS, location.scheme, "kind of place")
    options: Options = {}
    for name, text in location.options:
        read = choose(readers, name, f"option of {location.scheme}:// that kt knows,")
        try:
            options[name] = read(text)
        except ValueError:
            raise Misconfigured(f"{name}={text} in {url}: write a number there") from None
    if isinstance(location.place, str):
        options = {name: value for name, value in (like or {}).items() if name in _MADE} | options
        return open_it(url, location.place, options, create)
    if len(location.place) > 1:
        raise Misconfigured(f"{url} names {len(location.place)} servers: write one of them")
    return open_it(url, location.place[0], options, create)


def _embedded(url: str, place: str, options: Options, create: bool) -> Place:
    from kt_core.commands.places.embedded import EmbeddedPlace

    return EmbeddedPlace.open(url, place, options, create)


def _kyoto(url: str, address: Address, options: Options, create: bool) -> Place:
    from kt_core.commands.places.kyoto import KyotoPlace

    return KyotoPlace(url, address, **options)


def _tyrant(url: str, address: Address, options: Options, create: bool) -> Place:
    from kt_core.commands.places.tyrant import TyrantPlace

    return TyrantPlace(url, address, **options)


Readers = Mapping[str, Callable[[str], Any]]
_MADE: Final[Readers] = {"max_size": parse_size, "durability": str, "eviction": str}
_SERVER: Final[Readers] = {"timeout": float, "connect_timeout": float}
_KYOTO: Final[Readers] = {**_SERVER, "database": int}
_KINDS: Final[Mapping[str, tuple[Callable[[str, Any, Options, bool], Place], Readers]]] = {
    "embedded": (_embedded, {**_MADE, "database": int}),
    "kt": (_kyoto, _KYOTO),
    "kt+unix": (_kyoto, _KYOTO),
    "tt": (_tyrant, _SERVER),
    "tt+unix": (_tyrant, _SERVER),
}
