"""The requests of memcached's text protocol, as far as Tokyo Tyrant takes them, and those of HTTP beside them.

A request is a line of words; behind those that store comes a block of data. A line whose third word is a version of
HTTP begins one of HTTP instead. Source: the Tokyo Tyrant protocol reference, sections 1 and 7.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from kt_core.errors import ProtocolError
from kt_core.wire import http
from kt_core.wire.exchange import NEED_DATA, REQUEST_LIMITS, Buffer, Limits, NeedData, TooLarge
from kt_core.wire.numbers import parse_integer

STORES: Final = frozenset((b"set", b"add", b"replace", b"append", b"prepend"))
"""The commands behind which comes a block of data."""
_WORDS: Final = 5  # of them, before the block: command, key, flags, expiry, size
_END: Final = b"\r\n"


class Words(NamedTuple):
    """A request: its words, the command first, and the block of data behind it."""

    words: tuple[bytes, ...]
    data: bytes = b""


class TextDecoder:
    """Decodes requests of both protocols, one after the other; after a `ProtocolError` the connection is closed."""

    def __init__(self, limits: Limits = REQUEST_LIMITS, buffer: Buffer | None = None) -> None:
        self._limits = limits
        self._buffer = Buffer() if buffer is None else buffer
        self._http = http.RequestDecoder(limits, self._buffer)
        self._in_http = False
        self._words: tuple[bytes, ...] = ()  # of a request whose data is awaited

    @property
    def rest(self) -> bytes:
        """The bytes behind the request, untouched."""
        return self._buffer.rest

    def feed(self, data: bytes) -> Words | http.Request | NeedData:
        """Take received bytes and return the next request, or `NEED_DATA`; `b""` asks for a pipelined one."""
        if self._in_http:
            return self._feed_http(data)
        if not self._buffer.add(data):
            return NEED_DATA
        return self._take_data() if self._words else self._take_line()

    def _feed_http(self, data: bytes) -> http.Request | NeedData:
        request = self._http.feed(data)
        self._in_http = request is NEED_DATA
        return request

    def _take_line(self) -> Words | http.Request | NeedData:
        buffer, longest = self._buffer, self._limits.header_line
        end = buffer.data.find(b"\n", buffer.at, buffer.at + longest + 1)
        if end < 0:
            if len(buffer.data) - buffer.at > longest:
                raise ProtocolError(f"a line is longer than {longest} bytes")
            return buffer.want(len(buffer.data) - buffer.at + 1)
        words = tuple(buffer.data[buffer.at : end].replace(b"\r", b"").split(b" "))
        if len(words) > 2 and words[2].startswith(b"HTTP/1."):
            return self._feed_http(b"")
        buffer.at = end + 1
        words = tuple(filter(None, words))
        if words and words[0] in STORES and len(words) >= _WORDS:
            self._words = words
            return self._take_data()
        buffer.release()
        return Words(words)

    def _take_data(self) -> Words | NeedData:
        buffer, words = self._buffer, self._words
        size = max(parse_integer(words[_WORDS - 1]), 0)
        if size > self._limits.value:
            raise TooLarge(f"a value of {size} bytes: no more than {self._limits.value} are allowed")
        start, stop = buffer.at, buffer.at + size
        if stop + len(_END) > len(buffer.data):
            return buffer.want(size + len(_END))
        if buffer.data[stop : stop + len(_END)] != _END:
            raise ProtocolError("a block of data does not end where it should")
        data = buffer.data[start:stop]
        buffer.at = stop + len(_END)
        self._words = ()
        buffer.release()
        return Words(words, data)
