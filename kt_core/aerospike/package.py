"""The official package `aerospike`, imported when it is first needed: kt_core works without it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from kt_core.errors import Misconfigured


def official(module: str = "aerospike") -> Any:
    """Return the official package, or a module that comes with it; `Misconfigured` when it is not installed."""
    try:
        return import_module(module)
    except ImportError as error:
        raise Misconfigured(f"{module} cannot be imported ({error}): pip install 'kt-cache[aerospike]'") from error
