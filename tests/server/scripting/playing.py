"""Calling the procedures of a server's script, and reading what they give."""

from __future__ import annotations

from typing import Any

from kt_core.server import Server
from kt_core.wire.kt_binary import ErrorReply, PlayScript, ReplyDecoder, ScriptReply, encode_request
from tests.server.exchange import Wire, connect

FAILED = "failed"
"""What a call comes to that is answered by the binary protocol's error."""


def request(name: str, **given: Any) -> bytes:
    """Return the bytes that call a procedure."""
    return encode_request(
        PlayScript(name.encode(), [(key.encode(), str(value).encode()) for key, value in given.items()])
    )


def told(reply: bytes) -> Any:
    """Return what a reply says, as text."""
    said = ReplyDecoder(ScriptReply).feed(reply)
    if isinstance(said, ErrorReply):
        return FAILED
    assert isinstance(said, ScriptReply)
    return {key.decode(): value.decode() for key, value in said.records}


def play(where: Server | Wire, name: str, **given: Any) -> Any:
    """Call a procedure on a connection, or on one of its own."""
    if isinstance(where, Wire):
        return told(where.ask(request(name, **given)))
    with connect(where) as wire:
        return play(wire, name, **given)
