"""What becomes of a record: here, and in the same way by the script of every server found."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from random import Random
from typing import Any

import pytest

from kt_cache.stores.edits import HEADER, LAST, NEVER, Action, Edit, Seen, State, is_over, to_delta
from kt_cache.stores.forms import to_value
from kt_cache.stores.hosts import Host
from kt_cache.stores.script import PATH, Script
from kt_core.errors import ServerError
from kt_core.number import INTEGER, INTEGER_MAX, INTEGER_MIN
from kt_core.pool import PoolOptions
from kt_core.tyrant import operations as ops
from kt_core.wire.tt_messages import Value as Found
from tests.fix_servers import TYRANT_KINDS, running

NOW = 1_700_000_000_123
LATER = NOW + 1

Apply = Callable[[Edit, bytes | None], tuple[Seen, bytes | None]]


class Scripted:
    """Has a server's script make each edit of a record."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._script = Script(lambda: NOW, lambda: os.urandom(16))

    def __call__(self, edit: Edit, record: bytes | None) -> tuple[Seen, bytes | None]:
        self._host.run(ops.out(b"k") if record is None else ops.put(b"k", record))
        seen = self.edit(edit)[b"k"]
        return seen, self._host.run(ops.get(b"k"))

    def edit(self, edit: Edit) -> dict[bytes, Seen]:
        steps: Any = self._script.edit({b"k": edit})
        reply = None
        while True:
            try:
                reply = self._host.run(steps.send(reply))
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def open_host() -> Iterator[Callable[[str], Host]]:
    """Return a function that gives a server with the script, of a kind."""
    with ExitStack() as opened:

        @cache
        def open_host(kind: str) -> Host:
            host = Host(PoolOptions(opened.enter_context(running(kind, "-ext", str(PATH), databases=["*"]))))
            opened.callback(host.close)
            return host

        yield open_host


@pytest.fixture(params=TYRANT_KINDS)
def host(request: pytest.FixtureRequest, open_host: Callable[[str], Host]) -> Host:
    """Return a server with the script, one of each kind."""
    return open_host(request.param)


@pytest.fixture
def scripted(host: Host) -> Scripted:
    return Scripted(host)


@pytest.fixture(params=["here", *TYRANT_KINDS])
def apply(request: pytest.FixtureRequest, open_host: Callable[[str], Host]) -> Apply:
    """Return what makes an edit of a record."""
    return (
        Scripted(open_host(request.param)) if request.param != "here" else lambda edit, record: edit.apply(record, NOW)
    )


def record(payload: bytes, expiry: int = NEVER) -> bytes:
    return HEADER.pack(expiry) + payload


@pytest.mark.parametrize("over", [None, b"", b"short", record(b"v", NOW), record(b"v", 0), record(b"", 5)])
@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("absent", [None, record(b"new", LATER), record(b"")])
def test_where_there_is_no_record_one_is_made_or_none(
    apply: Apply, over: bytes | None, action: Action, absent: bytes | None
) -> None:
    payload = to_delta(1) if action is Action.ADD else b"new"
    edit = Edit(action, payload, LATER, absent=absent, expected=b"v", tells=True)
    assert apply(edit, over) == (Seen(State.ABSENT), absent)


@pytest.mark.parametrize(
    ("edit", "after"),
    [
        (Edit(Action.NOTHING), record(b"old", LATER)),
        (Edit(Action.NOTHING, absent=record(b"new")), record(b"old", LATER)),
        (Edit(Action.STORE, b"new", LATER + 5), record(b"new", LATER + 5)),
        (Edit(Action.STORE, b"new", NEVER), record(b"new")),
        (Edit(Action.STORE, b"", LATER, absent=record(b"", LATER)), record(b"", LATER)),
        (Edit(Action.STORE, b"new", expected=b"old"), record(b"new", LATER)),
        (Edit(Action.TOUCH, expiry=NEVER), record(b"old")),
        (Edit(Action.TOUCH, expiry=LAST - 1), record(b"old", LAST - 1)),
        (Edit(Action.DELETE), None),
        (Edit(Action.DELETE, expected=b"old"), None),
        (Edit(Action.ADD, to_delta(1)), record(b"old", LATER)),
    ],
)
@pytest.mark.parametrize("tells", [False, True])
def test_what_becomes_of_a_record(apply: Apply, edit: Edit, after: bytes | None, tells: bool) -> None:
    seen = Seen(State.THERE, b"old" if tells else b"")
    assert apply(edit._replace(tells=tells), record(b"old", LATER)) == (seen, after)


