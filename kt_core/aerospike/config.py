"""The config of a client: from the keys of the legacy module to those of the official package."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kt_core.aerospike.errors import param_error
from kt_core.aerospike.policies import gone, translate_all
from kt_core.aerospike.serialization import Pair
from kt_core.aerospike.unpickling import Unpickler

_MAX_THREADS: Final = 300  # what the legacy module said; the official package has 100
_FIRST_SHM_KEY: Final = 0xA5000000
_SHM_KEYS: Final = 1 << 20


@dataclass(frozen=True)
class Settings:
    """What a client is made of."""

    native: dict[str, Any]
    """The config of the official package."""
    gen: int | None
    """The generation policy of calls that give none."""
    serialization: Pair
    unpickler: Unpickler | None
    """None: pickles are handed out as the bytes that they are."""
    raise_not_found: bool


def translate_config(config: Mapping[str, Any]) -> Settings:
    """Return the settings that a config stands for; `ParamError` for one that cannot be used.

    Beside the keys of the legacy module and of the official package it may have:

    * `unpickle`: False to hand out pickles as bytes, or the names that may be loaded beside plain types (`Unpickler`).
    * `raise_not_found`: True if `get` and `select` shall raise `RecordNotFound` as they do in the official package,
      instead of returning (key, None, None).
    """
    native = dict(config)
    policies = dict(native.pop("policies", None) or {})
    gen = policies.pop("gen", None)
    pair = _pair(native.pop("serialization", None))
    unpickler = _unpickler(native.pop("unpickle", True))
    raise_not_found = bool(native.pop("raise_not_found", False))
    native["hosts"] = hosts = _hosts(native.get("hosts"))
    native["policies"] = translate_all(policies)
    native["max_conns_per_node"] = native.pop("max_threads", None) or native.get("max_conns_per_node", _MAX_THREADS)
    native["lua"] = _lua(native.get("lua") or {})
    if native.pop("batch_direct", False):
        gone("batch_direct")
    if native.get("shm") is not None:
        native["shm"] = {"shm_key": _shm_key(hosts), **native["shm"]}
    for name in ("thread_pool_size", "shm"):
        if native.get(name, 0) is None:
            del native[name]
    # A key that nobody knows is an error, and not overlooked as it was.
    return Settings({"validate_keys": True, **native}, gen, pair, unpickler, raise_not_found)


def _hosts(hosts: Any) -> list[tuple[Any, ...]]:
    if isinstance(hosts, tuple) and len(hosts) == 2 and isinstance(hosts[0], str) and not isinstance(hosts[1], tuple):
        hosts = [hosts]
    if not hosts or isinstance(hosts, str):
        raise param_error(f"hosts={hosts!r}: write a list of (address, port) tuples")
    return [_host(host) for host in hosts]


def _host(host: Any) -> tuple[Any, ...]:
    if isinstance(host, str):
        host = host.rpartition(":")[::2]
    try:
        address, port, *tls = host
        return (str(address), int(port), *tls)
    except (TypeError, ValueError):
        raise param_error(f"{host!r} is no host: write (address, port)") from None


def _pair(serialization: Any) -> Pair:
    if serialization is None:
        return Pair()
    try:
        serializer, deserializer = serialization
    except (TypeError, ValueError):
        raise param_error(f"serialization={serialization!r}: write (serializer, deserializer)") from None
    return Pair(_callable(serializer), _callable(deserializer))


def _callable(function: Any) -> Callable[[Any], Any] | None:
    if function is not None and not callable(function):
        raise param_error(f"{function!r} in serialization cannot be called: write (serializer, deserializer)")
    return function  # type: ignore[no-any-return]


def _unpickler(names: bool | Iterable[str]) -> Unpickler | None:
    if names is True:
        return Unpickler()
    if isinstance(names, str):
        raise param_error(f"unpickle={names!r}: write a list of names, or False")
    return Unpickler(names) if names else None


def _lua(paths: Mapping[str, Any]) -> dict[str, Any]:
    kept = dict(paths)
    if kept.pop("system_path", None) is not None:
        gone("lua system_path")
    user_path = kept.get("user_path")
    if user_path is not None and not Path(user_path).is_dir():
        # Natively, modules would be looked for in whatever the current directory is.
        warnings.warn(f"lua user_path {user_path!r} is no directory and not used", stacklevel=4)
        del kept["user_path"]
    return kept


def _shm_key(hosts: list[tuple[Any, ...]]) -> int:
    """A key of their own for the clients of each cluster: with one for all they would share one map of nodes."""
    names = ",".join(sorted(f"{address}:{port}" for address, port, *_ in hosts))
    return _FIRST_SHM_KEY + zlib.crc32(names.encode()) % _SHM_KEYS
