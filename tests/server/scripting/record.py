"""Record what the original's scripts answer: ``python -m tests.server.scripting.record``, with `ktserver` on the PATH.

The bundled server is compared with it in `test_recordings`, with or without an original at hand.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kt_core.wire.kt_binary import PlayScript, encode_request
from tests.fix_servers import running
from tests.server.exchange import rpc
from tests.server.pair import await_the_middle_of_a_second
from tests.server.recorded import Player, Step, write
from tests.server.scripting.scenarios import ANSWERS, SCENARIOS, Scenario

DIRECTORY: Final = Path(__file__).parent / "recordings"
SCRIPT: Final = Path(__file__).with_name("exercise.lua")
DATABASES: Final = ("%", "*")


def play(name: str, **given: str) -> bytes:
    """Return the request that calls a procedure by the binary protocol."""
    return encode_request(
        PlayScript(name.encode(), [(key.encode(), value.encode("latin-1")) for key, value in given.items()])
    )


def scenario(pieces: Scenario) -> Iterator[bytes]:
    """Return the requests that run pieces of Lua."""
    for piece in pieces:
        yield play("run", code=piece)


def answers() -> Iterator[bytes]:
    """Return requests for every way to answer, by both protocols."""
    for piece in ANSWERS:
        yield play("answer", code=piece, given="x")
        yield rpc("play_script", name="answer", _code=piece, _given="x", other="y")
    for name in ("none", "print", "kt", "db", "under_score", "", "a b", "tostring"):
        yield play(name)
        yield rpc("play_script", name=name)
    yield rpc("play_script")
    yield rpc("play_script", {b"name": b"echo", b"_": b"empty", b"_a": b"", b"b": b"c", b"__": b"x"})
    for size in (0, 1, 5, 40):
        pairs = {f"k{number}": f"v{number * 7 % 11}" for number in range(size)}
        yield play("echo", **pairs)
        yield play("dumped", **pairs)
    for _ in range(3):
        yield play("count")


def all_requests() -> Iterator[tuple[str, list[bytes]]]:
    """Return what is asked, by the name of its recording."""
    for name, pieces in SCENARIOS.items():
        yield name, list(scenario(pieces))
    yield "answers", list(answers())


def record(player: Player, requests: list[bytes]) -> Iterator[Step]:
    """Send requests, and yield what is to be written."""
    player.begin()
    yield Step("*", b"")
    second = 0
    for request in requests:
        await_the_middle_of_a_second()
        if int(time.time()) != second:
            second = int(time.time())
            yield Step("@", b"%d" % second)
        yield from (Step(">", request), Step("<", player.exchange(Step(">", request))))


def main() -> None:
    """Record everything."""
    for name, requests in all_requests():
        with running("ktserver", "-th", "1", "-scr", str(SCRIPT), databases=DATABASES) as address:
            player = Player((address.host, address.port), len(DATABASES))
            write(name, record(player, requests), DIRECTORY)
            player.close()


if __name__ == "__main__":
    main()