@pytest.mark.parametrize("action", [Action.STORE, Action.DELETE, Action.TOUCH])
@pytest.mark.parametrize("expected", [b"", b"ol", b"old\0"])
def test_another_payload_than_expected_stays(apply: Apply, action: Action, expected: bytes) -> None:
    edit = Edit(action, b"new", NEVER, expected=expected, absent=record(b"absent"), tells=True)
    assert apply(edit, record(b"old", LATER)) == (Seen(State.OTHER), record(b"old", LATER))


ENDS = [0, 1, -1, 255, 256, -256, 1 << 32, (1 << 53) + 1, -(1 << 53) - 1, INTEGER_MAX, INTEGER_MAX - 1, INTEGER_MIN]
DELTAS = [*ENDS, INTEGER_MIN - 1, INTEGER_MAX + 1, (1 << 64) - 1, 1 << 64, -(1 << 64), 1 << 80, -(1 << 80)]


def test_sums_are_exact_to_64_bits(apply: Apply) -> None:
    """At the ends of numbers of every length, and at random."""
    random = Random(5)
    pairs = [(number, delta) for number in ENDS for delta in DELTAS]
    for _ in range(100):
        bits = random.randrange(1, 64), random.randrange(1, 65)
        pairs.append((random.randrange(-(1 << bits[0]), 1 << bits[0]), random.randrange(-(1 << bits[1]), 1 << bits[1])))
    for number, delta in pairs:
        before = record(INTEGER.pack(number), LATER)
        total = number + delta
        after = record(INTEGER.pack(total), LATER) if INTEGER_MIN <= total <= INTEGER_MAX else before
        assert apply(Edit(Action.ADD, to_delta(delta)), before) == (Seen(State.THERE), after), (number, delta)


def test_eight_bytes_are_a_counter() -> None:
    assert to_value(b"\xff" * 8) == -1
    assert to_value(b"7 bytes") == b"7 bytes"


def test_a_record_is_over_in_the_millisecond_it_expires() -> None:
    assert is_over(record(b"", NOW), NOW)
    assert not is_over(record(b"", NOW), NOW - 1)


# -- the script --------------------------------------------------------------------------------------------


def test_an_edit_leaves_no_lease(scripted: Scripted, host: Host) -> None:
    scripted(Edit(Action.STORE, b"new", NEVER), record(b"old"))
    assert host.run(ops.fwm_keys(b"\0tt\0lease")) == []


def test_a_record_whose_lease_is_taken_is_left_alone(scripted: Scripted, host: Host) -> None:
    host.run(ops.put(b"k", record(b"old")))
    host.run(ops.put(b"\0tt\0lease\0k", b"taken"))
    assert scripted.edit(Edit(Action.DELETE)) == {}
    host.run(ops.out(b"\0tt\0lease\0k"))
    assert host.run(ops.get(b"k")) == record(b"old")


def test_what_is_refused_is_an_error() -> None:
    script = Script(lambda: NOW, lambda: bytes(16))
    flow: Any = script.edit({b"k": Edit(Action.DELETE)})
    next(flow).finish(Found(b"1"))
    flow.send(None)
    with pytest.raises(ServerError, match="refused to change a record"):
        flow.send([b"x"])
