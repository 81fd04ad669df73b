"""The load generator: it asks for what it says it does, and takes no wrong reply for a right one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.generator import KEY_SIZE, VALUE_SIZE, Generator, NoCompiler, Target, Turn, build, troubles
from tests.bench.answering import Answer, Records, kyoto, redis, tyrant
from tests.peer import Peer, peer

PROTOCOLS = {"kt": kyoto, "tyrant": tyrant, "redis": redis}
NO_TIME = 0.05  # seconds, beside the warm-up


def test_a_missing_compiler_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoCompiler, match="install a compiler that is found as absent-cc on PATH"):
        build(tmp_path, "absent-cc")


def test_troubles_are_told_and_nothing_else() -> None:
    well, badly = Turn(10, 1.0, 1, 2, 3, 0, 0), Turn(10, 1.0, 1, 2, 3, 4, 1)
    assert list(troubles("it", [well, well])) == []
    assert list(troubles("it", [well, badly, badly])) == [
        "Under load it had lost 8 keys asked for and failed 2 connections."
    ]


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    return build(tmp_path_factory.mktemp("generator"))


@pytest.fixture(params=list(PROTOCOLS))
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler: there is no generator to test")
class TestGenerator:
    def test_stores_every_key_once(self, generator: Generator, protocol: str) -> None:
        records: Records = {}
        with peer(PROTOCOLS[protocol](records)) as running:
            turn = generator.store(target(protocol, running), 7, range(100, 350))
        assert (turn.operations, turn.misses, turn.errors) == (250, 0, 0)
        assert len(records) == 250
        assert running.accepted == 7
        for key, value in records.items():
            assert (len(key), len(value)) == (KEY_SIZE, VALUE_SIZE)
            assert value.startswith(key)

    def test_asks_for_the_keys_stored_and_counts_those_lost(self, generator: Generator, protocol: str) -> None:
        records: Records = {}
        with peer(PROTOCOLS[protocol](records)) as running:
            generator.store(target(protocol, running), 1, range(20))
            kept = generator.mix(target(protocol, running), 3, 20, 100, NO_TIME)
            records.clear()
            lost = generator.mix(target(protocol, running), 3, 20, 100, NO_TIME)
        assert kept.operations > 0
        assert (kept.misses, kept.errors) == (0, 0)
        assert lost.misses == lost.operations
        assert 0 < lost.p50 <= lost.p99 <= lost.p999

    def test_gets_and_sets_in_turn(self, generator: Generator, protocol: str) -> None:
        records: Records = {}
        with peer(PROTOCOLS[protocol](records)) as running:
            turn = generator.mix(target(protocol, running), 2, 1, 50, NO_TIME)
        assert len(records) == 1
        assert turn.misses < turn.operations
        assert turn.errors == 0

    def test_a_reply_may_come_in_pieces(self, generator: Generator, protocol: str, tmp_path: Path) -> None:
        with peer(PROTOCOLS[protocol]({}, byte_by_byte), path=tmp_path / "socket") as running:
            stored = generator.store(target(protocol, running), 1, range(3))
            read = generator.mix(target(protocol, running), 1, 3, 100, NO_TIME)
        assert (stored.operations, stored.errors) == (3, 0)
        assert (read.misses, read.errors) == (0, 0)

    @pytest.mark.parametrize("get_percent", [0, 100])
    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param(lambda key, reply: [b""], id="none, and the connection closed"),
            pytest.param(lambda key, reply: [reply[:-1], b""], id="a part, and the connection closed"),
            pytest.param(lambda key, reply: [reply + b"\0"], id="too much"),
            pytest.param(lambda key, reply: [b"\xbf"], id="Kyoto Tycoon's error"),
            pytest.param(lambda key, reply: [b"-ERR no\r\n"], id="Redis's error"),
            pytest.param(lambda key, reply: [b"\xb8\0\0\0\0"], id="nothing stored"),
        ],
    )
    def test_a_wrong_reply_is_an_error(
        self, generator: Generator, protocol: str, answer: Answer, get_percent: int
    ) -> None:
        with (
            peer(PROTOCOLS[protocol](Everything(), answer)) as running,
            pytest.raises(RuntimeError, match="no right reply on 2 connections"),
        ):
            generator.mix(target(protocol, running), 2, 10, get_percent, NO_TIME)

    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param(lambda key, reply: [reply.replace(key, key[::-1])], id="another key's"),
            pytest.param(lambda key, reply: [reply.replace(b"xx", b"xy")], id="changed"),
            pytest.param(lambda key, reply: [reply.replace(b"\0\0\0\xc8", b"\0\0\0\xc7")], id="one shorter"),
        ],
    )
    def test_a_wrong_value_is_an_error(self, generator: Generator, answer: Answer) -> None:
        with (
            peer(kyoto(Everything(), answer)) as running,
            pytest.raises(RuntimeError, match="no right reply on 1 connections"),
        ):
            generator.mix(target("kt", running), 1, 10, 100, NO_TIME)

    def test_the_other_connections_go_on(self, generator: Generator, protocol: str) -> None:
        records: Records = {}
        good = PROTOCOLS[protocol](records)
        bad = PROTOCOLS[protocol]({}, lambda key, reply: [b"?"])
        with peer(good, bad, good) as running:
            turn = generator.store(target(protocol, running), 3, range(50))
        assert turn.errors == 1
        assert turn.operations == len(records) == 49  # one was asked of the bad connection

    def test_a_server_that_is_not_there_is_told(self, generator: Generator, protocol: str, tmp_path: Path) -> None:
        absent = str(tmp_path / "absent")
        with pytest.raises(RuntimeError, match=f"the load on {absent} failed: {absent}: No such file"):
            generator.store(Target(protocol, absent), 1, range(1))


class Everything(dict[bytes, bytes]):
    """Records of all keys."""

    def __contains__(self, key: object) -> bool:
        return True

    def __getitem__(self, key: bytes) -> bytes:
        return key + b"x" * (VALUE_SIZE - KEY_SIZE)

    def get(self, key: bytes, default: object = None) -> bytes:
        return self[key]


def target(protocol: str, running: Peer) -> Target:
    return Target(protocol, str(running.address))


def byte_by_byte(key: bytes, reply: bytes) -> list[bytes]:
    return [reply[at : at + 1] for at in range(len(reply))]
