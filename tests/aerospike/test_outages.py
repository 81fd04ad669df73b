"""A node of two is killed under load: no answer is wrong, failures are of the expected kinds and end by themselves."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO

import pytest

from tests.aerospike.server import Cluster
from tests.fix_aerospike import Place
from tests.processes import ROOT

PROCESSES, THREADS = 2, 3
BUSY = 300
"""Requests that a node has when the load has surely come to it."""

STUCK = 40
"""Requests that a node has at the very most before every thread waits for the other, silent one."""

EXPECTED = {"ConnectionFailed", "Timeout"}


class Load:
    """Some programs that work on one set."""

    def __init__(self, programs: list[subprocess.Popen[str]]) -> None:
        self._programs = programs

    def say(self, line: str) -> None:
        """Begin a phase, or end it."""
        for program in self._programs:
            _pipe(program.stdin).write(line + "\n")
            _pipe(program.stdin).flush()

    def errors(self) -> list[dict[str, int]]:
        """Wait for the end of a phase and return which errors each program met, and how often."""
        answers = [_pipe(program.stdout).readline() for program in self._programs]
        assert all(answers), "a program has ended: it says above what was wrong"
        return [json.loads(answer) for answer in answers]


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


@pytest.fixture
def load(two_nodes: Cluster) -> Iterator[Load]:
    """Return programs that work on two nodes."""
    url = Place(tuple(two_nodes.hosts)).url("outages") + "?timeout=0.5"
    with ExitStack() as stack:
        programs = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "tests.aerospike.workload", url, str(THREADS)],
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(PROCESSES)
        ]
        for program in programs:
            stack.callback(program.kill)
        yield Load(programs)


def wait_for_load(cluster: Cluster, node: int, requests: int = BUSY) -> None:
    """Wait until a node has had so many more requests."""
    enough = cluster.served(node) + requests
    while cluster.served(node) < enough:
        time.sleep(0.01)


@pytest.mark.parametrize("node", [0])
def test_a_node_dies_and_comes_back(two_nodes: Cluster, load: Load, node: int) -> None:
    load.say("run")
    assert load.errors() == [{}] * PROCESSES

    load.say("survive")
    wait_for_load(two_nodes, node)
    two_nodes.stop(node)
    wait_for_load(two_nodes, 1 - node)
    load.say("over")
    errors = load.errors()
    assert all(set(each) <= EXPECTED for each in errors)
    assert any(errors), "nobody has noticed"

    load.say("run")
    assert load.errors() == [{}] * PROCESSES

    load.say("survive")
    two_nodes.start(node)
    wait_for_load(two_nodes, node)
    load.say("over")
    load.errors()
    load.say("run")
    assert load.errors() == [{}] * PROCESSES


def test_a_node_falls_silent_and_goes_on(two_nodes: Cluster, load: Load) -> None:
    load.say("survive")
    wait_for_load(two_nodes, 0)
    two_nodes.pause(0)
    wait_for_load(two_nodes, 1, STUCK)
    two_nodes.resume(0)
    wait_for_load(two_nodes, 0)
    load.say("over")
    errors = load.errors()
    assert all(set(each) <= EXPECTED for each in errors)
    assert any("Timeout" in each for each in errors)

    load.say("run")
    assert load.errors() == [{}] * PROCESSES
