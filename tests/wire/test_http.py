"""HTTP as Kyoto Tycoon speaks it: every message in both directions, whole and in pieces, and what is refused."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kt_core.errors import InvalidInput, ProtocolError
from kt_core.wire.exchange import NEED_DATA, REQUEST_LIMITS, Limits, TooLarge
from kt_core.wire.http import (
    REASONS,
    TOO_LARGE_RESPONSE,
    Request,
    RequestDecoder,
    Response,
    ResponseDecoder,
    encode_request,
    encode_response,
)
from tests.wire.feeding import (
    CountingBuffer,
    check_decoding,
    check_needs_more,
    check_refused,
    check_survives,
    feed_pieces,
)

SERVER, DATE = b"KyotoTycoon/0.9.56b", b"Sat, 21 Nov 2026 21:08:57 GMT"
TSV = b"text/tab-separated-values"
ANSWER = b"Server: KyotoTycoon/0.9.56b\r\nDate: Sat, 21 Nov 2026 21:08:57 GMT\r\n"
ANSWERED = {b"server": SERVER, b"date": DATE}


# --- Requests

REQUESTS = {
    "captured": (
        Request(b"POST", b"/rpc/get", {b"content-type": TSV + b"; colenc=B"}, b"a2V5\ta2V5\n"),
        b"POST /rpc/get HTTP/1.1\r\nContent-Length: 10\r\nContent-Type: text/tab-separated-values; colenc=B\r\n\r\n"
        b"a2V5\ta2V5\n",
    ),
    "nothing to say": (Request(b"POST", b"/rpc/void"), b"POST /rpc/void HTTP/1.1\r\nContent-Length: 0\r\n\r\n"),
    "get": (Request(b"GET", b"/key?x=1"), b"GET /key?x=1 HTTP/1.1\r\n\r\n"),
    "get and close": (
        Request(b"GET", b"/", {b"host": b"h"}, keep_alive=False),
        b"GET / HTTP/1.1\r\nConnection: close\r\nHost: h\r\n\r\n",
    ),
    "put": (
        Request(b"PUT", b"/1/a", {b"x-kt-mode": b"add", b"x-kt-xt": b"1"}, b"\0\r\n\r\n"),
        b"PUT /1/a HTTP/1.1\r\nContent-Length: 5\r\nX-Kt-Mode: add\r\nX-Kt-Xt: 1\r\n\r\n\0\r\n\r\n",
    ),
    "unknown method": (Request(b"PATCH", b"/a", {}, b"x"), b"PATCH /a HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"),
}


@pytest.mark.parametrize(("request_", "wire"), REQUESTS.values(), ids=REQUESTS)
def test_requests(request_: Request, wire: bytes) -> None:
    assert encode_request(request_) == wire
    check_decoding(RequestDecoder, wire, request_)


OTHER_REQUESTS = {
    "1.0": (b"GET / HTTP/1.0\r\n\r\n", Request(b"GET", b"/", keep_alive=False)),
    "1.0 kept": (b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", Request(b"GET", b"/")),
    "1.1 closed": (b"GET / HTTP/1.1\r\ncONNECTION: CLOSE\r\n\r\n", Request(b"GET", b"/", keep_alive=False)),
    "connection has one value": (b"GET / HTTP/1.1\r\nConnection: close, x\r\n\r\n", Request(b"GET", b"/")),
    "bare line feeds": (
        b"POST / HTTP/1.1\nA: 1\nContent-Length:2\n\n\n\n",
        Request(b"POST", b"/", {b"a": b"1"}, b"\n\n"),
    ),
    "stray returns": (b"G\rET /a\r HTTP/1.1\r\r\nA: 1\r2\r\n\r\r\n", Request(b"GET", b"/a", {b"a": b"12"})),
    "blanks": (b"GET / HTTP/1.1\r\nA: \t 1 2 \r\nB:\r\n\r\n", Request(b"GET", b"/", {b"a": b"1 2", b"b": b""})),
    "last header counts": (b"GET / HTTP/1.1\r\nA: 1\r\na: 2\r\n\r\n", Request(b"GET", b"/", {b"a": b"2"})),
    "no colon": (b"GET / HTTP/1.1\r\nnonsense\r\nA: 1\r\n\r\n", Request(b"GET", b"/", {b"a": b"1"})),
    "absolute": (b"GET http://h/rpc/x HTTP/1.1\r\n\r\n", Request(b"GET", b"http://h/rpc/x")),
    "no length": (b"POST / HTTP/1.1\r\n\r\n", Request(b"POST", b"/")),
    "expecting": (
        b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
        Request(b"POST", b"/", {b"expect": b"100-continue"}, b"x"),
    ),
    # The original server takes this body for the next request.
    "get with a body": (b"GET /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nxyz", Request(b"GET", b"/a")),
    "equal lengths": (
        b"PUT / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        Request(b"PUT", b"/", {}, b"x"),
    ),
    "chunks": (
        b"POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\na\r\n\r\nA ; x=y\r\n0123456789\r\n0\r\n\r\n",
        Request(b"POST", b"/", {}, b"a\r\n0123456789"),
    ),
    "no chunks": (b"PUT / HTTP/1.1\nTransfer-Encoding: chunked\n\n000\n\n", Request(b"PUT", b"/")),
    "trailers": (
        b"PUT / HTTP/1.1\nTransfer-Encoding: chunked\n\n1\nx\n0\nA: 1\nB: 2\n\n",
        Request(b"PUT", b"/", {}, b"x"),
    ),
    "longest lines": (
        b"GET /%b HTTP/1.1\nA:%b\n\n" % (b"a" * (8191 - 14), b"b" * (8191 - 2)),
        Request(b"GET", b"/" + b"a" * (8191 - 14), {b"a": b"b" * (8191 - 2)}),
    ),
}


@pytest.mark.parametrize(("wire", "request_"), OTHER_REQUESTS.values(), ids=OTHER_REQUESTS)
def test_requests_of_others(wire: bytes, request_: Request) -> None:
    if len(wire) < 1000:
        check_decoding(RequestDecoder, wire, request_)
    assert RequestDecoder().feed(wire) == request_


REFUSED_REQUESTS = {
    "binary": (b"\xba\0\0\0\n", ProtocolError),
    "no version": (b"GET /\r\n", ProtocolError),
    "version 2": (b"GET / HTTP/2.0\r\n", ProtocolError),
    "version 1.10": (b"GET / HTTP/1.10\r\n", ProtocolError),
    "blank line before": (b"\r\n", ProtocolError),
    "blank in the path": (b"GET /a b HTTP/1.1\r\n", ProtocolError),
    "no path": (b"GET  HTTP/1.1\r\n", ProtocolError),
    "no method": (b" / HTTP/1.1\r\n", ProtocolError),
    "request line too long": (b"GET /" + b"a" * 8191, ProtocolError),
    "header too long": (b"GET / HTTP/1.1\nA: " + b"a" * 8191, ProtocolError),
    "too many headers": (b"GET / HTTP/1.1\n" + b"A: 1\n" * 101, ProtocolError),
    "blank before a colon": (b"PUT / HTTP/1.1\nContent-Length : 1\n", ProtocolError),
    "folded header": (b"PUT / HTTP/1.1\nA: 1\n Content-Length: 1\n", ProtocolError),
    "length in words": (b"PUT / HTTP/1.1\nContent-Length: one\n\n", ProtocolError),
    "negative length": (b"PUT / HTTP/1.1\nContent-Length: -1\n\n", ProtocolError),
    "no digits": (b"PUT / HTTP/1.1\nContent-Length:\n\n", ProtocolError),
    "two lengths": (b"PUT / HTTP/1.1\nContent-Length: 1\nContent-Length: 2\n", ProtocolError),
    "length and chunks": (b"PUT / HTTP/1.1\nContent-Length: 1\nTransfer-Encoding: chunked\n\n", ProtocolError),
    "other coding": (b"PUT / HTTP/1.1\nTransfer-Encoding: gzip, chunked\n\n", ProtocolError),
    "too large": (b"PUT / HTTP/1.1\nContent-Length: %d\n\n" % ((1 << 28) + 1), TooLarge),
    "too large to get": (b"GET / HTTP/1.1\nContent-Length: %d\n\n" % ((1 << 28) + 1), TooLarge),
    "too many digits": (b"PUT / HTTP/1.1\nContent-Length: %b\n\n" % (b"9" * 8000), TooLarge),
    "chunk too large": (b"PUT / HTTP/1.1\nTransfer-Encoding: chunked\n\n10000001\n", TooLarge),
    "chunk of too many digits": (b"PUT / HTTP/1.1\nTransfer-Encoding: chunked\n\n%b\n" % (b"f" * 8000), TooLarge),
    "chunks too large": (b"PUT / HTTP/1.1\nTransfer-Encoding: chunked\n\n1\nx\n10000000\n", TooLarge),
    "chunk without digits": (b"PUT / HTTP/1.1\nTransfer-Encoding: chunked\n\n;\n", ProtocolError),
    "chunk with a sign": (b"PUT / HTTP/1.1\nTransfer-Encoding: chunked\n\n+1\n", ProtocolError),
    "chunk without end": (b"PUT / HTTP/1.1\nTransfer-Encoding: chunked\n\n1\nxy\n", ProtocolError),
    "too many trailers": (b"PUT / HTTP/1.1\nTransfer-Encoding: chunked\n\n0\n" + b"A: 1\n" * 101, ProtocolError),
}


@pytest.mark.parametrize(("wire", "error"), REFUSED_REQUESTS.values(), ids=REFUSED_REQUESTS)
def test_requests_that_are_refused(wire: bytes, error: type[ProtocolError]) -> None:
    check_refused(RequestDecoder, wire, error)


@pytest.mark.parametrize(
    "framing", [b"Content-Length: %d\n\n" % (1 << 28), b"Transfer-Encoding: chunked\n\n10000000\n"]
)
def test_the_largest_body_is_waited_for_without_taking_memory(framing: bytes) -> None:
    wire = b"PUT / HTTP/1.1\n" + framing
    check_needs_more(RequestDecoder(), wire, len(wire))


UNUSABLE = {
    "blank": Request(b"GET", b"/a b"),
    "another request": Request(b"GET", b"/\r\n\r\nGET /"),
    "line feed": Request(b"PUT", b"/\n"),
    "header": Request(b"PUT", b"/", {b"a": b"1\r\nb: 2"}),
    "header's name": Request(b"PUT", b"/", {b"a\n": b"1"}),
    "body of a get": Request(b"GET", b"/", {}, b"x"),
}


@pytest.mark.parametrize("request_", UNUSABLE.values(), ids=UNUSABLE)
def test_what_would_be_read_otherwise_is_the_callers_fault(request_: Request) -> None:
    with pytest.raises(InvalidInput):
        encode_request(request_)


# --- Responses

RESPONSES = {
    "captured": (
        Response(200, {b"content-type": TSV}, b"value\tvalue\nxt\t1795295436\n"),
        b"HTTP/1.1 200 OK\r\n" + ANSWER + b"Content-Length: 26\r\nContent-Type: text/tab-separated-values\r\n\r\n"
        b"value\tvalue\nxt\t1795295436\n",
    ),
    "closing": (
        TOO_LARGE_RESPONSE,
        b"HTTP/1.1 413 Request Entity Too Large\r\n" + ANSWER + b"Connection: close\r\nContent-Length: 56\r\n"
        b"Content-Type: text/plain\r\n\r\n413 Request Entity Too Large (request entity too large)\n",
    ),
    "names in order": (
        Response(450, {b"x-kt-xt": b"1", b"x-kt-error": b"DB: 6: record duplication: record duplication"}),
        b"HTTP/1.1 450 Logical Inconsistency\r\n" + ANSWER + b"Content-Length: 0\r\n"
        b"X-Kt-Error: DB: 6: record duplication: record duplication\r\nX-Kt-Xt: 1\r\n\r\n",
    ),
    "no content, with a length": (
        Response(204),
        b"HTTP/1.1 204 No Content\r\n" + ANSWER + b"Content-Length: 0\r\n\r\n",
    ),
}
HEADS = {
    "of RPC": (
        Response(200, {b"content-type": TSV}, None),
        b"HTTP/1.1 200 OK\r\n" + ANSWER + b"Content-Type: text/tab-separated-values\r\n\r\n",
    ),
    "of REST": (
        Response(200, {b"content-length": b"20", b"x-kt-xt": DATE}, None),
        b"HTTP/1.1 200 OK\r\n" + ANSWER + b"Content-Length: 20\r\nX-Kt-Xt: Sat, 21 Nov 2026 21:08:57 GMT\r\n\r\n",
    ),
}


def answered(response: Response) -> Response:
    """Return a response with the headers that every server adds."""
    return response._replace(headers={**ANSWERED, **response.headers})


@pytest.mark.parametrize(("response", "wire"), RESPONSES.values(), ids=RESPONSES)
def test_responses(response: Response, wire: bytes) -> None:
    assert encode_response(response, SERVER, DATE) == wire
    check_decoding(ResponseDecoder, wire, answered(response))


@pytest.mark.parametrize(("response", "wire"), HEADS.values(), ids=HEADS)
def test_responses_to_a_head(response: Response, wire: bytes) -> None:
    assert encode_response(response, SERVER, DATE) == wire
    check_decoding(partial(ResponseDecoder, head=True), wire, answered(response))


OTHER_RESPONSES = {
    "continue": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Wait\nA: 1\n\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
        Response(200, {}, b"x"),
    ),
    "no reason": (b"HTTP/1.1 299\nContent-Length: 0\n\n", Response(299)),
    "1.0": (b"HTTP/1.0 200 OK\nContent-Length: 0\n\n", Response(200, keep_alive=False)),
    "closing": (b"HTTP/1.1 200 OK\nConnection: Close\nContent-Length: 0\n\n", Response(200, keep_alive=False)),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", Response(204)),
    "chunks": (b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n1\nx\n0\n\n", Response(200, {}, b"x")),
}


@pytest.mark.parametrize(("wire", "response"), OTHER_RESPONSES.values(), ids=OTHER_RESPONSES)
def test_responses_of_others(wire: bytes, response: Response) -> None:
    check_decoding(ResponseDecoder, wire, response)


@pytest.mark.parametrize(
    "wire",
    [
        b"\xbf\n",
        b"\n",
        b"HTTP/1.1 20 OK\n",
        b"HTTP/1.1 2000 OK\n",
        b"HTTP/1.1 099 No\n",
        b"HTTP/1.1 abc OK\n",
        b"HTTP/3.0 200 OK\n",
        b"HTTP/1.1 200 OK\n\n",
        b"HTTP/1.1 200 OK\nContent-Length: x\n\n",
    ],
)
def test_responses_that_are_refused(wire: bytes) -> None:
    check_refused(ResponseDecoder, wire, ProtocolError)


def test_a_response_that_is_too_large_is_refused() -> None:
    check_refused(ResponseDecoder, b"HTTP/1.1 200 OK\nContent-Length: 9999999999999\n\n", TooLarge)


def test_a_response_has_no_line_break_in_a_header() -> None:
    with pytest.raises(InvalidInput):
        encode_response(Response(201, {b"location": b"/\r\nA: 1"}), SERVER, DATE)


@pytest.mark.parametrize("keep_alive", [True, False])
def test_the_end_of_the_connection_is_announced(keep_alive: bool) -> None:
    decoder = ResponseDecoder()
    assert not decoder.closing
    decoder.feed(encode_response(Response(200, keep_alive=keep_alive), SERVER, DATE))
    assert decoder.closing is not keep_alive


# --- Many, much, anything


def test_pipelined_requests_come_one_by_one() -> None:
    wires, requests = zip(*[(wire, request) for request, wire in REQUESTS.values()], strict=True)
    decoder = RequestDecoder()
    found = [decoder.feed(b"".join(wires))]
    while (request := decoder.feed(b"")) is not NEED_DATA:
        found.append(request)
    assert found == list(requests)


def test_a_large_body_in_pieces_is_joined_once() -> None:
    request = Request(b"PUT", b"/a", {}, bytes(1 << 23))
    wire = encode_request(request)
    buffer = CountingBuffer()
    assert feed_pieces(RequestDecoder(buffer=buffer), wire, 65536) == request
    assert buffer.copied < 1.1 * len(wire)


def test_many_chunks_in_pieces_are_read_once() -> None:
    wire = b"PUT /a HTTP/1.1\nTransfer-Encoding: chunked\n\n" + b"64\n%b\n" % bytes(100) * 20_000 + b"0\n\n"
    buffer = CountingBuffer()
    assert feed_pieces(RequestDecoder(buffer=buffer), wire, 4096) == Request(b"PUT", b"/a", {}, bytes(2_000_000))
    assert buffer.copied < 1.1 * len(wire)


NAMES = st.text("abcxyz-", min_size=1, max_size=8).map(str.encode).filter(lambda name: name != b"connection")
VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF), max_size=8).map(lambda v: v.encode("latin-1"))
TARGETS = VALUES.map(lambda target: b"/" + target)
HEADERS = st.dictionaries(NAMES, VALUES, max_size=4)
WITH_BODY, WITHOUT = st.sampled_from([b"POST", b"PUT", b"OPTIONS"]), st.sampled_from([b"GET", b"HEAD", b"DELETE"])
ANY_REQUEST = st.builds(Request, WITH_BODY, TARGETS, HEADERS, st.binary(max_size=50), st.booleans()) | st.builds(
    Request, WITHOUT, TARGETS, HEADERS, st.just(b""), st.booleans()
)
ANY_RESPONSE = st.builds(Response, st.sampled_from(sorted(REASONS)), HEADERS, st.binary(max_size=50), st.booleans())


@given(st.lists(ANY_REQUEST, min_size=1, max_size=3), st.integers(1, 40))
def test_any_requests_arrive_as_they_were(requests: list[Request], size: int) -> None:
    wire = b"".join(map(encode_request, requests))
    decoder, found = RequestDecoder(), []
    for start in range(0, len(wire), size):
        request = decoder.feed(wire[start : start + size])
        while request is not NEED_DATA:
            found.append(request)
            request = decoder.feed(b"")
    assert found == requests


@given(ANY_RESPONSE, st.integers(1, 40))
def test_any_response_arrives_as_it_was(response: Response, size: int) -> None:
    wire = encode_response(response, SERVER, DATE)
    assert feed_pieces(ResponseDecoder(), wire, size) == answered(response)


LIKELY = st.sampled_from(
    [
        b"GET / HTTP/1.1",
        b"POST /a HTTP/1.0",
        b"HTTP/1.1 200 OK",
        b"\r\n",
        b"\n",
        b"\n\n",
        b"Content-Length: 3",
        b"Transfer-Encoding: chunked",
        b"Connection: close",
        b"abc",
        b"3\n",
        b"0\n",
    ]
)


@given(st.lists(LIKELY | st.binary(max_size=20), max_size=15), st.booleans())
def test_any_bytes_are_survived(pieces: list[bytes], head: bool) -> None:
    check_survives(RequestDecoder(Limits(header_line=40, headers=3, body=30)), pieces)
    check_survives(ResponseDecoder(head=head), pieces)


def test_the_limits_of_headers_are_bounded_together() -> None:
    assert REQUEST_LIMITS.headers * REQUEST_LIMITS.header_line < 1 << 20
