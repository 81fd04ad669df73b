"""The predicates of the official package, under the name that code for the legacy module imports them by."""

from __future__ import annotations

from typing import Any

from kt_core.aerospike.package import official


def __getattr__(name: str) -> Any:
    return getattr(official().predicates, name)
