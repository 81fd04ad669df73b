"""Tab-separated values and their column encodings, in both directions and with the original server's oddities."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kt_core.errors import ProtocolError
from kt_core.wire.columns import DECODE, DECODE_STRICTLY, ENCODE, Encoding, decode_url, encode_url
from kt_core.wire.tsv import Row, choose_encoding, decode_reply, decode_request, encode, encode_sorted

BODIES: list[tuple[Encoding, list[Row], bytes]] = [
    ("", [], b""),
    ("", [(b"value", b"value"), (b"xt", b"1795295436")], b"value\tvalue\nxt\t1795295436\n"),
    ("", [(b"", b"")], b"\t\n"),
    ("", [(b"k", "schön \xff".encode())], b"k\tsch\xc3\xb6n \xc3\xbf\n"),
    ("B", [(b"key", b"key")], b"a2V5\ta2V5\n"),
    ("B", [(b"DB", b"0"), (b"", b"\x00\xff\n")], b"REI=\tMA==\n\tAP8K\n"),
    ("U", [(b"a b", b"\t\n%!*'()+~")], b"a%20b\t%09%0a%25%21%2a%27%28%29%2b~\n"),
    ("Q", [(b"a=b c", b"\xe4\n")], b"a=3Db c\t=E4=0A\n"),
]


@pytest.mark.parametrize(("encoding", "rows", "body"), BODIES)
def test_bodies(encoding: Encoding, rows: list[Row], body: bytes) -> None:
    assert encode(rows, encoding) == body
    assert decode_reply(body, encoding) == rows
    assert decode_request(body, encoding) == rows


ODD_BODIES: list[tuple[Encoding, bytes, list[Row]]] = [
    ("B", b"a2V5\ta2V5", [(b"key", b"key")]),
    ("", b"a\t1\r\nb\t2\r\n", [(b"a", b"1"), (b"b", b"2")]),
    ("", b"a\t1\rb\t2\n", [(b"a", b"1\rb\t2")]),
    ("", b"nothing\na\t1\n\n\nnothing", [(b"a", b"1")]),
    ("", b"a\t1\t2\n", [(b"a", b"1\t2")]),
    ("", b"a\t1\na\t2", [(b"a", b"1"), (b"a", b"2")]),
]


@pytest.mark.parametrize(("encoding", "body", "rows"), ODD_BODIES)
def test_requests_are_read_as_the_original_reads_them(encoding: Encoding, body: bytes, rows: list[Row]) -> None:
    assert decode_request(body, encoding) == rows


ODD_COLUMNS: list[tuple[Encoding, bytes, bytes]] = [
    ("B", b"Yg==", b"b"),
    ("B", b"Yg", b"\x00\x06\x20"),
    ("B", b"Y", b"\x00\x00\x18"),
    ("B", b"Y!g =\xff=", b"b"),
    ("B", b"a2V5a2V5Yg==a2V5", b"keykeyb"),
    ("B", b"a2V5Yg", b"key\x00\x06\x20"),
    ("B", b"Yg=", b"\x01\x88"),
    ("B", b"=", b"\x00\x00"),
    ("B", b"====", b""),
    ("B", b"Y===", b""),
    ("B", b"\xff!", b""),
    ("U", b"a+b", b"a b"),
    ("U", b"a b\tc\x7f\x00d", b"abcd"),
    ("U", b"%4g%g1%zz", b"\x40\x01\x00"),
    ("U", b"%4A%4a", b"JJ"),
    ("U", b"a%", b"a"),
    ("U", b"a%4", b"a"),
    ("U", b"\xff%\n1", b"\xff\x01"),
    ("Q", b"a=3D=3d", b"a=="),
    ("Q", b"a=\rb", b"ab"),
    ("Q", b"a\x01\x7f b", b"a b"),
    ("Q", b"a=", b"a"),
    ("Q", b"a=4", b"a"),
    ("Q", b"=zz", b"\x00"),
]


@pytest.mark.parametrize(("encoding", "text", "data"), ODD_COLUMNS)
def test_columns_are_read_as_the_original_reads_them(encoding: Encoding, text: bytes, data: bytes) -> None:
    assert DECODE[encoding](text) == data


BAD_REPLIES: list[tuple[Encoding, bytes]] = [
    ("", b"a\t1"),
    ("", b"a\t1\nb\n"),
    ("", b"\n"),
    ("B", b"Yg\tYg==\n"),
    ("B", b"Yg==\tY!g==\n"),
    ("B", b"Yg==\tYg==Yg==\n"),
    ("U", b"a\t%4\n"),
    ("U", b"a\t%zz\n"),
    ("U", b"a b\t\n"),
    ("U", b"a\t1\r\n"),
    ("Q", b"a\t=\n"),
    ("Q", b"a\x01\t\n"),
]


@pytest.mark.parametrize(("encoding", "body"), BAD_REPLIES)
def test_replies_have_to_be_right(encoding: Encoding, body: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_reply(body, encoding)


CHOICES: list[tuple[Encoding, list[Row]]] = [
    ("", []),
    ("", [(b"name", b"value")]),
    ("", [(b"n", "ünï\xff".encode() + b"\xff\xfe")]),
    ("", [(b"n", b"x" * 255)]),
    ("U", [(b"n", b"x" * 256)]),
    ("U", [(b"n", b"z" * 100_000)]),
    ("B", [(b"n", b"\xff" * 256)]),
    ("U", [(b"n", b"\x00")]),
    ("B", [(b"n", b"\x00\x01\x02\x03\x04\x05\x06\x07")]),
    ("U", [(b"a\tb", b"c")]),
    ("U", [(b"\x7f", b"")]),
    # 6 of base64 for name and value, and the value's own: 3 * 2 cheap or not decides.
    ("U", [(b"", b"\n!")]),
    ("U", [(b"", b"\n\xff")]),
    ("B", [(b"", b"\n\xff\xff\xff\xff")]),
    # The bytes behind the 255th decide nothing.
    ("U", [(b"", b"z" * 255 + b"\xff" * 1000)]),
]


@pytest.mark.parametrize(("encoding", "rows"), CHOICES)
def test_the_choice_is_the_original_servers(encoding: Encoding, rows: list[Row]) -> None:
    assert choose_encoding(rows) == encoding


def test_a_cost_that_is_equal_is_not_less() -> None:
    # base64: 3 + (3 + 9); percent-encoding: 5 * 3 escaped and one free, or four and three free.
    assert choose_encoding([(b"", b"\n" * 4 + b"abc")]) == "U"
    assert 3 + 7 * 6 // 4 + 3 == 16 > 4 * 3 + 3
    assert choose_encoding([(b"", b"\n" * 4 + b"abc" + b"\n")]) == "U"
    assert 3 + 8 * 6 // 4 + 3 == 18 == 5 * 3 + 3


def test_the_lines_of_a_reply_are_sorted_once_encoded() -> None:
    rows = [(b"b", b"2"), (b"\xff", b"3"), (b"a", b"1")]
    assert encode_sorted(rows, "") == b"a\t1\nb\t2\n\xff\t3\n"
    assert encode_sorted(rows, "U") == b"%ff\t3\na\t1\nb\t2\n"
    assert encode_sorted([(b"\x00", b""), (b"\xff", b""), (b"\x80", b"")], "B") == b"/w==\t\nAA==\t\ngA==\t\n"


ROWS = st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=300)), max_size=4)
ENCODED: st.SearchStrategy[Encoding] = st.sampled_from(["B", "Q", "U"])


@given(ROWS, ENCODED)
def test_any_rows_arrive_as_they_were(rows: list[Row], encoding: Encoding) -> None:
    body = encode(rows, encoding)
    assert decode_reply(body, encoding) == rows
    assert decode_request(body, encoding) == rows


@given(ROWS)
def test_any_rows_arrive_in_the_encoding_chosen(rows: list[Row]) -> None:
    encoding = choose_encoding(rows)
    assert sorted(decode_reply(encode_sorted(rows, encoding), encoding)) == sorted(rows)


@given(st.binary(), ENCODED)
def test_strictly_or_not_right_columns_are_read_alike(data: bytes, encoding: Encoding) -> None:
    text = ENCODE[encoding](data)
    assert DECODE[encoding](text) == DECODE_STRICTLY[encoding](text) == data


@given(st.binary())
def test_a_percent_encoding_needs_nothing_else(data: bytes) -> None:
    assert decode_url(encode_url(data)) == data
    assert encode_url(encode_url(data)).count(b"%") == encode_url(encode_url(data)).count(b"%25")


LIKELY = st.lists(st.sampled_from([*map(bytes, b"aZ09+/=%\t\n\r"), b"=", b"%4", b"Yg"]) | st.binary(max_size=4))


@given(LIKELY.map(b"".join), st.sampled_from(["", "B", "Q", "U"]))
def test_any_body_is_survived(body: bytes, encoding: Encoding) -> None:
    decode_request(body, encoding)
    try:
        rows = decode_reply(body, encoding)
    except ProtocolError:
        return
    assert rows == decode_request(body, encoding)
