"""The requests of memcached's text protocol, as far as Kyoto Tycoon and Tokyo Tyrant take them.

A request is a line of words; behind those that store comes a block of data. On Tokyo Tyrant's port a line whose third
word is a version of HTTP begins a request of that instead. Source: the Kyoto Tycoon protocol reference, section 11, and
the Tokyo Tyrant protocol reference, sections 1 and 7.
"""

from __future__ import annotations

from typing import ClassVar, Final, NamedTuple, TypeAlias

from kt_core.errors import ProtocolError
from kt_core.wire import http
from kt_core.wire.exchange import NEED_DATA, REQUEST_LIMITS, Buffer, Limits, NeedData, TooLarge
from kt_core.wire.numbers import parse_integer

_WORDS: Final = 5  # before the block: command, key, flags, expiry, size
_END: Final = b"\r\n"
_VERSION: Final = 2  # the word that tells a line of HTTP
_CONTROLS: Final = bytes(range(1, 32))
_BLANKS: Final = bytes.maketrans(_CONTROLS, b" " * len(_CONTROLS))


class Words(NamedTuple):
    """A request: its words, the command first, and the block of data behind it."""

    words: tuple[bytes, ...]
    data: bytes = b""


Request: TypeAlias = "Words | http.Request"


class WordsDecoder:
    """Decodes requests, one after the other; after a `ProtocolError` the connection is closed.

    Whatever memcached takes with a block is read with its block: a command that is not known must not have its data
    taken for commands.
    """

    closing = False
    stores: ClassVar[frozenset[bytes]] = frozenset((b"set", b"add", b"replace", b"append", b"prepend", b"cas"))
    """The commands behind which comes a block of data."""

    def __init__(self, limits: Limits = REQUEST_LIMITS, buffer: Buffer | None = None) -> None:
        self._limits = limits
        self._buffer = Buffer() if buffer is None else buffer
        self._words: tuple[bytes, ...] = ()  # of a request whose data is awaited

    @property
    def rest(self) -> bytes:
        """The bytes behind the request, untouched."""
        return self._buffer.rest

    def feed(self, data: bytes) -> Request | NeedData:
        """Take received bytes and return the next request, or `NEED_DATA`; `b""` asks for a pipelined one."""
        if not self._buffer.add(data):
            return NEED_DATA
        return self._take_data() if self._words else self._take_line()

    def _take_line(self) -> Request | NeedData:
        buffer, longest = self._buffer, self._limits.header_line
        end = buffer.data.find(b"\n", buffer.at, buffer.at + longest + 1)
        if end >= 0:
            return self._begin(tuple(self._split(buffer.data[buffer.at : end].replace(b"\r", b""))))
        if len(buffer.data) - buffer.at > longest:
            raise ProtocolError(f"a line is longer than {longest} bytes")
        return buffer.want(len(buffer.data) - buffer.at + 1)

    def _split(self, line: bytes) -> list[bytes]:
        return line.translate(_BLANKS).split(b" ")

    def _begin(self, words: tuple[bytes, ...]) -> Request | NeedData:
        """Begin a request whose line, still in the buffer, has these words."""
        self._buffer.at = self._buffer.data.index(b"\n", self._buffer.at) + 1
        words = tuple(filter(None, words))
        if words and words[0] in self.stores and len(words) >= _WORDS:
            self._words = words
            return self._take_data()
        self._buffer.release()
        return Words(words)

    def _take_data(self) -> Words | NeedData:
        buffer, words = self._buffer, self._words
        size = self._size(parse_integer(words[_WORDS - 1]))
        if size > self._limits.value:
            raise TooLarge(f"a value of {size} bytes: no more than {self._limits.value} are allowed")
        start, stop = buffer.at, buffer.at + size
        if stop + 1 > len(buffer.data):
            return buffer.want(size + 1)
        end = self._end(buffer.data[stop : stop + len(_END)])
        if stop + end > len(buffer.data):
            return buffer.want(size + end)
        data = buffer.data[start:stop]
        buffer.at = stop + end
        self._words = ()
        buffer.release()
        return Words(words, data)

    def _size(self, size: int) -> int:
        if size < 0:
            raise ProtocolError(f"a block of {size} bytes")
        return size

    def _end(self, found: bytes) -> int:
        """Return the length of what ends a block, of which the first byte or two have come."""
        if found[:1] == b"\n":
            return 1
        if not _END.startswith(found):
            raise ProtocolError("a block of data does not end where it should")
        return len(_END)


class TextDecoder(WordsDecoder):
    """Decodes requests on Tokyo Tyrant's port, those of HTTP among them."""

    stores = WordsDecoder.stores - {b"cas"}

    def __init__(self, limits: Limits = REQUEST_LIMITS, buffer: Buffer | None = None) -> None:
        super().__init__(limits, buffer)
        self._http = http.RequestDecoder(limits, self._buffer)
        self._in_http = False

    def feed(self, data: bytes) -> Request | NeedData:
        return self._feed_http(data) if self._in_http else super().feed(data)

    def _feed_http(self, data: bytes) -> http.Request | NeedData:
        request = self._http.feed(data)
        self._in_http = request is NEED_DATA
        return request

    def _split(self, line: bytes) -> list[bytes]:
        return line.split(b" ")

    def _begin(self, words: tuple[bytes, ...]) -> Request | NeedData:
        if len(words) > _VERSION and words[_VERSION].startswith(b"HTTP/1."):
            return self._feed_http(b"")
        return super()._begin(words)

    def _size(self, size: int) -> int:
        return max(size, 0)

    def _end(self, found: bytes) -> int:
        if not _END.startswith(found):
            raise ProtocolError("a block of data does not end where it should")
        return len(_END)
