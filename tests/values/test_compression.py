"""Compressors: exact, strict about damage, bounded against bombs, clear about missing packages."""

from __future__ import annotations

import re

import pytest

from kt_cache.compression import COMPRESSIONS
from kt_cache.values import Codec, Unreadable
from kt_core.errors import Misconfigured

from . import INSTALLED, MISSING

PAGE = b"<li>kt-cache</li>\n" * 500


def test_numbers_are_those_of_the_stored_format() -> None:
    assert {name: one.id for name, one in COMPRESSIONS.items()} == {
        "zlib": 1,
        "lzma": 2,
        "bz2": 3,
        "lz4": 4,
        "zstd": 5,
        "brotli": 6,
    }


@pytest.mark.parametrize("name", INSTALLED)
class TestInstalled:
    @pytest.mark.parametrize("data", [b"a", PAGE, bytes(range(256))])
    @pytest.mark.parametrize("level", [None, 1, 9])
    def test_round_trip(self, name: str, data: bytes, level: int | None) -> None:
        one = COMPRESSIONS[name]
        assert one.decompress(one.compress(data, level)) == data

    def test_shrinks(self, name: str) -> None:
        assert len(COMPRESSIONS[name].compress(PAGE)) < len(PAGE) // 10

    def test_damage_raises(self, name: str) -> None:
        one = COMPRESSIONS[name]
        packed = one.compress(PAGE)
        for damaged in (b"", b"\xff" * 20, packed[:1], packed[: len(packed) // 2], packed[:-1], packed + b"x"):
            with pytest.raises(Unreadable, match=f"compressed with {name}"):
                Codec().loads(bytes((one.id << 1,)) + damaged, b"key")

    def test_limit(self, name: str) -> None:
        one = COMPRESSIONS[name]
        packed = one.compress(PAGE)
        assert one.decompress(packed, len(PAGE)) == PAGE
        for limit in (len(PAGE) - 1, 10):
            with pytest.raises(ValueError, match=f"more than {limit} bytes"):
                one.decompress(packed, limit)


@pytest.mark.parametrize("name", [*MISSING, "made up"])
def test_missing_package_says_what_to_install(name: str) -> None:
    made_up = COMPRESSIONS["zlib"]._replace(module="kt_cache_no_such_module", advice="use nothing")
    one = COMPRESSIONS.get(name, made_up)
    for use in (one.compress, one.decompress):
        with pytest.raises(Misconfigured, match=re.escape(one.advice)):
            use(b"data")
