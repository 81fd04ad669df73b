"""How bytes and times are written on a command line."""

from __future__ import annotations

import pytest

from kt_core.commands.forms import in_time, parse_duration, read_bytes, seconds_left, to_json
from kt_core.database import NEVER
from kt_core.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "escaped", "data"),
    [
        ("ä", False, "ä".encode()),
        ("\udcff", False, b"\xff"),
        (r"\x00", False, rb"\x00"),
        (r"\x00\xFF\n\r\t\\n", True, b"\x00\xff\n\r\t\\n"),
    ],
)
def test_an_argument_is_bytes(text: str, escaped: bool, data: bytes) -> None:
    assert read_bytes(text, escaped) == data


@pytest.mark.parametrize("text", ["\\", r"\x0", r"\q", r"\xgg"])
def test_what_is_no_escape_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is no escape: write"):
        read_bytes(text, True)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("0.5", 0.5), ("15m", 900), ("1.5h", 5400), ("7d", 604800), ("2w", 1209600)]
)
def test_a_time_has_a_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "1x", "-1", "1e3", "inf", "1 m"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "never"), (0.25, "0.25 s"), (90, "90 s"), (150, "2.5 min"), (7200, "2.0 h"), (200_000, "2.3 d")],
)
def test_a_time_is_shown_in_a_unit(seconds: float | None, text: str) -> None:
    assert in_time(seconds) == text


def test_bytes_are_text_in_json_or_base64() -> None:
    assert to_json("key", "ä".encode()) == {"key": "ä"}
    assert to_json("key", b"\xff") == {"key_base64": "/w=="}


def test_what_is_left_of_a_record() -> None:
    assert seconds_left(NEVER, 10) is None
    assert seconds_left(12_345, 10) == 2.345
