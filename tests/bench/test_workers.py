"""Processes that do as they are told, and end when nobody tells them any more."""

from __future__ import annotations

import os
from multiprocessing.connection import Connection

import pytest

from bench.workers import workers


def add(pipe: Connection, offset: int, number: int) -> None:
    while True:
        pipe.send((pipe.recv() + offset, number, os.getpid()))


def test_every_worker_answers_by_its_number() -> None:
    with workers(2, add, 10) as pipes:
        for pipe in pipes:
            pipe.send(5)
        answers = [pipe.recv() for pipe in pipes]
    assert [answer[:2] for answer in answers] == [(15, 0), (15, 1)]
    for *_, process in answers:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)
