"""Requests of memcached's text protocol, and those of HTTP beside them."""

from __future__ import annotations

import pytest

from kt_core.errors import ProtocolError
from kt_core.wire.exchange import NEED_DATA, Limits, TooLarge
from kt_core.wire.http import Request
from kt_core.wire.memcached import TextDecoder, Words, WordsDecoder
from tests.wire.feeding import check_decoding

MESSAGES = [
    (b"get k\r\n", Words((b"get", b"k"))),
    (b"get  k\n", Words((b"get", b"k"))),
    (b"\r\n", Words(())),
    (b"set k 0 0 3\r\na\nb\r\n", Words((b"set", b"k", b"0", b"0", b"3"), b"a\nb")),
    (b"add k 0 0 0 noreply\r\n\r\n", Words((b"add", b"k", b"0", b"0", b"0", b"noreply"), b"")),
    (b"prepend k 0 0 -1\r\n\r\n", Words((b"prepend", b"k", b"0", b"0", b"-1"), b"")),
    (b"set k 0 0\r\n", Words((b"set", b"k", b"0", b"0"))),
    (b"GET k\r\n", Words((b"GET", b"k"))),
    (b"GET /k HTTP/1.1\r\n\r\n", Request(b"GET", b"/k")),
    (b"PUT /k HTTP/1.1\r\nContent-Length: 2\r\n\r\nab", Request(b"PUT", b"/k", {}, b"ab")),
]


@pytest.mark.parametrize(("data", "message"), MESSAGES)
def test_a_request_is_decoded_however_it_arrives(data: bytes, message: object) -> None:
    check_decoding(TextDecoder, data, message, trailing=b"get other\r\n")


def test_requests_follow_each_other() -> None:
    decoder = TextDecoder()
    found = [decoder.feed(b"".join(data for data, _ in MESSAGES)), *(decoder.feed(b"") for _ in MESSAGES)]
    assert found == [*(message for _, message in MESSAGES), NEED_DATA]


@pytest.mark.parametrize("data", [b"set k 0 0 1\r\nab\r\n", b"set k 0 0 1\r\na\n\n", b"x" * 8192])
def test_what_is_no_request_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        TextDecoder().feed(data)


def test_what_is_too_large_is_refused_before_it_is_kept() -> None:
    decoder = TextDecoder(Limits(value=10))
    assert decoder.feed(b"set k 0 0 10\r\n") is NEED_DATA
    with pytest.raises(TooLarge):
        TextDecoder(Limits(value=10)).feed(b"set k 0 0 11\r\n")


WORDS = [
    (b"get k\r\n", Words((b"get", b"k"))),
    (b" \tget\x01k \x1f\n", Words((b"get", b"k"))),
    (b"get k HTTP/1.1\r\n", Words((b"get", b"k", b"HTTP/1.1"))),
    (b"set k 0 0 3\r\na\nb\r\n", Words((b"set", b"k", b"0", b"0", b"3"), b"a\nb")),
    (b"set k 0 0 2\nab\n", Words((b"set", b"k", b"0", b"0", b"2"), b"ab")),
    (b"cas k 0 0 1 7\r\na\r\n", Words((b"cas", b"k", b"0", b"0", b"1", b"7"), b"a")),
    (b"set k 0 0\r\n", Words((b"set", b"k", b"0", b"0"))),
]


@pytest.mark.parametrize(("data", "message"), WORDS)
def test_a_request_of_words_is_decoded_however_it_arrives(data: bytes, message: object) -> None:
    check_decoding(WordsDecoder, data, message, trailing=b"get other\r\n")


@pytest.mark.parametrize(
    "data", [b"set k 0 0 1\r\nab\r\n", b"set k 0 0 1\r\na\r ", b"set k 0 0 -1\r\n\r\n", b"x" * 8192]
)
def test_what_is_no_request_of_words_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        WordsDecoder().feed(data)
