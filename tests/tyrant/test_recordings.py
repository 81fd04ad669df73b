"""What a real ttserver has answered, read and written again: see `tests.tyrant.record`."""

from __future__ import annotations

import pytest

from kt_core.wire.exchange import NEED_DATA
from kt_core.wire.tt_binary import ReplyDecoder, RequestDecoder, encode_reply, encode_request
from kt_core.wire.tt_messages import REPLIES
from tests.tyrant.databases import EVERY
from tests.tyrant.record import RECORDINGS, requests
from tests.wire.feeding import check_decoding

DATABASES = {database.type.replace(" ", "-"): database for database in EVERY}
recordings = pytest.mark.parametrize("name", DATABASES)


def exchanges(name: str) -> list[tuple[bytes, bytes]]:
    """Return the requests of a recording with their replies."""
    lines = (RECORDINGS / f"{name}.txt").read_text().splitlines()
    return [
        (bytes.fromhex(sent), bytes.fromhex(received)) for sent, _, received in (line.partition(" ") for line in lines)
    ]


@recordings
def test_a_recording_is_of_the_requests_that_are_written_down(name: str) -> None:
    assert [sent for sent, _ in exchanges(name)] == [encode_request(request) for request in requests(DATABASES[name])]


@recordings
def test_what_was_sent_and_answered_is_understood_and_written_alike(name: str) -> None:
    for sent, received in exchanges(name):
        request = RequestDecoder().feed(sent)
        assert request is not NEED_DATA
        assert encode_request(request) == sent
        kind = REPLIES[type(request)]
        if kind is None:
            assert received == b""
            continue
        reply = ReplyDecoder(kind).feed(received)
        assert reply is not NEED_DATA
        assert encode_reply(reply) == received
        check_decoding(lambda kind=kind: ReplyDecoder(kind), received, reply)  # type: ignore[misc]


def test_every_recording_is_looked_at() -> None:
    assert {path.stem for path in RECORDINGS.iterdir()} == set(DATABASES)
