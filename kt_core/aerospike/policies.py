"""Policies of the legacy module, said in the words of the official package.

One table serves what a call takes and what the config of a client sets for all calls: the name that a policy has now,
and the groups of calls that know it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Final

from kt_core.aerospike.errors import param_error

_SINGLE: Final = ("read", "write", "operate", "remove", "apply")
_BATCH: Final = ("batch", "batch_parent_write")
_WRITES: Final = ("write", "operate", "remove", "apply", "batch_write", "batch_remove", "batch_apply")

_TODAY: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    # Not scans and queries: they had no time limit by default, and have none now.
    "timeout": ("total_timeout", _SINGLE + _BATCH),
    "retry": ("max_retries", _SINGLE + _BATCH),
    "consistency_level": ("read_mode_ap", ("read", "operate", "batch")),
    "replica": ("replica", (*_SINGLE, *_BATCH, "query", "scan")),
    "key": ("key", ("read", *_WRITES)),
    "exists": ("exists", ("write", "batch_write")),
    "commit_level": ("commit_level", _WRITES),
}
_GONE: Final = ("priority", "percent", "include_ldt", "fail_on_cluster_change")

# The longest life that a server accepts, and the special values: as they are, and as 32 bits.
_MAX_TTL: Final = 315_360_000
_SPECIAL_TTLS: Final = frozenset([-1, -2, -3, 2**32 - 1, 2**32 - 2, 2**32 - 3])


def translate(policy: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the policy of one call: renamed, without the values that are None, a warning given for what is gone."""
    translated: dict[str, Any] = {}
    for name, value in (policy or {}).items():
        if name in _GONE:
            gone(name)
        elif value is not None:
            translated[_TODAY[name][0] if name in _TODAY else name] = value
    if "ttl" in translated:
        check_ttl(translated["ttl"])
    return translated


def translate_all(policies: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the policies of a config, by group; a group that the config has itself goes before what is derived."""
    groups: dict[str, dict[str, Any]] = {}
    for name, (today, known) in _TODAY.items():
        value = policies.get(name)
        if value is not None:
            for group in known:
                groups.setdefault(group, {})[today] = value
    for name, value in policies.items():
        if isinstance(value, Mapping):
            groups.setdefault(name, {}).update(translate(value))
        elif name not in _TODAY and value is not None:
            groups[name] = value  # one that there never was: the native client says so
    return groups


def for_write(
    policy: Mapping[str, Any] | None, meta: Mapping[str, Any] | None, gen: int | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the meta data and the policy of a writing call; `gen` is the client's generation policy.

    The time to live goes where no warning is given for it: from the meta data into the policy, before what is there.
    """
    translated = translate(policy)
    own = dict(meta or {})
    ttl = own.pop("ttl", None)
    if ttl is not None:
        translated["ttl"] = check_ttl(ttl)
    if gen is not None:
        translated.setdefault("gen", gen)
    return own, translated


def check_ttl(ttl: Any) -> int:
    """Return a time to live in seconds, or one of the special values; `ParamError` for what would become another."""
    if isinstance(ttl, int) and (0 <= ttl <= _MAX_TTL or ttl in _SPECIAL_TTLS):
        return ttl
    raise param_error(
        f"ttl={ttl!r}: write whole seconds up to {_MAX_TTL}, 0 for the namespace's default or -1 for ever"
    )


def gone(name: str) -> None:
    """Warn of a setting that no server knows any more."""
    warnings.warn(f"Aerospike has no {name!r} any more: take it out", stacklevel=4)
