"""The REST interface in both directions, down to the bytes."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kt_core.errors import InvalidInput, ProtocolError
from kt_core.wire import http
from kt_core.wire.kt_binary import NEVER_XT, XT_MAX
from kt_core.wire.kt_rest import (
    DELETED,
    NO_DATABASE,
    NO_RECORD,
    NOT_ADDED,
    NOT_IMPLEMENTED,
    NOT_REPLACED,
    Mode,
    RestReply,
    RestRequest,
    decode_path,
    decode_reply,
    decode_request,
    encode_path,
    encode_reply,
    encode_request,
    parse_header_xt,
    stored,
)
from tests.wire.feeding import check_decoding

SERVER, DATE = b"KyotoTycoon/0.9.56b", b"Sat, 21 Nov 2026 21:08:57 GMT"
ANSWER = b"Server: KyotoTycoon/0.9.56b\r\nDate: Sat, 21 Nov 2026 21:08:57 GMT\r\n"

PATHS: list[tuple[bytes, int | bytes, bytes]] = [
    (b"/", 0, b""),
    (b"/key", 0, b"key"),
    (b"/a%2fb", 0, b"a/b"),
    (b"/a%20%2b%00", 0, b"a +\0"),
    (b"/1/key", 1, b"key"),
    (b"/12/", 12, b""),
    (b"/1/a%2fb", 1, b"a/b"),
    (b"/%25/k1", b"%", b"k1"),
    (b"/casket.kct/key", b"casket.kct", b"key"),
    (b"/%72pc/key", b"rpc", b"key"),
]
OTHER_PATHS: list[tuple[bytes, int | bytes, bytes]] = [
    (b"", 0, b""),
    (b"/1/a/b", 1, b"a/b"),
    (b"/a/b", b"a", b"b"),
    (b"//a/b", 0, b"a/b"),
    (b"///a", 0, b"a"),
    (b"/1//a", 1, b"a"),
    (b"/1///a", 1, b"/a"),
    (b"/1x/a", 1, b"a"),
    (b"/a+b%2F", 0, b"a b/"),
    (b"/key?a=/b", 0, b"key"),
    (b"/?", 0, b""),
    (b"http://h/key", b"http:", b"h/key"),
]


@pytest.mark.parametrize(("path", "database", "key"), PATHS)
def test_paths(path: bytes, database: int | bytes, key: bytes) -> None:
    assert encode_path(database, key) == path
    assert decode_path(path) == (database, key)


@pytest.mark.parametrize(("path", "database", "key"), OTHER_PATHS)
def test_paths_of_others(path: bytes, database: int | bytes, key: bytes) -> None:
    assert decode_path(path) == (database, key)


@pytest.mark.parametrize(
    ("text", "xt"),
    [
        (b"1795295706", -1795295706),
        (b"0x6b0209a8", -1795295656),
        (b"Sat, 21 Nov 2026 21:16:46 GMT", -1795295806),
        (b"2026-11-21T21:18:26Z", -1795295906),
        (b"2026-11-21T21:18:26+09:00", -1795295906 + 9 * 3600),
        (b"2026/11/21 21:20:06", -1795296006),
        (b"100", -100),
        (b"2d", -172800),
        (b"1099511627774", -1099511627774),
        (b"1099511627775", NEVER_XT),
        (b"Sat, 21 Nov 1969 21:16:46 GMT", NEVER_XT),
        (b"0", NEVER_XT),
        (b"-1795295706", NEVER_XT),
        (b"", NEVER_XT),
        (b"tomorrow", NEVER_XT),
    ],
)
def test_expiries(text: bytes, xt: int) -> None:
    assert parse_header_xt(text) == xt


REQUESTS = {
    "get": (RestRequest(b"GET", 0, b"key"), b"GET /key HTTP/1.1\r\n\r\n"),
    "delete": (RestRequest(b"DELETE", 3, b""), b"DELETE /3/ HTTP/1.1\r\n\r\n"),
    "put": (RestRequest(b"PUT", 0, b"k", b"v\n"), b"PUT /k HTTP/1.1\r\nContent-Length: 2\r\n\r\nv\n"),
    "put until": (
        RestRequest(b"PUT", b"x", b"k", b"", -1795295806, "add"),
        b"PUT /x/k HTTP/1.1\r\nContent-Length: 0\r\nX-Kt-Mode: add\r\nX-Kt-Xt: Sat, 21 Nov 2026 21:16:46 GMT\r\n\r\n",
    ),
}
REPLIES = {
    "found": (RestReply(200, b"value"), b"HTTP/1.1 200 OK\r\n" + ANSWER + b"Content-Length: 5\r\n\r\nvalue"),
    "found until": (
        RestReply(200, b"v", 1795295806),
        b"HTTP/1.1 200 OK\r\n" + ANSWER + b"Content-Length: 1\r\nX-Kt-Xt: Sat, 21 Nov 2026 21:16:46 GMT\r\n\r\nv",
    ),
    "stored": (
        stored(1978, b"/a%2Fb"),
        b"HTTP/1.1 201 Created\r\n" + ANSWER + b"Content-Length: 0\r\nLocation: http://localhost:1978/a%2Fb\r\n\r\n",
    ),
    "deleted": (DELETED, b"HTTP/1.1 204 No Content\r\n" + ANSWER + b"Content-Length: 0\r\n\r\n"),
    "no record": (
        NO_RECORD,
        b"HTTP/1.1 404 Not Found\r\n"
        + ANSWER
        + b"Content-Length: 0\r\nX-Kt-Error: DB: 7: no record: no record\r\n\r\n",
    ),
    "not added": (
        NOT_ADDED,
        b"HTTP/1.1 450 Logical Inconsistency\r\n" + ANSWER + b"Content-Length: 0\r\n"
        b"X-Kt-Error: DB: 6: record duplication: record duplication\r\n\r\n",
    ),
    "not replaced": (
        NOT_REPLACED,
        b"HTTP/1.1 450 Logical Inconsistency\r\n" + ANSWER + b"Content-Length: 0\r\n"
        b"X-Kt-Error: DB: 7: no record: no record\r\n\r\n",
    ),
    "no database": (
        NO_DATABASE,
        b"HTTP/1.1 400 Bad Request\r\n" + ANSWER + b"Content-Length: 17\r\n\r\nno such database\n",
    ),
    "not implemented": (NOT_IMPLEMENTED, b"HTTP/1.1 501 Not Implemented\r\n" + ANSWER + b"Content-Length: 0\r\n\r\n"),
}
HEADS = {
    "found": (
        RestReply(200, b"value", 1795295806),
        b"HTTP/1.1 200 OK\r\n" + ANSWER + b"Content-Length: 5\r\nX-Kt-Xt: Sat, 21 Nov 2026 21:16:46 GMT\r\n\r\n",
        RestReply(200, b"", 1795295806, size=5),
    ),
    "not found": (
        RestReply(404),
        b"HTTP/1.1 404 Not Found\r\n" + ANSWER + b"Content-Length: 0\r\n\r\n",
        RestReply(404, size=0),
    ),
    "no database": (NO_DATABASE, b"HTTP/1.1 400 Bad Request\r\n" + ANSWER + b"\r\n", RestReply(400)),
}


@pytest.mark.parametrize(("request_", "wire"), REQUESTS.values(), ids=REQUESTS)
def test_requests(request_: RestRequest, wire: bytes) -> None:
    carrier = encode_request(request_)
    assert http.encode_request(carrier) == wire
    check_decoding(http.RequestDecoder, wire, carrier)
    assert decode_request(carrier) == request_


@pytest.mark.parametrize(("reply", "wire"), REPLIES.values(), ids=REPLIES)
def test_replies(reply: RestReply, wire: bytes) -> None:
    carrier = encode_reply(reply)
    assert http.encode_response(carrier, SERVER, DATE) == wire
    headers = {b"server": SERVER, b"date": DATE, **carrier.headers}
    check_decoding(http.ResponseDecoder, wire, carrier._replace(headers=headers))
    assert decode_reply(carrier) == reply


@pytest.mark.parametrize(("reply", "wire", "told"), HEADS.values(), ids=HEADS)
def test_replies_to_a_head(reply: RestReply, wire: bytes, told: RestReply) -> None:
    carrier = encode_reply(reply, head=True)
    assert http.encode_response(carrier, SERVER, DATE) == wire
    headers = {b"server": SERVER, b"date": DATE, **carrier.headers}
    check_decoding(partial(http.ResponseDecoder, head=True), wire, carrier._replace(headers=headers))
    assert decode_reply(carrier) == told
    assert encode_reply(told, head=True) == carrier


@pytest.mark.parametrize("keep_alive", [True, False])
def test_the_end_of_the_connection_is_said(keep_alive: bool) -> None:
    assert encode_reply(DELETED, keep_alive=keep_alive).keep_alive is keep_alive


@pytest.mark.parametrize(
    ("text", "mode"),
    [(b"add", "add"), (b"ADD", "add"), (b"Replace", "replace"), (b"set", "set"), (b"", "set"), (b"other", "set")],
)
def test_modes(text: bytes, mode: Mode) -> None:
    assert decode_request(http.Request(b"PUT", b"/k", {b"x-kt-mode": text})).mode == mode


@pytest.mark.parametrize("xt", [0, 100])
def test_an_expiry_from_now_is_the_callers_fault(xt: int) -> None:
    with pytest.raises(InvalidInput):
        encode_request(RestRequest(b"PUT", 0, b"k", b"", xt))


@pytest.mark.parametrize(
    "response",
    [
        http.Response(200, {b"x-kt-xt": b"soon"}, b"v"),
        http.Response(200, {}, None),
        http.Response(200, {b"content-length": b"many"}, None),
    ],
)
def test_a_malformed_reply_is_refused(response: http.Response) -> None:
    with pytest.raises(ProtocolError):
        decode_reply(response)


DATABASES = st.integers(0, 300) | st.binary(min_size=1, max_size=8).filter(lambda name: not name[:1].isdigit())
ANY_REQUEST = st.builds(
    RestRequest,
    st.just(b"PUT"),
    DATABASES,
    st.binary(max_size=12),
    st.binary(max_size=20),
    st.integers(1 - XT_MAX, -1) | st.just(NEVER_XT),
    st.sampled_from(["set", "add", "replace"]),
)


@given(ANY_REQUEST)
def test_any_request_arrives_as_it_was(request_: RestRequest) -> None:
    carrier = http.RequestDecoder().feed(http.encode_request(encode_request(request_)))
    assert isinstance(carrier, http.Request)
    assert not carrier.target.startswith(b"/rpc/")
    assert decode_request(carrier) == request_


@given(st.sampled_from([200, 400, 404]), st.binary(max_size=20), st.integers(0, XT_MAX))
def test_any_reply_arrives_as_it_was(status: int, value: bytes, xt: int) -> None:
    reply = RestReply(status, value, xt)
    carrier = http.ResponseDecoder().feed(http.encode_response(encode_reply(reply), SERVER, DATE))
    assert isinstance(carrier, http.Response)
    assert decode_reply(carrier) == reply


@given(st.binary(max_size=30), st.binary(max_size=10), st.binary(max_size=20))
def test_any_request_is_survived(target: bytes, mode: bytes, xt: bytes) -> None:
    request = decode_request(http.Request(b"PUT", target, {b"x-kt-mode": mode, b"x-kt-xt": xt}))
    assert request.mode in ("set", "add", "replace")
    assert request.xt == NEVER_XT or -XT_MAX < request.xt < 0
