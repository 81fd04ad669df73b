"""What a cache is configured with: a location and options, parsed once into a frozen value.

Every framework's adapter writes the same two: a URL (or a list of them) for the place, and a mapping for the rest.
Options may also stand in the URL's query. Names are the fields of `Options` and of the kind of store that the
location names, in any case; unknown ones are refused. Each kind is imported when a location names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

from kt_cache.options.embedded import EmbeddedOptions
from kt_cache.options.reading import Kind, Readers, names, number, one_of, optional, truth
from kt_cache.values import Codec
from kt_core.errors import Misconfigured, choose
from kt_core.locations import locate, without_password
from kt_core.sizes import parse_size

if TYPE_CHECKING:
    from kt_cache.options.aerospike import AerospikeOptions
    from kt_cache.options.servers import KyotoOptions, ServerOptions, TyrantOptions

__all__ = [
    "AerospikeOptions",
    "EmbeddedOptions",
    "KyotoOptions",
    "Options",
    "ServerOptions",
    "StoreOptions",
    "TyrantOptions",
    "has_option",
]

StoreOptions: TypeAlias = "EmbeddedOptions | KyotoOptions | TyrantOptions | AerospikeOptions"

_ELSEWHERE = {
    **dict.fromkeys(("KyotoOptions", "ServerOptions", "TyrantOptions"), "servers"),
    "AerospikeOptions": "aerospike",
}
_OF_SCHEMES = {
    "embedded": "embedded",
    **dict.fromkeys(("kt", "kt+unix", "tt", "tt+unix"), "servers"),
    "aerospike": "aerospike",
}


def __getattr__(name: str) -> Any:
    if name not in _ELSEWHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ELSEWHERE[name]}"), name)


@dataclass(frozen=True)
class Options:
    """Where the records are, how values become bytes, and what becomes of errors."""

    store: StoreOptions
    serializer: Any = "pickle"
    """``pickle``, ``msgpack``, ``json``, ``raw``, or an object, class or dotted path with ``dumps`` and ``loads``."""
    accept: tuple[str, ...] | None = None
    """Serializers that values may be read by besides that one; None for all that cannot run code."""
    compression: str | None = None
    """``zlib``, ``lzma``, ``bz2``, ``lz4``, ``zstd`` or ``brotli``; None for none."""
    compress_min_length: int = 1024
    """Bytes from which on a value is compressed."""
    compress_level: int | None = None
    """The compression's own level; None for its default."""
    sign: bool = False
    """Whether values carry a signature, checked before anything is unpickled."""
    on_error: str = "raise"
    """``raise``, or ``miss``: a server that fails is as good as an empty one (an embedded database has none)."""

    @classmethod
    def parse(cls, location: object, options: Mapping[str, Any], *, default_name: str) -> Options:
        """Read a location and options; `default_name` names the place where the location is empty."""
        is_empty = location is None or location == ""
        scheme, place, written = locate(f"embedded://{default_name}" if is_empty else location)
        kind, readers = _kind(scheme)
        known = readers | _COMMON
        given: dict[str, Any] = {}
        for name, value in [*written, *options.items()]:
            reader_name = str(name).lower()
            reader = _reader(reader_name, scheme, known)
            try:
                given[reader_name] = reader(value)
            except Misconfigured as error:
                raise Misconfigured(without_password(f"option {name}: {error}")) from None
        own = {name: given.pop(name) for name in list(given) if name in readers}
        try:
            return cls(kind(place, **own), **given)
        except Misconfigured as error:
            raise Misconfigured(without_password(str(error))) from None

    def codec(self, signing_keys: Callable[[], Iterable[bytes]]) -> Codec:
        """Return the codec that these options ask for; the keys are fetched if it signs."""
        return Codec(
            serializer=self.serializer,
            accept=self.accept,
            compression=self.compression,
            compress_min_length=self.compress_min_length,
            compress_level=self.compress_level,
            signing_keys=tuple(signing_keys()) if self.sign else (),
        )


def has_option(scheme: str, name: str) -> bool:
    """Tell whether locations of a scheme have an option."""
    return name in _COMMON or name in _kind(scheme).readers


def _kind(scheme: str) -> Kind:
    kinds: dict[str, Kind] = import_module(f"{__name__}.{_OF_SCHEMES[scheme]}").KINDS
    return kinds[scheme]


def _sign(value: object) -> bool:
    try:
        return truth(value)
    except Misconfigured:  # what is there may be a key
        raise Misconfigured("write True or False: the keys are the site's own, SECRET_KEY first") from None


_COMMON: Readers = {
    "serializer": lambda value: value,
    "accept": names,
    "compression": optional(str),
    "compress_min_length": parse_size,
    "compress_level": optional(number),
    "sign": _sign,
    "on_error": one_of("raise", "miss"),
}

assert {"store", *_COMMON} == {field.name for field in fields(Options)}


def _reader(name: str, scheme: str, readers: Readers) -> Callable[[Any], Any]:
    if name not in readers:
        for other in _OF_SCHEMES:
            if name in _kind(other).readers:
                raise Misconfigured(
                    f"{name} is an option of {other}:// locations, not of {scheme}:// ones: leave it out"
                )
    return choose(readers, name, "option")
