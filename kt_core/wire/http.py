"""HTTP/1.1, as far as Kyoto Tycoon speaks it: requests and responses, to bytes and from bytes.

Source: the Kyoto Tycoon protocol reference, section 2.1. Lines may end in a bare line feed. Where the original
server takes the rest of one request for another one, this decoder does not: the body of a GET is consumed and
dropped, a header that is too long is refused instead of cut, and so is a length that is no number.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from functools import lru_cache, partial
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from kt_core.errors import InvalidInput, ProtocolError
from kt_core.wire.exchange import NEED_DATA, REPLY_LIMITS, REQUEST_LIMITS, Buffer, Limits, NeedData, TooLarge

REASONS: dict[int, bytes] = {
    200: b"OK",
    201: b"Created",
    204: b"No Content",
    400: b"Bad Request",
    404: b"Not Found",
    413: b"Request Entity Too Large",
    450: b"Logical Inconsistency",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    503: b"Service Unavailable",
}

_BODILESS_METHODS = (b"GET", b"HEAD", b"DELETE")
_BODILESS_STATUSES = (204, 304)
# The versions, and whether the connection is kept unless a header says otherwise.
_VERSIONS = {b"HTTP/1.1": True, b"HTTP/1.0": False}
_CONNECTION = {b"close": False, b"keep-alive": True}


class Request(NamedTuple):
    """A request: the raw path with its query, and headers in lower case but for those that frame it."""

    method: bytes
    target: bytes
    headers: Mapping[bytes, bytes] = {}
    body: bytes = b""
    keep_alive: bool = True


class Response(NamedTuple):
    """A response: the answer to a HEAD has no body and, among its headers, the length it would have if known."""

    status: int
    headers: Mapping[bytes, bytes] = {}
    body: bytes | None = b""
    keep_alive: bool = True


# What a server answers to `TooLarge`.
TOO_LARGE_RESPONSE = Response(
    413,
    {b"content-type": b"text/plain"},
    b"413 Request Entity Too Large (request entity too large)\n",
    keep_alive=False,
)

M = TypeVar("M", Request, Response)
R = TypeVar("R")

# A reader yields while it lacks bytes, and returns what it has read.
_Reader: TypeAlias = Generator[NeedData, None, R]


# --- Encoding


def encode_request(request: Request) -> bytes:
    """Return the bytes of a request."""
    method, target, headers, body, keep_alive = request
    first = b"%b %b HTTP/1.1" % (method, target)
    if first.count(b" ") != 2 or (body and method in _BODILESS_METHODS):
        raise InvalidInput(f"not a request for this protocol: {method!r} {target!r}, {len(body)} bytes")
    before, after = _frame(first, keep_alive, *headers.items())
    if method in _BODILESS_METHODS:
        return before + after
    return b"%bContent-Length: %d\r\n%b%b" % (before, len(body), after, body)


def encode_response(response: Response, server: bytes, date: bytes) -> bytes:
    """Return the bytes of a response, its headers in the order of the original server."""
    status, headers, body, keep_alive = response
    first = b"HTTP/1.1 %d %b" % (status, REASONS[status])
    before, after = _frame(first, keep_alive, *headers.items(), server=server, date=date)
    if body is None:
        return before + after
    return b"%bContent-Length: %d\r\n%b%b" % (before, len(body), after, body)


def first_line(request: Request) -> str:
    """Return what a log tells of a request: no parameters, which may be values."""
    path = request.target.partition(b"?")[0]
    return f"{request.method.decode('latin-1')} {path.decode('latin-1')[:200]} HTTP/1.1"


@lru_cache(256)  # the same few are sent again and again
def _frame(first: bytes, keep_alive: bool, *headers: tuple[bytes, bytes], **names: bytes) -> tuple[bytes, bytes]:
    """Return what comes before the length of the body, and what after it up to the body."""
    before = [first, *(b"%b: %b" % (name.title().encode(), value) for name, value in names.items())]
    if not keep_alive:
        before.append(b"Connection: close")
    after = [b"%b: %b" % (name.title(), value) for name, value in sorted(headers)]
    text = b"".join(before + after)
    if b"\r" in text or b"\n" in text:
        raise InvalidInput(f"a line break inside a path or a header: {text!r}")
    return b"".join([line + b"\r\n" for line in before]), b"".join([line + b"\r\n" for line in after]) + b"\r\n"


# --- Decoding


def _read_line(buffer: Buffer, limits: Limits) -> _Reader[bytes]:
    searched, longest = 0, limits.header_line
    while True:
        at = buffer.at
        end = buffer.data.find(b"\n", at + searched, at + longest + 1)
        if end >= 0:
            buffer.at = end + 1
            return buffer.data[at:end].replace(b"\r", b"")
        searched = len(buffer.data) - at
        if searched > longest:
            raise ProtocolError(f"a line is longer than {longest} bytes")
        yield buffer.want(searched + 1)


def _read_exactly(buffer: Buffer, size: int) -> _Reader[bytes]:
    if len(buffer.data) - buffer.at < size:
        yield buffer.want(size)
    start = buffer.at
    buffer.at += size
    return buffer.data[start : buffer.at]


def _take_head(buffer: Buffer, limits: Limits) -> list[bytes]:
    """Take the lines of a head that is all there, in the usual form; none if it has to be read line by line."""
    data, start = buffer.data, buffer.at
    end = data.find(b"\r\n\r\n", start, start + limits.header_line)  # so that no line of it can be too long
    if end < 0:
        return []
    lines = data[start:end].split(b"\r\n")
    if not data.count(b"\n", start, end) == data.count(b"\r", start, end) == len(lines) - 1 <= limits.headers:
        return []
    buffer.at = end + 4
    return lines


def _read_headers(buffer: Buffer, limits: Limits) -> _Reader[dict[bytes, bytes]]:
    headers: dict[bytes, bytes] = {}
    for _ in range(limits.headers + 1):
        line = yield from _read_line(buffer, limits)
        if not line:
            return headers
        _add_header(headers, line)
    raise ProtocolError(f"more than {limits.headers} headers")


def _headers_of(lines: Iterable[bytes]) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for line in lines:
        _add_header(headers, line)
    return headers


def _add_header(headers: dict[bytes, bytes], line: bytes) -> None:
    name, value = _parse_header(line)
    if name == b"content-length" and headers.get(name, value) != value:
        raise ProtocolError("two lengths")
    if name:
        headers[name] = value


@lru_cache(256)  # the same few come again and again
def _parse_header(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not colon:
        return b"", b""  # it is passed over, as by the original server
    if b" " in name or b"\t" in name:
        raise ProtocolError(f"a blank in the name of a header: {name!r}")
    return name.lower(), value.strip(b" \t")


def _read_body(buffer: Buffer, limits: Limits, headers: dict[bytes, bytes]) -> _Reader[bytes | None]:
    """Read the body that the headers announce, and drop those headers; None if they announce none."""
    length = headers.pop(b"content-length", None)
    coding = headers.pop(b"transfer-encoding", None)
    if coding is not None:
        if coding.lower() != b"chunked" or length is not None:
            raise ProtocolError(f"a transfer encoding {coding!r} with a length {length!r}")
        return (yield from _read_chunks(buffer, limits))
    if length is None:
        return None
    if not length.isdigit():
        raise ProtocolError(f"a length {length!r}")
    return (yield from _read_exactly(buffer, _bounded(length, 10, limits.body)))


def _read_chunks(buffer: Buffer, limits: Limits) -> _Reader[bytes]:
    body = bytearray()
    while True:
        line = yield from _read_line(buffer, limits)
        digits = line.partition(b";")[0].strip(b" \t")
        if not digits or digits.strip(b"0123456789abcdefABCDEF"):
            raise ProtocolError(f"a chunk of {digits!r} bytes")
        size = _bounded(digits, 16, limits.body - len(body))
        if not size:
            break
        body += yield from _read_exactly(buffer, size)
        if (yield from _read_line(buffer, limits)):
            raise ProtocolError("a chunk is longer than announced")
    yield from _read_headers(buffer, limits)  # trailers, which say nothing
    return bytes(body)


def _bounded(digits: bytes, base: int, most: int) -> int:
    # Only so many digits are looked at: a line of them would be a number that takes long to make.
    size = int(digits, base) if len(digits) < 20 else most + 1
    if size > most:
        raise TooLarge(f"a body of {digits[:20]!r} bytes; {most} are allowed")
    return size


def _read_request(buffer: Buffer, limits: Limits) -> _Reader[Request]:
    head = _take_head(buffer, limits)
    method, target, kept = _parse_request_line(head[0] if head else (yield from _read_line(buffer, limits)))
    headers = _headers_of(head[1:]) if head else (yield from _read_headers(buffer, limits))
    body = yield from _read_body(buffer, limits, headers)
    if body is None or method in _BODILESS_METHODS:
        body = b""
    return Request(method, target, headers, body, _kept(headers, kept))


@lru_cache(256)
def _parse_request_line(line: bytes) -> tuple[bytes, bytes, bool]:
    method, _, others = line.partition(b" ")
    target, _, version = others.partition(b" ")
    if version not in _VERSIONS or not method or not target:
        raise ProtocolError(f"not a request: {line[:80]!r}")
    return method, target, _VERSIONS[version]


def _read_response(to_head: bool, buffer: Buffer, limits: Limits) -> _Reader[Response]:
    while True:
        head = _take_head(buffer, limits)
        status, kept = _parse_status_line(head[0] if head else (yield from _read_line(buffer, limits)))
        headers = _headers_of(head[1:]) if head else (yield from _read_headers(buffer, limits))
        if status >= 200:  # before it, 100 Continue and the like
            break
    keep_alive = _kept(headers, kept)
    if to_head:
        return Response(status, headers, None, keep_alive)
    body = yield from _read_body(buffer, limits, headers)
    if body is None and status not in _BODILESS_STATUSES:
        raise ProtocolError("a response without a length")
    return Response(status, headers, body or b"", keep_alive)


@lru_cache(256)
def _parse_status_line(line: bytes) -> tuple[int, bool]:
    version, _, others = line.partition(b" ")
    digits = others.partition(b" ")[0]
    if version not in _VERSIONS or len(digits) != 3 or not digits.isdigit() or digits < b"100":
        raise ProtocolError(f"not a response: {line[:80]!r}")
    return int(digits), _VERSIONS[version]


def _kept(headers: dict[bytes, bytes], default: bool) -> bool:
    said = headers.pop(b"connection", None)
    return default if said is None else _CONNECTION.get(said.lower(), default)


class _Decoder(Generic[M]):
    def __init__(self, read: Callable[[Buffer, Limits], _Reader[M]], limits: Limits, buffer: Buffer | None) -> None:
        self.closing = False
        self._limits = limits
        self._buffer = Buffer() if buffer is None else buffer
        self._read: Callable[[Buffer, Limits], _Reader[M]] = read
        self._reader: _Reader[M] | None = None

    @property
    def rest(self) -> bytes:
        return self._buffer.rest

    def feed(self, data: bytes) -> M | NeedData:
        if not self._buffer.add(data):
            return NEED_DATA
        if self._reader is None:
            self._reader = self._read(self._buffer, self._limits)
        try:
            return next(self._reader)
        except StopIteration as end:
            self._reader = None
            self._buffer.release()
            message: M = end.value
            self.closing = not message.keep_alive
            return message


class RequestDecoder(_Decoder[Request]):
    """Decodes requests, one after the other.

    `TooLarge` is to be answered by 413 before the connection is closed; after any other `ProtocolError` it is
    closed without a word, as the original server does.
    """

    def __init__(self, limits: Limits = REQUEST_LIMITS, buffer: Buffer | None = None) -> None:
        super().__init__(_read_request, limits, buffer)


class ResponseDecoder(_Decoder[Response]):
    """Decodes responses; one to a HEAD has no body, which only the asker knows."""

    def __init__(self, *, head: bool = False, limits: Limits = REPLY_LIMITS, buffer: Buffer | None = None) -> None:
        super().__init__(partial(_read_response, head), limits, buffer)
