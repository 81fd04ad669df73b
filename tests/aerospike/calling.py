"""What the tests of a server ask the native client: keys of their own, and result codes instead of errors."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from itertools import count
from typing import Any
from uuid import uuid4

OK, MISSING, GENERATION, INVALID, EXISTS = 0, 2, 3, 4, 5
TIMED_OUT, WRONG_TYPE, TOO_BIG, OVERLOADED, KEY_MISMATCH, FORBIDDEN, FILTERED_OUT = 9, 12, 13, 18, 19, 22, 27
DISCONNECTED, UNANSWERED, PARTLY_FAILED = -10, -15, -16

CREATE, UPDATE, REPLACE, CREATE_OR_REPLACE = 1, 2, 3, 4
"""Policies of `exists`."""

NEVER, KEEP = 0xFFFFFFFF, 0xFFFFFFFE
"""Values of `ttl`."""

Key = tuple[str, str, Any]

names = (f"{uuid4().hex[:8]}-{number}" for number in count())
"""Names that were never used before, also where a server outlives the tests."""


def connect(hosts: list[tuple[str, int]], **config: Any) -> Any:
    """Return a native client."""
    return import_module("aerospike").client({"hosts": hosts, **config})


def code(call: Callable[..., Any], *arguments: Any, **named: Any) -> int:
    """Return the result code of a call."""
    try:
        call(*arguments, **named)
    except import_module("aerospike").exception.AerospikeError as error:
        return int(error.code)
    return OK


def bins(client: Any, key: Key) -> dict[str, Any] | None:
    """Return what a record has, None if there is none."""
    record = client.batch_read([key]).batch_records[0]
    assert record.result in (OK, MISSING)
    return None if record.result else dict(record.record[2])


def meta(client: Any, key: Key) -> tuple[int, int]:
    """Return a record's remaining life and its generation."""
    _, found = client.exists(key)
    return found["ttl"], found["gen"]
