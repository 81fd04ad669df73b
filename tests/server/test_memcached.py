"""Clients of memcached: protocol reference, section 11."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kt_core.errors import Misconfigured
from kt_core.server import Server
from kt_core.server.memcached import MemcachedOptions
from tests.clock import Clock
from tests.server.exchange import Wire
from tests.server.exchange import connect as connect_to_all
from tests.server.memcaching import PLUGGED, Conversation, ask, connect, hold, plugged, serving_memcached
from tests.server.pair import await_the_middle_of_a_second
from tests.server.running import in_loop, serving

STORED, NOT_STORED, END = b"STORED\r\n", b"NOT_STORED\r\n", b"END\r\n"
DELETED, NOT_FOUND, ERROR = b"DELETED\r\n", b"NOT_FOUND\r\n", b"ERROR\r\n"
FEW_WORDS = b"CLIENT_ERROR invalid parameters\r\n"
READ_ONLY = b"SERVER_ERROR server is read-only\r\n"


def found(key: bytes, value: bytes, flags: int = 0) -> bytes:
    return b"VALUE %b %d %d\r\n%b\r\n" % (key, flags, len(value), value)


CONVERSATIONS: dict[str, Conversation] = {
    "set and get": [
        (b"set k 5 0 1\r\nv\r\n", STORED),
        (b"get k\r\n", found(b"k", b"v", 5) + END),
        (b"gets k none k\r\n", found(b"k", b"v", 5) * 2 + END),
        (b"get\r\n", END),
        (b"get a b c\r\n", END),
    ],
    "any bytes": [
        (b"set \xff\x80 0 0 10\r\n\0\r\nget k\r\n\r\n", STORED),
        (b"get \xff\x80\r\n", found(b"\xff\x80", b"\0\r\nget k\r\n") + END),
    ],
    "lines end as they like": [
        (b"set k 0 0 3\nabc\n", STORED),
        (b" \tget   k \n", found(b"k", b"abc") + END),
        (b"\r\n", ERROR),
    ],
    "add and replace": [
        (b"replace k 0 0 1\r\nv\r\n", NOT_STORED),
        (b"add k 0 0 1\r\nv\r\n", STORED),
        (b"add k 0 0 1\r\nw\r\n", NOT_STORED),
        (b"replace k 4294967297 0 2\r\nyy\r\n", STORED),
        (b"get k\r\n", found(b"k", b"yy", 1) + END),
    ],
    "delete": [
        (b"set k 0 0 0\r\n\r\n", STORED),
        (b"get k\r\n", found(b"k", b"") + END),
        (b"delete k\r\n", DELETED),
        (b"delete k 0\r\n", NOT_FOUND),
    ],
    "count": [
        (b"incr k 1\r\n", NOT_FOUND),
        (b"set k 7 0 2\r\nyy\r\n", STORED),
        (b"incr k 1\r\n", b"1\r\n"),
        (b"incr k 10x\r\n", b"11\r\n"),
        (b"get k\r\n", found(b"k", b"11", 7) + END),
        (b"decr k 50\r\n", b"0\r\n"),
        (b"incr k -1\r\n", b"0\r\n"),
        (b"decr k -2\r\n", b"2\r\n"),
        (b"incr k 9223372036854775807\r\n", b"0\r\n"),
        (b"decr none 1\r\n", NOT_FOUND),
    ],
    "too few words": [
        (b"set k 0 0\r\n", FEW_WORDS),
        (b"add k\r\n", FEW_WORDS),
        (b"delete\r\n", FEW_WORDS),
        (b"incr k\r\n", FEW_WORDS),
        (b"decr k noreply\r\n", NOT_FOUND),
        (b"incr noreply\r\n", FEW_WORDS),
    ],
    "what there is not": [(line, ERROR) for line in (b"GET k\r\n", b"touch k 0\r\n", b"gat 0 k\r\n", b"verbosity\r\n")],
    "silence": [
        (b"set a 0 0 1 noreply\r\n1\r\nincr a 1 noreply\r\ndelete none noreply\r\nadd a 0 0 1 x noreply\r\nx\r\n", b""),
        (b"get a noreply\r\n", found(b"a", b"2") + END),
        (b"flush_all noreply\r\nget a\r\n", END),
    ],
    "flush": [(b"set k 0 0 1\r\nv\r\n", STORED), (b"flush_all 10\r\n", b"OK\r\n"), (b"get k\r\n", END)],
    "all at once": [
        (b"set k 0 0 1\r\nv\r\nget k\r\ndelete k\r\nget k\r\n", STORED + found(b"k", b"v") + END + DELETED + END)
    ],
    "expiries": [
        (b"add q 1 -1 1\r\nv\r\nadd r 1 2592001 1\r\nv\r\nadd s 1 16777217 1\r\nv\r\n", STORED * 3),
        (b"get q r s\r\n", found(b"q", b"v", 1) + found(b"r", b"v", 1) + END),
    ],
}  # fmt: skip
LAST_WORDS = [
    b"quit\r\n",
    b"set k 0 0 1\r\nab\r\n",
    b"set k 0 0 -1\r\n",
    b"set k 0 0 300000000\r\n",
]


@pytest.fixture(scope="module", params=PLUGGED)
def address(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    """Where memcached's clients are served, by one server of each kind."""
    with plugged(request.param, "opts=f") as address:
        yield address


