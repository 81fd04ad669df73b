"""The bytes of the protocol: requests of the real client as they were captured, and the answers of a real server."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.aerospike.server import wire
from tests.aerospike.server.cluster import Nodes
from tests.aerospike.server.records import EPOCH
from tests.aerospike.server.wire import Field, Message, Op, Particle
from tests.clock import Clock

EXPIRY = 0x1FC4CEC1
"""What a captured write with 100 seconds to live was answered, in seconds since the server's epoch."""

DIGEST = "ddf619d2e44393c8bbe4458b232bf019768f6595"
FIELDS = "00000005 00 74657374  00000004 01 636170  00000015 04" + DIGEST  # of `a` in test, cap
OTHER = FIELDS.replace(DIGEST, "0f2d2885" + "00" * 12 + "7b4a2a3f")
ABSENT = "02 03 000000000016  16 00 00 00 00 02" + "00" * 16

EXCHANGES = [
    (
        "put with 100 seconds",
        f"""02 03 00000000005c  16 00 01 00 00 00  00000000 00000064 000003e8 0003 0002  {FIELDS}
        0000000d 02 01 00 01 76 0000000000000007
        00000007 02 03 00 01 73 6869""",
        "02 03 000000000016  16 00 00 00 00 00 00000001 1fc4cec1 00000000 0000 0000",
    ),
    (
        "get",
        f"02 03 000000000040  16 03 00 00 00 00 00000000 00000000 000003e8 0003 0000 {FIELDS}",
        """02 03 000000000032  16 00 00 00 00 00 00000001 1fc4cec1 00000000 0000 0002
        0000000d 01 01 00 01 76 0000000000000007
        00000007 01 03 00 01 73 6869""",
    ),
    (
        "get of a missing record",
        f"02 03 000000000040  16 03 00 00 00 00 00000000 00000000 000003e8 0003 0000 {OTHER}",
        ABSENT,
    ),
    (
        "select",
        f"02 03 000000000049  16 01 00 00 00 00 00000000 00000000 000003e8 0003 0001 {FIELDS} 00000005 01 00 00 01 76",
        """02 03 000000000027  16 00 00 00 00 00 00000001 1fc4cec1 00000000 0000 0001
        0000000d 01 01 00 01 76 0000000000000007""",
    ),
    (
        "exists",
        f"02 03 000000000040  16 21 00 00 00 00 00000000 00000000 000003e8 0003 0000 {FIELDS}",
        "02 03 000000000016  16 00 00 00 00 00 00000001 1fc4cec1 00000000 0000 0000",
    ),
    (
        "create only",
        f"""02 03 000000000051  16 00 21 00 00 00 00000000 00000000 000003e8 0003 0001 {FIELDS}
        0000000d 02 01 00 01 76 0000000000000001""",
        "02 03 000000000016  16 00 00 00 00 05 00000001 1fc4cec1 00000000 0000 0000",
    ),
    (
        "update only of a missing record",
        f"""02 03 000000000051  16 00 01 08 00 00 00000000 00000000 000003e8 0003 0001 {OTHER}
        0000000d 02 01 00 01 76 0000000000000001""",
        ABSENT,
    ),
    (
        "incr 5, read, keep the expiry, update only",
        f"""02 03 00000000005a  16 01 01 08 00 00 00000000 fffffffe 000003e8 0003 0002  {FIELDS}
        0000000d 05 01 00 01 76 0000000000000005
        00000005 01 00 00 01 76""",
        """02 03 000000000027  16 00 00 00 00 00 00000002 1fc4cec1 00000000 0000 0001
        0000000d 01 01 00 01 76 000000000000000c""",
    ),
    (
        "a filter that does not match",
        f"""02 03 00000000004d  16 03 00 00 00 00 00000000 00000000 000003e8 0004 0000 {FIELDS}
        00000009 2b 9301935102a17805""",
        "02 03 000000000016  16 00 00 00 00 1b 00000002 1fc4cec1 00000000 0000 0000",
    ),
    (
        "batch read of 2 keys, one missing",
        f"""02 03 00000000006e  16 08 00 00 00 00 00000000 00000000 00000000 0001 0000
        00000054 29  00000002 0d
        00000000 {DIGEST} 0a 03 00 00 00000000 0002 0000 00000005 00 74657374 00000004 01 636170
        00000001 0f2d2885{"00" * 12}7b4a2a3f 01""",
        """02 03 00000000005e
        16 00 00 00 00 00 00000002 1fc4cec1 00000000 0000 0002
        0000000d 01 01 00 01 76 000000000000000c  00000007 01 03 00 01 73 6869
        16 00 00 00 00 02 00000000 00000000 00000001 0000 0000
        16 00 00 01 00 00 00000000 00000000 00000000 0000 0000""",
    ),
    (
        "batch write of 2 keys",
        f"""02 03 0000000000aa  16 08 00 00 00 00 00000000 00000000 00000000 0001 0000   00000090 29  00000002 0d
        00000000 5ac1f496{"00" * 12}0e3e0bb6 0e 00 81 00 0000 00000064 0002 0001
        00000005 00 74657374 00000004 01 636170 0000000d 02 01 00 01 76 0000000000000001
        00000001 ecfbb129{"00" * 12}3f1a6f5d 0e 00 81 00 0000 000000c8 0002 0001
        00000005 00 74657374 00000004 01 636170 00000007 02 04 00 01 76 6162""",
        """02 03 000000000054
        16 00 00 00 00 00 00000001 1fc4cec1 00000000 0000 0001 00000005 02 00 00 01 76
        16 00 00 00 00 00 00000001 1fc4cf25 00000001 0000 0001 00000005 02 00 00 01 76
        16 00 00 01 00 00 00000000 00000000 00000000 0000 0000""",
    ),
    (
        "append",
        f"""02 03 00000000004b  16 00 01 00 00 00 00000000 fffffffe 000003e8 0003 0001 {FIELDS}
        00000007 09 03 00 01 73 796f""",
        "02 03 000000000016  16 00 00 00 00 00 00000003 1fc4cec1 00000000 0000 0000",
    ),
    (
        "touch",
        f"02 03 000000000048  16 00 01 00 00 00 00000000 00000032 000003e8 0003 0001 {FIELDS} 00000004 0b 00 00 00",
        "02 03 000000000016  16 00 00 00 00 00 00000004 1fc4ce8f 00000000 0000 0000",
    ),
    (
        "read and delete",
        f"""02 03 000000000051  16 01 01 00 00 00 00000000 00000000 000003e8 0003 0002 {FIELDS}
        00000005 01 00 00 01 73  00000004 0e 00 00 00""",
        """02 03 000000000023  16 00 00 00 00 00 00000000 00000000 00000000 0000 0001
        00000009 01 03 00 01 73 6869796f""",
    ),
    (
        "delete of a missing record",
        f"02 03 000000000040  16 00 03 00 00 00 00000000 00000000 000003e8 0003 0000 {FIELDS}",
        ABSENT,
    ),
    (
        "the first question of every client",
        "02 01 000000000020" + b"node\npartition-generation\nbuild\n".hex(),
        "02 01 00000000003a" + b"node\tBB90000000000A0\npartition-generation\t1\nbuild\t8.1.1.2\n".hex(),
    ),
    (
        "a login",
        "02 02 000000000010 00 14" + "00" * 14,
        "02 02 000000000010 00 33" + "00" * 14,
    ),
]


