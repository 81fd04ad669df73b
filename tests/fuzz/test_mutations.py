"""A short fuzz of every target without a fuzzer: inputs of the corpus, changed at random in the same way each time."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).with_name("corpus")
ROUNDS = 400
MOST = 8192
# What decoders take for a length, an end, a number or a beginning.
WORDS = [
    *(bytes(4), b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\1", b"\0" * 8, b"\xff" * 8),
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b":",
        b"%",
        b"&",
        b"=",
        b"'",
        b'"',
        b"<",
        b"9" * 30,
        b"9" * 5000,
        b"-1",
        b"1e999",
        b"nan",
    ),
    *(b"chunked", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"[" * 200, b"\xed\xa0\x80", b"\xc3"),
]


def mutated(rnd: random.Random, seeds: list[bytes]) -> bytes:
    """Return an input with pieces of it written over, put in, left out, doubled, or taken from another one."""
    data = bytearray(rnd.choice(seeds))
    for _ in range(rnd.randint(1, 4)):
        at = rnd.randint(0, len(data))
        end = min(len(data), at + rnd.choice((0, 1, 2, 4, 8, 64)))
        other = rnd.choice(seeds)
        start = rnd.randint(0, len(other))
        data[at:end] = rnd.choice(
            (
                b"",
                rnd.choice(WORDS),
                rnd.randbytes(rnd.randint(1, 4)),
                bytes(data[at:end]) * 2,
                other[start : start + 64],
            )
        )
    return bytes(data[:MOST])


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_like_the_corpus_is_survived(target: str) -> None:
    seeds = [path.read_bytes()[:MOST] for path in sorted((CORPUS / target).iterdir())]
    rnd = random.Random(target)
    for _ in range(ROUNDS):
        TARGETS[target](mutated(rnd, seeds))
