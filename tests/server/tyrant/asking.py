"""Exchanges with a server of Tokyo Tyrant's protocol: messages out, messages and their bytes back."""

from __future__ import annotations

from typing import Any

from kt_core.wire import tt_messages as tt
from kt_core.wire.exchange import NEED_DATA
from kt_core.wire.tt_binary import ReplyDecoder, encode_request
from kt_core.wire.tt_messages import Request
from tests.server.exchange import Wire


class Asker(Wire):
    """A connection."""

    def tell(self, request: Request) -> bytes:
        """Send a request and return the bytes of its reply, or what comes of it before the server hangs up."""
        self.send(encode_request(request))
        return self.told(request)

    def told(self, request: Request) -> bytes:
        """Return the bytes of the reply to a request that has been sent."""
        kind = tt.REPLIES[type(request)]
        if kind is None:
            return b""
        decoder = ReplyDecoder(kind)
        received = bytearray()
        while data := self._receive(1 << 16):
            received += data
            if decoder.feed(data) is not NEED_DATA:
                assert not decoder.rest, "more than one reply"
                break
        return bytes(received)

    def ask_for(self, request: Request) -> Any:
        """Send a request and return what the reply says: its one field, True for `Done`, None for `Failed`."""
        kind = tt.REPLIES[type(request)]
        reply = ReplyDecoder(kind or tt.Done).feed(self.tell(request)) if kind else tt.Done()
        if isinstance(reply, tt.Failed) or not getattr(reply, "ok", True):
            return None
        if isinstance(reply, tt.Double):
            return reply.number
        return reply[0] if reply else True

    def call(self, name: str, *arguments: bytes, options: int = 0) -> Any:
        """Call a function and return its results, or None where it failed."""
        return self.ask_for(tt.Misc(name.encode(), options, arguments))
