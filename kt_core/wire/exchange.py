"""What one exchange of a request and its reply is made of, whatever the protocol.

A decoder is fed what arrives and gives the message once it is whole. It remembers its place, so that feeding a
message in many pieces costs no more than feeding it at once: `Buffer` keeps what has arrived, and joins the
pieces only when there are enough of them for the decoder to go on.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Final, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from kt_core.errors import ProtocolError

S = TypeVar("S")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class NeedData(Enum):
    """The type of `NEED_DATA`: an enum of one member, so that type checkers tell it from every message."""

    NEED_DATA = "NEED_DATA"


NEED_DATA: Final = NeedData.NEED_DATA


class TooLarge(ProtocolError):
    """The peer announced more than the limits allow; a server says so before it closes the connection."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that a decoder accepts; it refuses by the numbers announced, before it keeps anything.

    `message` bounds all bytes of a binary message, since its records may each be as large as `value` allows.
    """

    key: int = 1 << 28
    value: int = 1 << 28
    records: int = 1 << 20
    message: int = 1 << 30
    body: int = 1 << 28
    header_line: int = 8191
    headers: int = 100


REQUEST_LIMITS: Final = Limits()
# A client gets what it asked for: only what no server would ever send is refused.
REPLY_LIMITS: Final = Limits(records=(1 << 32) - 1, message=1 << 36, body=1 << 36)


class Decoder(Protocol[T_co]):
    """Turns received bytes into messages."""

    def feed(self, data: bytes, /) -> T_co | NeedData:
        """Take received bytes and return the next message, or `NEED_DATA`; `b""` asks for a pipelined one."""

    @property
    def rest(self) -> bytes:
        """The bytes behind the message, untouched."""

    @property
    def closing(self) -> bool:
        """Whether the peer ends the connection after this message."""


class QuickDecoder:
    """Lets the protocol's general decoder decode what has not come whole or is not the usual reply.

    A subclass decodes the rest by itself, as long as `_general` is None, and names the general decoder of a kind of
    reply.
    """

    closing = False
    rest = b""
    _general: Decoder[Any] | None = None
    _general_of: ClassVar[type[Any]]

    def _feed(self, kind: type[Any], data: bytes) -> Any:
        general = self._general
        if general is None:
            general = self._general = self._general_of(kind)
        reply = general.feed(data)
        if not isinstance(reply, NeedData):  # until then the rest is all that there is, and copied each time
            self.closing, self.rest = general.closing, general.rest
        return reply


class Op(NamedTuple, Generic[T]):
    """One exchange: the bytes to send, a fresh decoder for the reply, and what the reply means to the caller.

    Without a decoder no reply comes, and `finish` is given None. `idempotent` says that sending it twice does what
    sending it once does and is answered alike. What `finish` raises leaves the connection in order.
    """

    payload: bytes
    decoder: Decoder[Any] | None
    idempotent: bool
    finish: Callable[[Any], T]

    def then(self, change: Callable[[T], S]) -> Op[S]:
        """Return the same exchange with what `change` makes of its result."""
        payload, decoder, idempotent, finish = self
        return Op(payload, decoder, idempotent, lambda reply: change(finish(reply)))


# Several exchanges: yields each, is sent its reply, and returns the result.
Flow: TypeAlias = Generator[Op[Any], Any, T]


class Buffer:
    """Received bytes, read from `at` on in `data`."""

    __slots__ = ("_later", "_missing", "at", "data")

    def __init__(self) -> None:
        self.data = b""
        self.at = 0
        self._later = bytearray()  # no list: a sender of tiny pieces would make it many times their size
        self._missing = 0

    def add(self, data: bytes) -> bool:
        """Keep received bytes; False while there are fewer than were wanted."""
        if self.at == len(self.data) and not self._later:
            self.data = data
            self.at = 0
        else:
            self._later += data
        self._missing -= len(data)
        if self._missing > 0:
            return False
        if self._later:
            self.data = self.rest
            self.at = 0
            self._later.clear()
        return True

    def want(self, count: int) -> NeedData:
        """Ask for `count` bytes from `at` on, more than there are, before reading goes on."""
        self._missing = count - (len(self.data) - self.at)
        return NEED_DATA

    def release(self) -> None:
        """Let go of what has been read: between requests a connection may idle for long."""
        if self.at == len(self.data):
            self.data = b""
            self.at = 0

    @property
    def rest(self) -> bytes:
        """Everything from `at` on."""
        return b"".join((self.data[self.at :], self._later))
