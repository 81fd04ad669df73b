"""The calls of the legacy module that change one list or map: operators by now, a few of them under other names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from kt_core.aerospike.package import official


class Collection(NamedTuple):
    """A call: the function that makes its operator, and the names of its arguments behind key and bin."""

    module: str
    function: str
    names: tuple[str, ...]

    def operator(
        self, bin: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[dict[str, Any], Mapping[str, Any] | None, Mapping[str, Any] | None]:
        """Return the operator, the meta data and the policy that a call gives."""
        names = (*self.names, "meta", "policy")
        if len(args) > len(names):
            raise TypeError(f"{self.function}() takes {', '.join(('key', 'bin', *names))}")
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        meta, policy = given.pop("meta", None), given.pop("policy", None)
        make = getattr(official(f"aerospike_helpers.operations.{self.module}"), self.function)
        return make(bin, **{_TODAY.get(name, name): value for name, value in given.items()}), meta, policy


_TODAY: Final = {"map_key": "key", "val": "value", "items": "item_dict", "incr": "amount"}

_LISTS: Final = {
    # the call: the function, the names of the arguments
    "list_append": ("list_append", "val"),
    "list_extend": ("list_append_items", "values"),
    "list_insert": ("list_insert", "index val"),
    "list_insert_items": ("list_insert_items", "index values"),
    "list_pop": ("list_pop", "index"),
    "list_pop_range": ("list_pop_range", "index count"),
    "list_remove": ("list_remove", "index"),
    "list_remove_range": ("list_remove_range", "index count"),
    "list_clear": ("list_clear", ""),
    "list_set": ("list_set", "index val"),
    "list_get": ("list_get", "index"),
    "list_get_range": ("list_get_range", "index count"),
    "list_trim": ("list_trim", "index count"),
    "list_size": ("list_size", ""),
}
_MAPS: Final = {
    "map_put": "map_key val map_policy",
    "map_put_items": "items map_policy",
    "map_increment": "map_key incr map_policy",
    "map_decrement": "map_key incr map_policy",
    "map_size": "",
    "map_clear": "",
    "map_remove_by_key": "map_key return_type",
    "map_remove_by_key_list": "key_list return_type",
    "map_remove_by_key_range": "key_range_start key_range_end return_type",
    "map_remove_by_value": "val return_type",
    "map_remove_by_value_list": "value_list return_type",
    "map_remove_by_value_range": "value_start value_end return_type",
    "map_remove_by_index": "index return_type",
    "map_remove_by_index_range": "index_start remove_amt return_type",
    "map_remove_by_rank": "rank return_type",
    "map_remove_by_rank_range": "rank_start remove_amt return_type",
    "map_get_by_key": "map_key return_type",
    "map_get_by_key_range": "key_range_start key_range_end return_type",
    "map_get_by_value": "val return_type",
    "map_get_by_value_range": "value_start value_end return_type",
    "map_get_by_index": "index return_type",
    "map_get_by_index_range": "index_start get_amt return_type",
    "map_get_by_rank": "rank return_type",
    "map_get_by_rank_range": "rank_start get_amt return_type",
}

COLLECTIONS: Final = {
    **{
        call: Collection("list_operations", function, tuple(names.split()))
        for call, (function, names) in _LISTS.items()
    },
    **{call: Collection("map_operations", call, tuple(names.split())) for call, names in _MAPS.items()},
}
"""The calls by name."""