class TestEveryServer:
    @pytest.fixture
    def client(self, address: tuple[str, int]) -> Iterator[Wire]:
        with Wire(address) as client:
            ask(client, b"flush_all\r\n")
            yield client

    @pytest.mark.parametrize("conversation", CONVERSATIONS.values(), ids=CONVERSATIONS)
    def test_conversations(self, client: Wire, conversation: Conversation) -> None:
        hold(client, conversation)

    @pytest.mark.parametrize("last", LAST_WORDS)
    def test_what_ends_a_connection(self, client: Wire, last: bytes) -> None:
        client.send(last)
        assert client.rest() == b""

    def test_figures(self, client: Wire) -> None:
        def figures() -> dict[bytes, bytes]:
            return dict(line.split(b" ", 2)[1:] for line in ask(client, b"stats\r\n").splitlines()[:-1])

        before = figures()
        hold(client, [*CONVERSATIONS["set and get"], (b"flush_all\r\n", b"OK\r\n"), *CONVERSATIONS["count"]])
        after = figures()
        assert list(after) == list(before)
        changed = {name: int(after[name]) - int(before[name]) for name in after if name.endswith((b"ses", b"hits"))}
        assert {name: count for name, count in changed.items() if count} == {
            b"set_hits": 2,
            b"get_hits": 4,
            b"get_misses": 4,
            b"incr_hits": 4,
            b"incr_misses": 1,
            b"decr_hits": 2,
            b"decr_misses": 1,
        }
        assert after[b"curr_items"] == after[b"db_count"] == b"1"
        assert {b"pid", b"uptime", b"time", b"version", b"pointer_size", b"threads", b"bytes", b"cmd_flush"} <= {*after}


@pytest.mark.parametrize("kind", PLUGGED)
def test_without_the_option_flags_are_lost(kind: str) -> None:
    with plugged(kind, "") as address, Wire(address) as client:
        hold(client, [(b"set k 5 0 6\r\nabcdef\r\n", STORED), (b"get k\r\n", found(b"k", b"abcdef") + END)])
        hold(client, [(b"incr k 3\r\n", b"3\r\n"), (b"get k\r\n", found(b"k", b"3") + END)])


@pytest.mark.parametrize("kind", PLUGGED)
def test_read_only(kind: str) -> None:
    with plugged(kind, "opts=r") as address, Wire(address) as client:
        lines = [b"delete k\r\n", b"delete\r\n", b"incr k\r\n", b"flush_all noreply\r\n", b"set\r\n"]
        hold(client, [(line, READ_ONLY) for line in lines])
        hold(client, [(b"get k\r\n", END), (b"quit\r\n", b"")])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[Server]:
    with serving_memcached("%", "*", clock=clock, flags=True) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[Wire]:
    with connect(server) as client:
        yield client


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    with connect_to_all(server) as wire:
        yield wire


def test_the_same_records_as_for_others_with_the_flags_behind(client: Wire, wire: Wire) -> None:
    hold(client, [(b"set k 9 100 3\r\nabc\r\n", STORED)])
    reply = wire.call("get", key="k")
    assert reply.values[b"value"] == b"abc\0\0\0\x09"
    assert b"xt" in reply.values
    wire.call("set", key="short", value="ab")
    assert ask(client, b"get short\r\n") == found(b"short", b"ab") + END
    assert wire.call("get", key="k", DB=1).status == 450


EXPIRIES = {"1": 3, "60": 62, "16777216": 16777218, "1795295379": 3}


@pytest.mark.parametrize(("text", "gone"), EXPIRIES.items(), ids=EXPIRIES)
def test_a_record_expires(client: Wire, clock: Clock, text: str, gone: int) -> None:
    clock.seconds = 1795295378
    hold(client, [(b"set k 0 %b 1\r\n5\r\n" % text.encode(), STORED)])
    clock.advance(gone - 2)
    hold(client, [(b"incr k 1\r\n", b"6\r\n")])  # which changes nothing about that
    clock.advance(2)
    hold(client, [(b"get k\r\n", END), (b"incr k 1\r\n", NOT_FOUND)])


