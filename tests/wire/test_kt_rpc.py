"""Calls and replies in both directions, down to the bytes, and what a server understands besides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kt_core.errors import ProtocolError
from kt_core.wire import http
from kt_core.wire.exchange import Limits, TooLarge
from kt_core.wire.kt_rpc import (
    IDEMPOTENT,
    Failure,
    RpcReply,
    RpcReplyDecoder,
    RpcRequest,
    decode_reply,
    decode_request,
    encode_reply,
    encode_request,
    not_implemented,
    parse_database,
    rpc_op,
    script_failed,
)
from tests.wire.feeding import check_decoding, check_survives, typed

SERVER, DATE = b"KyotoTycoon/0.9.56b", b"Sat, 21 Nov 2026 21:08:57 GMT"
ANSWER = b"Server: KyotoTycoon/0.9.56b\r\nDate: Sat, 21 Nov 2026 21:08:57 GMT\r\n"
TSV = b"text/tab-separated-values"


def post(procedure: bytes, body: bytes, colenc: bytes = b"") -> bytes:
    """Return the bytes of a call."""
    head = b"POST /rpc/%b HTTP/1.1\r\nContent-Length: %d\r\nContent-Type: text/tab-separated-values%b\r\n\r\n"
    return head % (procedure, len(body), colenc) + body


def answer(status: bytes, body: bytes, colenc: bytes = b"") -> bytes:
    """Return the bytes of a reply."""
    head = b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\nContent-Type: text/tab-separated-values%b\r\n\r\n"
    return head % (status, ANSWER, len(body), colenc) + body


REQUESTS = {
    "captured": (RpcRequest("get", {b"key": b"a\nb"}), post(b"get", b"a2V5\tYQpi\n", b"; colenc=B")),
    "raw": (RpcRequest("get", {b"DB": b"1", b"key": b"\xff b"}), post(b"get", b"DB\t1\nkey\t\xff b\n")),
    "nothing": (RpcRequest("void"), post(b"void", b"")),
    "flag": (RpcRequest("get_bulk", {b"_": b"", b"atomic": b""}), post(b"get_bulk", b"_\t\natomic\t\n")),
    "tab in a name": (RpcRequest("echo", {b"a\tb": b""}), post(b"echo", b"YQli\t\n", b"; colenc=B")),
    "return at the end": (RpcRequest("echo", {b"a": b"\r"}), post(b"echo", b"YQ==\tDQ==\n", b"; colenc=B")),
    "odd name": (RpcRequest("a b/\u00e4"), post(b"a%20b%2f%c3%a4", b"")),
}
REPLIES = {
    "captured": (
        RpcReply(200, {b"value": b"value", b"xt": b"1795295436"}),
        answer(b"200 OK", b"value\tvalue\nxt\t1795295436\n"),
    ),
    "nothing": (RpcReply(), answer(b"200 OK", b"")),
    "sorted": (RpcReply(200, {b"b": b"2", b"a": b"1"}), answer(b"200 OK", b"a\t1\nb\t2\n")),
    "base64": (
        RpcReply(200, {b"value": b"\0\1\2\3\4\5\6\7"}),
        answer(b"200 OK", b"dmFsdWU=\tAAECAwQFBgc=\n", b"; colenc=B"),
    ),
    "escapes": (RpcReply(200, {b"value": b"\n"}), answer(b"200 OK", b"value\t%0a\n", b"; colenc=U")),
    "failure": (
        Failure.NO_RECORD.reply,
        answer(b"450 Logical Inconsistency", b"ERROR\tDB: 7: no record: no record\n"),
    ),
    "timed out": (Failure.TIMED_OUT.reply, answer(b"503 Service Unavailable", b"ERROR\tthe condition timed out\n")),
    "unknown": (not_implemented("nop"), answer(b"501 Not Implemented", b"ERROR\tnot implemented: nop\n")),
}


@pytest.mark.parametrize(("call", "wire"), REQUESTS.values(), ids=REQUESTS)
def test_requests(call: RpcRequest, wire: bytes) -> None:
    request = encode_request(call)
    assert http.encode_request(request) == wire
    check_decoding(http.RequestDecoder, wire, request)
    assert decode_request(request) == call
    assert rpc_op(call.procedure, call.parameters, typed).payload == wire


@pytest.mark.parametrize(("reply", "wire"), REPLIES.values(), ids=REPLIES)
def test_replies(reply: RpcReply, wire: bytes) -> None:
    assert http.encode_response(encode_reply(reply), SERVER, DATE) == wire
    check_decoding(RpcReplyDecoder, wire, reply)


def test_a_head_is_answered_by_the_headers() -> None:
    response = encode_reply(RpcReply(200, {b"num": b"1"}), head=True)
    wire = b"HTTP/1.1 200 OK\r\n" + ANSWER + b"Content-Type: text/tab-separated-values\r\n\r\n"
    assert http.encode_response(response, SERVER, DATE) == wire
    decoded = http.ResponseDecoder(head=True).feed(wire)
    assert isinstance(decoded, http.Response)
    assert decode_reply(decoded) == RpcReply(200)


@pytest.mark.parametrize("keep_alive", [True, False])
def test_the_end_of_the_connection_is_announced(keep_alive: bool) -> None:
    decoder = RpcReplyDecoder()
    decoder.feed(http.encode_response(encode_reply(RpcReply(), keep_alive=keep_alive), SERVER, DATE))
    assert decoder.closing is not keep_alive


@pytest.mark.parametrize(
    "body", [b"REI=\tMA==\na2V5\ta2V5", b"REI=\tMA==\r\na2V5\ta2V5\r\n"], ids=["last line without end", "returns"]
)
@pytest.mark.parametrize(
    "parameter", [b"; colenc=B", b";colenc=b", b'; colenc="B"', b"; charset=x; colenc=B", b"; Colenc = B; a=b"]
)
def test_calls_of_other_clients(body: bytes, parameter: bytes) -> None:
    request = http.Request(b"POST", b"/rpc/get", {b"content-type": b"Text/Tab-Separated-Values" + parameter}, body)
    assert decode_request(request) == RpcRequest("get", {b"DB": b"0", b"key": b"key"})


@pytest.mark.parametrize("parameter", [b"", b"; colenc=X", b"; colenc=BB", b"; colenc=", b"; xcolenc=B"])
def test_another_encoding_is_none(parameter: bytes) -> None:
    request = http.Request(b"POST", b"/rpc/get", {b"content-type": TSV + parameter}, b"YQ==\tYg==\n")
    assert decode_request(request) == RpcRequest("get", {b"YQ==": b"Yg=="})


FORM = b"application/x-www-form-urlencoded; charset=utf-8"
TARGETS = [
    (b"/rpc/get?key=a+b%21&DB=1", b"", b"", {b"key": b"a b!", b"DB": b"1"}),
    (b"/rpc/get?key=a;key=b&&=c;atomic", b"", b"", {b"key": b"b", b"": b"c", b"atomic": b""}),
    (b"/rpc/get?key=a=b?c", b"", b"", {b"key": b"a=b?c"}),
    (b"/rpc/get?key=a&x=1", FORM, b"key=b&y=%32", {b"key": b"b", b"x": b"1", b"y": b"2"}),
    (b"/rpc/get?key=a", TSV, b"key\tb\n", {b"key": b"b"}),
    (b"/rpc/get?key=a", b"", b"key\tb\n", {b"key": b"a"}),
    (b"/rpc/get?key=a", b"text/plain", b"key=b", {b"key": b"a"}),
    (b"/rpc/%67et", b"", b"", {}),
]


@pytest.mark.parametrize(("target", "content_type", "body", "parameters"), TARGETS)
@pytest.mark.parametrize("method", [b"POST", b"PUT", b"GET", b"DELETE", b"HEAD", b"ODD"])
def test_parameters_come_from_the_query_and_the_body(
    method: bytes, target: bytes, content_type: bytes, body: bytes, parameters: dict[bytes, bytes]
) -> None:
    request = http.Request(method, target, {b"content-type": content_type}, body)
    assert decode_request(request) == RpcRequest("get", parameters)


@pytest.mark.parametrize(
    "target", [b"/", b"/rpc", b"/RPC/get", b"/rpc?x", b"http://h/rpc/get", b"/1/rpc/get", b"//rpc/"]
)
def test_other_paths_are_no_calls(target: bytes) -> None:
    assert decode_request(http.Request(b"POST", target)) is None


@pytest.mark.parametrize(
    "request_",
    [
        http.Request(b"GET", b"/rpc/echo?a=1&b=2;c=3&d=4"),
        http.Request(b"POST", b"/rpc/echo", {b"content-type": FORM}, b"&" * 4),
        http.Request(b"POST", b"/rpc/echo", {b"content-type": TSV}, b"\n" * 4),
    ],
)
def test_too_many_parameters_are_refused(request_: http.Request) -> None:
    assert decode_request(request_) is not None
    with pytest.raises(TooLarge):
        decode_request(request_, Limits(records=2))


@pytest.mark.parametrize(
    ("text", "database"),
    [(b"", 0), (b"0", 0), (b"12", 12), (b"1x", 1), (b"casket.kct", b"casket.kct"), (b"%", b"%"), (b"-1", b"-1")],
)
def test_databases(text: bytes, database: int | bytes) -> None:
    assert parse_database(text) == database
    assert RpcRequest("get", {b"DB": text}).database == database


def test_the_first_database_is_meant_if_none_is_named() -> None:
    assert RpcRequest("get").database == 0


@pytest.mark.parametrize(("text", "cursor"), [(b"0", 0), (b"7", 7), (b"x", 0), (b"", 0), (b"-1", None)])
def test_cursors(text: bytes, cursor: int | None) -> None:
    assert RpcRequest("cur_get", {b"CUR": text}).cursor == cursor


def test_no_cursor_is_meant_if_none_is_named() -> None:
    assert RpcRequest("cur_get").cursor is None


@pytest.mark.parametrize("failure", Failure, ids=lambda failure: failure.name)
def test_every_failure_can_be_sent(failure: Failure) -> None:
    wire = http.encode_response(encode_reply(failure.reply), SERVER, DATE)
    assert RpcReplyDecoder().feed(wire) == failure.reply
    assert failure.reply.error == failure.text.decode()


@pytest.mark.parametrize(("code", "status"), [(1, 501), (2, 400), (3, 450), (4, 503), (5, 500), (-1, 500)])
def test_what_a_script_returns_is_the_status(code: int, status: int) -> None:
    assert script_failed(code) == RpcReply(status, {b"ERROR": b"the scripting procedure failed"})


def test_a_success_has_no_error() -> None:
    assert RpcReply(200, {b"value": b"x"}).error == ""


@pytest.mark.parametrize("headers", [{}, {b"content-type": b"text/html"}])
def test_a_success_of_another_type_is_no_reply(headers: dict[bytes, bytes]) -> None:
    with pytest.raises(ProtocolError):
        decode_reply(http.Response(200, headers, b"<html>"))


def test_a_failure_of_another_type_is_its_text() -> None:
    response = http.Response(413, {b"content-type": b"text/plain"}, b"413 Request Entity Too Large\n")
    assert decode_reply(response).error == "413 Request Entity Too Large"


@pytest.mark.parametrize("body", [b"a\t1", b"a\n", b"a\tb\n"])
def test_a_malformed_reply_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_reply(http.Response(200, {b"content-type": TSV + b"; colenc=B"}, body))


def test_only_what_changes_nothing_when_repeated_may_be_repeated() -> None:
    assert {"add", "append", "cas", "increment", "increment_double", "remove", "seize"}.isdisjoint(IDEMPOTENT)
    assert not any(procedure.startswith("cur_") for procedure in IDEMPOTENT)
    assert rpc_op("get", {b"key": b"k"}, typed).idempotent
    assert not rpc_op("get", {b"key": b"k", b"SIGNAL": b"s"}, typed).idempotent
    assert not rpc_op("get", {b"key": b"k", b"WAIT": b"s"}, typed).idempotent
    assert not rpc_op("add", {}, typed).idempotent


def test_every_exchange_has_its_own_decoder() -> None:
    assert rpc_op("void", {}, typed).decoder is not rpc_op("void", {}, typed).decoder


COLUMNS = st.binary(max_size=20) | st.binary(min_size=250, max_size=260)
VALUES = st.dictionaries(COLUMNS, COLUMNS, max_size=4)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), VALUES)
def test_any_call_arrives_as_it_was(procedure: str, parameters: dict[bytes, bytes]) -> None:
    request = http.RequestDecoder().feed(rpc_op(procedure, parameters, typed).payload)
    assert isinstance(request, http.Request)
    assert decode_request(request) == RpcRequest(procedure, parameters)


@given(st.sampled_from([200, 400, 450, 500, 501, 503]), VALUES)
def test_any_reply_arrives_as_it_was(status: int, values: dict[bytes, bytes]) -> None:
    wire = http.encode_response(encode_reply(RpcReply(status, values)), SERVER, DATE)
    assert RpcReplyDecoder().feed(wire) == RpcReply(status, values)


TYPES = st.sampled_from([b"", TSV, TSV + b"; colenc=B", TSV + b"; colenc=U", TSV + b"; colenc=Q", FORM])


@given(st.binary(max_size=20), TYPES, st.binary(max_size=60))
def test_any_call_and_any_reply_is_survived(path: bytes, content_type: bytes, body: bytes) -> None:
    decode_request(http.Request(b"POST", b"/rpc/" + path, {b"content-type": content_type}, body))
    response = http.Response(450, {b"content-type": content_type}, body)
    check_survives(RpcReplyDecoder(), [http.encode_response(response, SERVER, DATE)])
