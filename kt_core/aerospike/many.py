"""Reading many records in one call, as the legacy module did: as batches, with every row's result looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kt_core.aerospike.errors import error_of, param_error
from kt_core.aerospike.keys import Key, check_keys, check_text
from kt_core.aerospike.policies import translate
from kt_core.aerospike.serialization import Serialization

_FOUND, _NOT_FOUND = 0, 2
_SOME_FAILED = -16  # the rows say which; any other result is that of the whole batch


class Many:
    """The calls for many records that a client has."""

    _values: Serialization
    _call: Callable[..., Any]

    def get_many(self, keys: Iterable[Any], policy: Mapping[str, Any] | None = None) -> list[tuple[Any, Any, Any]]:
        """Return (key, meta data, bins) for every key, in their order; None for both where there is no record."""
        return [self._record(key, record) for key, record in self._rows(keys, None, policy)]

    def select_many(
        self, keys: Iterable[Any], bins: Iterable[str], policy: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, Any, Any]]:
        """As `get_many`, with some of the bins."""
        names = [check_text("the name of a bin", name) for name in bins]
        return [self._record(key, record) for key, record in self._rows(keys, names, policy)]

    def exists_many(self, keys: Iterable[Any], policy: Mapping[str, Any] | None = None) -> list[tuple[Any, Any]]:
        """Return (key, meta data) for every key, in their order; None where there is no record."""
        return [(key, record and record[1]) for key, record in self._rows(keys, [], policy)]

    def _record(self, key: Key, record: Any) -> tuple[Any, Any, Any]:
        return (key, None, None) if record is None else (key, record[1], self._values.decode(record[2]))

    def _rows(
        self, keys: Iterable[Any], bins: list[str] | None, policy: Mapping[str, Any] | None
    ) -> list[tuple[Key, Any]]:
        checked = check_keys(keys)
        if not checked:
            return []
        rows = checked_batch(self._call("batch_read", checked, bins, translate(policy))).batch_records
        failed = next((row.result for row in rows if row.result not in (_FOUND, _NOT_FOUND)), None)
        if failed is not None:
            raise error_of(failed, f"reading one of {len(checked)} records failed with result code {failed}")
        return [(row.key, row.record if row.result == _FOUND else None) for row in rows]


def check_batch(keys: list[Key], policies: Iterable[Any]) -> None:
    """Raise `ParamError` for digests where policies send keys: the native client would end the process."""
    if any(isinstance(policy, Mapping) and policy.get("key") for policy in policies) and any(
        key[2] is None for key in keys
    ):
        raise param_error("digests have no keys to be sent: give primary keys, or the policy POLICY_KEY_DIGEST alone")


def checked_batch(batch: Any) -> Any:
    """Return what the official client answered to a batch; raise what it kept to itself.

    Natively no batch raises: one that did not reach the cluster has no rows, or rows that look as if all had gone well.
    """
    if batch.result not in (_FOUND, _SOME_FAILED):
        raise error_of(batch.result, f"the batch failed with result code {batch.result}")
    return batch