@pytest.mark.parametrize("text", [b"0", b"-1", b"x"])
def test_a_record_stays(client: Wire, clock: Clock, text: bytes) -> None:
    hold(client, [(b"set k 0 %b 1\r\nv\r\n" % text, STORED)])
    clock.advance(1e9)
    hold(client, [(b"get k\r\n", found(b"k", b"v") + END)])


@pytest.mark.parametrize("name", [b"append", b"prepend", b"cas"])
def test_the_data_of_a_command_that_there_is_not_is_no_command(client: Wire, name: bytes) -> None:
    hold(client, [(b"set k 0 0 1\r\nv\r\n", STORED)])
    hold(client, [(b"%b k 0 0 11 1\r\nflush_all\r\n\r\n" % name, ERROR), (b"get k\r\n", found(b"k", b"v") + END)])


def test_nor_is_the_data_of_a_refused_one() -> None:
    with serving_memcached("%", read_only=True) as server, connect(server) as client:
        hold(client, [(b"set k 0 0 6\r\nquit\r\n\r\n", READ_ONLY), (b"get k\r\n", END)])


def test_counters_lose_nothing(server: Server, client: Wire) -> None:
    hold(client, [(b"set n 3 0 1\r\n0\r\n", STORED)])

    def count() -> None:
        with connect(server) as other:
            for _ in range(50):
                ask(other, b"incr n 1\r\n")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ask(client, b"get n\r\n") == found(b"n", b"200", 3) + END


def test_a_flush_leaves_cursors_nowhere(client: Wire, wire: Wire) -> None:
    wire.call("set", key="k", value="v")
    assert wire.call("cur_jump", CUR=1).status == 200
    ask(client, b"flush_all\r\n")
    assert wire.call("cur_get", CUR=1).status == 450


def test_what_does_not_fit_is_an_error() -> None:
    with serving_memcached("%#max_size=1m") as server, connect(server) as client:
        assert ask(client, b"set k 0 0 200000\r\n%b\r\n" % bytes(200_000)) == b"SERVER_ERROR DB::set failed\r\n"
        hold(client, [(b"set k 0 0 1\r\nv\r\n", STORED)])


def test_more_than_can_be_held_at_once_is_not_fetched() -> None:
    with serving_memcached("%") as server, connect(server) as client:
        object.__setattr__(server.options, "max_reply", 1000)
        hold(client, [(b"set k 0 0 400\r\n%b\r\n" % bytes(400), STORED)])
        hold(client, [(b"get k k k\r\n", b"SERVER_ERROR DB::get failed\r\n"), (b"get none\r\n", END)])


OPTIONS = {
    "": MemcachedOptions(),
    "host=127.0.0.1#port=5#tout=3#th=4#opts=fq#qtout=1.5": MemcachedOptions("127.0.0.1", 5, True, True, False, 1.5),
    "port=x#options=r#qtimeout=0": MemcachedOptions(read_only=True),
    "host=#port=-1#nothing": MemcachedOptions(),
}


@pytest.mark.parametrize(("text", "options"), OPTIONS.items())
def test_options(text: str, options: MemcachedOptions) -> None:
    assert MemcachedOptions.parse(text) == options


def test_a_queue_is_not_read_only() -> None:
    with pytest.raises(Misconfigured, match="leave out the q or the r"):
        MemcachedOptions.parse("opts=rq")


# --- Whatever comes

VALID = [
    b"set k 1 0 5\r\nvalue\r\n",
    b"add k 1 0 0 noreply\r\n\r\n",
    b"replace k 0 -1 3\nabc\n",
    b"append k 0 0 1\r\nx\r\n",
    b"get k j\r\n",
    b"gets\r\n",
    b"delete k 0\r\n",
    b"incr k 99999999999999999999\r\n",
    b"decr k 1 noreply\r\n",
    b"stats\r\n",
    b"flush_all\r\n",
    b"version\r\n",
    b"\r\n",
]