@pytest.fixture(scope="module")
def connection() -> Iterator[socket.socket]:
    """Return a connection to a server whose clock stands still."""
    with (
        Nodes(clock=Clock(EPOCH + EXPIRY - 100)) as nodes,
        socket.create_connection(nodes.hosts[0], timeout=10) as connection,
    ):
        yield connection


def test_captured_requests_have_the_captured_answers(connection: socket.socket) -> None:
    """They build on each other, so that they are one test."""
    for name, request, expected in EXCHANGES:
        connection.sendall(bytes.fromhex(request))
        head = connection.recv(wire.PROTO_SIZE, socket.MSG_WAITALL)
        body = connection.recv(wire.decode_proto(head)[1], socket.MSG_WAITALL)

        assert (head + body).hex(" ") == bytes.fromhex(expected).hex(" "), name


@pytest.mark.parametrize(("request_", "answer"), [(request, answer) for _, request, answer in EXCHANGES[:9]])
def test_what_is_decoded_encodes_the_same(request_: str, answer: str) -> None:
    for captured in map(bytes.fromhex, (request_, answer)):
        kind, length = wire.decode_proto(captured[: wire.PROTO_SIZE])
        message = wire.decode_message(captured[wire.PROTO_SIZE :])

        assert (kind, length) == (wire.MESSAGE, len(captured) - wire.PROTO_SIZE)
        assert wire.frame_messages([message]) == captured


def test_a_row_that_repeats_has_the_settings_of_the_row_before() -> None:
    captured = bytes.fromhex(next(request for name, request, _ in EXCHANGES if name.startswith("batch read")))
    message = wire.decode_message(captured[wire.PROTO_SIZE :])

    first, second = wire.decode_batch(message)

    assert (first.index, second.index) == (0, 1)
    assert first.fields[Field.DIGEST].hex() == DIGEST
    assert second.fields == {**first.fields, Field.DIGEST: second.fields[Field.DIGEST]}
    assert first.info1 == second.info1 == 3


MESSAGE = Message(info1=3, ops=[Op(1, b"v", Particle(3, b"text"))], fields={0: b"test"}).encode()


@pytest.mark.parametrize("broken", [MESSAGE[:-1], MESSAGE + b"\0", MESSAGE[:10], b"\x17" + MESSAGE[1:], b""])
def test_broken_messages_are_refused(broken: bytes) -> None:
    with pytest.raises(ValueError):
        wire.decode_message(broken)


@pytest.mark.parametrize("head", ["01 03 000000000016", "02 07 000000000016", "02 03 0000ffffffff"])
def test_broken_frames_are_refused(head: str) -> None:
    with pytest.raises(ValueError):
        wire.decode_proto(bytes.fromhex(head))
