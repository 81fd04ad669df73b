"""Keys, sizes and times as people read them."""

from __future__ import annotations

import math

import pytest

from kt_cache.inspector.wording import count_text, key_markup, percent, readable, size_text, time_text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1,023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (200 << 10, "200 KiB"),
        (5 << 20, "5.0 MiB"),
        (3 << 30, "3.0 GiB"),
        (9000 << 40, "9,000 TiB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (math.inf, "for ever"),
        (0.25, "250 ms"),
        (1, "1 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3725, "1 h 2 min"),
        (86400, "1 d"),
        (90000 + 60, "1 d 1 h"),
        (86400 + 60, "1 d"),
        (4e8, "4,629 d 15 h"),
    ],
)
def test_times(seconds: float, text: str) -> None:
    assert time_text(seconds) == text


def test_shares() -> None:
    assert percent(0.9345) == "93.5 %"
    assert percent(None) == "\N{EN DASH}"


def test_counts() -> None:
    assert count_text(1, "key") == "1 key"
    assert count_text(1200, "key") == "1,200 keys"
    assert count_text(2, "prefix", "prefixes") == "2 prefixes"


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (b"plain:1", "plain:1"),
        ("ünï 漢".encode(), "ünï 漢"),
        (b"\x00\n\x1b\x7f", "\\x00\\n\\x1b\\x7f"),
        (b"\xff\xfe a", "\\xff\\xfe a"),
        (b"back\\x00", "back\\\\x00"),
        ("\u202egnp.exe".encode(), "\\u202egnp.exe"),
        ("\U000e0001".encode(), "\\U000e0001"),
        (b"\xed\xb2\x80", "\\xed\\xb2\\x80"),
    ],
)
def test_keys_are_readable(key: bytes, text: str) -> None:
    assert readable(key) == text
    assert "\n" not in readable(key)


def test_different_keys_read_differently() -> None:
    keys = [b"\x00", b"\\x00", b"\\\\x00", b"\\\x00", b"\xff", "\xff".encode(), b"\\xff"]
    assert len({readable(key) for key in keys}) == len(keys)


def test_what_is_escaped_is_set_apart() -> None:
    assert key_markup(b"a\x00b") == 'a<span class="odd">\\x00</span>b'
    assert key_markup(b"a\\x00b") == "a\\\\x00b"
    assert key_markup(b"\\\x00") == '\\\\<span class="odd">\\x00</span>'


def test_the_empty_key_is_named() -> None:
    assert "empty key" in key_markup(b"")


def test_markup_in_a_key_is_text() -> None:
    assert key_markup(b"<script>") == "&lt;script&gt;"


def test_a_long_key_is_cut() -> None:
    shown = key_markup(b"k" * 10_000, 20)
    assert shown.startswith("k" * 20 + "<span")
    assert "9.8 KiB" in shown
    assert len(shown) < 100