PIECES = [b"\r\n", b" ", b"\0", b"-1", b"9" * 30, b"268435456", b"set k 0 0 "]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Valid requests with some places written over, left out or doubled."""
    data = bytearray(b"".join(draw(st.lists(st.sampled_from(VALID), min_size=1, max_size=5))))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        piece = draw(
            st.sampled_from([b"\r\n", b" ", b"\0", b"-1", b"9" * 30, b"268435456", b"set k 0 0 "]) | st.binary()
        )
        data[at : at + draw(st.sampled_from([0, len(piece), 1, 9]))] = piece
    return bytes(data)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.sampled_from(VALID) | mutated() | st.binary(max_size=40), min_size=1, max_size=6))
def test_any_bytes_are_survived(server: Server, client: Wire, pieces: list[bytes]) -> None:
    with connect(server) as hostile:
        with suppress(OSError):  # it may have hung up already
            hostile.send(*pieces)
            hostile.end()
        hostile.rest()
    assert ask(client, b"version\r\n").startswith(b"VERSION ")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests=st.lists(st.sampled_from(VALID), max_size=12), size=st.integers(1, 30))
def test_how_requests_are_cut_makes_no_difference(server: Server, requests: list[bytes], size: int) -> None:
    data = b"".join(request for request in requests if request != b"stats\r\n")
    replies = []
    for step in (len(data) + 1, size):
        with connect(server) as each:
            ask(each, b"flush_all\r\n")
            each.send(*(data[start : start + step] for start in range(0, len(data), step)))
            each.end()
            replies.append(each.rest())
    assert replies[0] == replies[1]


@pytest.mark.parametrize("half", [b"set k 0 0 100\r\nabc", b"get k", b"set k 0 0 268435456\r\n"])
def test_half_a_request_is_dropped_after_a_while(half: bytes) -> None:
    with serving("%", memcached=MemcachedOptions(port=0), timeout=0.1) as server, connect(server) as slow:
        slow.send(half)
        assert slow.rest() == b""
        with connect(server) as other:
            assert ask(other, b"get k\r\n") == END


def test_a_line_without_an_end_is_not_kept(client: Wire) -> None:
    client.send(b"get " + b"k" * 10_000)
    assert client.rest() == b""


def test_keys_by_the_thousand(client: Wire) -> None:
    hold(client, [(b"set k 0 0 1\r\nv\r\n", STORED)])
    client.send(b"get" + b" k" * 4000 + b"\r\n")
    expected = found(b"k", b"v") * 4000 + END
    assert client.read(len(expected)) == expected


def test_a_client_that_takes_no_replies_is_dropped() -> None:
    with serving("%", memcached=MemcachedOptions(port=0), timeout=0.2) as server, connect(server) as greedy:
        assert ask(greedy, b"set k 0 0 1000000\r\n%b\r\n" % bytes(1_000_000)) == STORED
        with suppress(OSError):
            for _ in range(40):
                greedy.send(b"get k\r\n")
        with connect(server) as other:
            while len(in_loop(server, lambda: set(server.connections))) > 1:
                assert ask(other, b"version\r\n").startswith(b"VERSION ")


# --- Beside the original

NAMES = st.sampled_from([b"k", b"k1", b"n", b"\xff", b"x" * 250, b"noreply"])
NUMBERS = st.sampled_from([b"0", b"1", b"7", b"-1", b"10x", b"4294967297", b"9223372036854775807", b"-99999999999"])
EXPTIMES = st.sampled_from([b"0", b"-1", b"100", b"2592001", b"4098546906", b"16777217", b"x"])
DATA = st.sampled_from([b"", b"v", b"5", b" 12 ", b"-3", b"\0\r\n\xff", b"abcd" * 100]) | st.binary(max_size=6)
MORE = st.sampled_from([b"", b"", b" 0", b" noreply", b" x noreply "])


def store(name: bytes, key: bytes, flags: bytes, exptime: bytes, data: bytes, more: bytes) -> bytes:
    return b"%b %b %b %b %d%b\r\n%b\r\n" % (name, key, flags, exptime, len(data), more, data)


STORES = st.builds(store, st.sampled_from([b"set", b"set", b"add", b"replace"]), NAMES, NUMBERS, EXPTIMES, DATA, MORE)
ADDS = st.builds(b"%b %b %b%b\r\n".__mod__, st.tuples(st.sampled_from([b"incr", b"decr"]), NAMES, NUMBERS, MORE))
DELETES = st.builds(b"delete %b%b\r\n".__mod__, st.tuples(NAMES, MORE))
GETS = st.lists(NAMES, max_size=4).map(lambda names: b" ".join([b"get", *names]) + b"\r\n")
OTHERS = st.sampled_from([b"flush_all\r\n", b"delete\r\n", b"incr k\r\n", b"set k 0 0\r\n", b"touch k 0\r\n", b" \r\n"])
REQUESTS = st.lists(STORES | ADDS | DELETES | GETS | OTHERS, min_size=20, max_size=40)


if "ktserver" in PLUGGED:

    @pytest.fixture(scope="module", params=["opts=f", ""])
    def pair(request: pytest.FixtureRequest) -> Iterator[list[tuple[str, int]]]:
        """Where the original and ours serve the same."""
        with plugged("ktserver", request.param) as theirs, plugged("bundled", request.param) as ours:
            yield [theirs, ours]

    @settings(max_examples=30, suppress_health_check=list(HealthCheck))
    @given(requests=REQUESTS)
    def test_every_reply_is_that_of_the_original(pair: list[tuple[str, int]], requests: list[bytes]) -> None:
        await_the_middle_of_a_second()
        replies = []
        for address in pair:
            with Wire(address) as wire:
                wire.send(b"flush_all\r\n", *requests, b"quit\r\n")
                replies.append(wire.rest())
        assert replies[1] == replies[0]
