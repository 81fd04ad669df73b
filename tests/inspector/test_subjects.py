"""What a reader is told about a cache's options."""

from __future__ import annotations

from typing import Any

from kt_cache.inspector import describe
from kt_cache.options import Options


def described(location: str, **options: Any) -> dict[str, str]:
    return describe(Options.parse(location, options, default_name="x"))


def test_every_option_is_told() -> None:
    told = described("embedded://place", max_size="64MiB", compression="zlib", sign=True, accept=["json", "raw"])
    assert told["place"] == "place"
    assert told["max size"] == "64.0 MiB"
    assert told["compression"] == "zlib"
    assert told["sign"] == "yes"
    assert told["accept"] == "json, raw"
    assert told["compress level"] == "the default"
    assert "store" not in told


def test_servers_are_told() -> None:
    told = described("kt://one:1978/3", on_error="miss", timeout=0.5)
    assert told["servers"] == "one:1978"
    assert told["database"] == "3"
    assert told["timeout"] == "500 ms"
    assert told["on error"] == "miss"
    assert told["replicas"] == "none"


class Sealed:
    """A serializer that holds what nobody is to see."""

    def __init__(self) -> None:
        self.key = "swordfish"

    def __repr__(self) -> str:
        return f"Sealed({self.key})"

    def dumps(self, value: object) -> bytes:
        return b""

    def loads(self, data: bytes) -> object:
        return None


def test_of_a_serializer_only_the_type_is_told() -> None:
    assert described("embedded://place", serializer=Sealed())["serializer"] == f"{__name__}.Sealed"
    assert described("embedded://place", serializer=Sealed)["serializer"] == f"{__name__}.Sealed"
    assert described("embedded://place", serializer="json")["serializer"] == "json"
