"""Text on a server, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kt_core.errors import InvalidInput
from kt_core.text import decode_text, encode_text


@given(st.text())
def test_text_comes_back(text: str) -> None:
    assert decode_text(encode_text(text)) == text


@pytest.mark.parametrize("data", [b"\xff", b"a\xc3", b"\xed\xa0\x80"])
def test_other_bytes_stay_as_they_are(data: bytes) -> None:
    assert decode_text(data) is data


def test_half_a_character_is_no_text() -> None:
    with pytest.raises(InvalidInput, match="not a text that UTF-8 can hold"):
        encode_text("a\ud800")
