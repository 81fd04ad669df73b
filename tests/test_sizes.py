"""Sizes as people write and read them."""

from __future__ import annotations

import pytest

from kt_core.errors import Misconfigured
from kt_core.sizes import in_bytes, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (1048576, 1 << 20),
        ("1048576", 1 << 20),
        ("64k", 64 << 10),
        ("64K", 64 << 10),
        ("64kb", 64 << 10),
        ("64 KiB", 64 << 10),
        ("256MiB", 256 << 20),
        (" 256 mib ", 256 << 20),
        ("1.5 GB", 3 << 29),
        ("2T", 2 << 40),
        ("100B", 100),
        ("0", 0),
    ],
)
def test_a_size_has_a_unit(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "m", "1x", "1,5g", "1e6", "0x10", "1 2", "1kk", b"1k", [], 1.0, False])
def test_what_is_no_size_is_refused(text: object) -> None:
    with pytest.raises(Misconfigured, match="is not a size: write bytes"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (20_000, "20 KiB"), (256 << 20, "256 MiB"), (3 << 40, "3.0 TiB")],
)
def test_sizes_have_units(size: int, shown: str) -> None:
    assert in_bytes(size) == shown
