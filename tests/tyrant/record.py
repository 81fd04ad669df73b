"""Record what a real ttserver answers: ``python -m tests.tyrant.record``, with ttserver on PATH.

A file for each kind of database, a line for each exchange: the bytes of the request, and those of the reply.
"""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kt_core.wire import tt_messages as tt
from kt_core.wire.exchange import NEED_DATA
from kt_core.wire.tt_binary import ReplyDecoder, encode_request
from kt_core.wire.tt_messages import Request
from tests.fix_servers import running
from tests.tyrant.databases import EVERY, Database

RECORDINGS = Path(__file__).with_name("recordings")


def requests(database: Database) -> Iterator[Request]:
    """Yield requests of every kind whose replies are the same each time."""
    first, second, none = (database.key(number).encode() for number in (0, 1, 77))
    value, other = (b"a\0%b" % word if database.serializer == "table" else word for word in (b"value", b"other"))
    yield from (tt.Vanish(), tt.RNum(), tt.Put(first, value), tt.Put(first, value), tt.PutKeep(first, other))
    yield from (tt.PutKeep(second, other), tt.PutCat(first, other), tt.Get(first), tt.Get(none), tt.VSiz(none))
    yield from (tt.MGet([second, none, first]), tt.MGet([]), tt.FwmKeys(b"", -1), tt.FwmKeys(b"", 0), tt.RNum())
    yield from (tt.IterInit(), tt.IterNext(), tt.IterNext(), tt.IterNext())
    for arguments in ([], [first], [none], [b"", b"1"], [first, b"0", second], [b"("]):
        yield from (tt.Misc(name, tt.NO_UPDATE_LOG, arguments) for name in (b"get", b"range", b"regex", b"getpart"))
    yield tt.Misc(b"getlist", tt.NO_UPDATE_LOG, [first, none, second])
    yield from (tt.Misc(b"iterinit", 0, []), tt.Misc(b"iternext", 0, []), tt.Misc(b"no function", 0, []))
    yield from (tt.Misc(b"putlist", 0, [none, value]), tt.Misc(b"outlist", 0, [none]), tt.Misc(b"search", 0, []))
    yield from (tt.Out(first), tt.Out(first), tt.AddInt(first, 5), tt.AddInt(first, -7), tt.AddInt(second, 1))
    yield from (tt.Out(first), tt.AddDouble.of(first, 1.5), tt.AddDouble.of(first, -2), tt.AddDouble.of(second, 1))
    yield from (tt.PutNr(none, value), tt.Get(none), tt.PutShl(none, other, 3), tt.Get(none))
    yield from (tt.Ext(b"function", 0, first, value), tt.Sync(), tt.Copy(b"/none/of this"), tt.SetMst(b"", 1978, 0, 0))
    yield from (tt.Misc(b"vanish", 0, []), tt.RNum())


def record(database: Database) -> str:
    """Return the exchanges with a server that has such a database."""
    lines = []
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/{database.name}" if "." in database.name else database.name
        with (
            running("ttserver", databases=[path]) as address,
            socket.create_connection((address.host, address.port)) as connected,
        ):
            for request in requests(database):
                connected.sendall(encode_request(request))
                kind = tt.REPLIES[type(request)]
                received = b""
                if kind is not None:
                    decoder = ReplyDecoder(kind)
                    message: object = NEED_DATA
                    while message is NEED_DATA:
                        data = connected.recv(1 << 16)
                        received += data
                        message = decoder.feed(data)
                lines.append(f"{encode_request(request).hex()} {received.hex()}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for one in EVERY:
        (RECORDINGS / f"{one.type.replace(' ', '-')}.txt").write_text(record(one))
