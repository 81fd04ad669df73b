"""The soak: a short one of every store, and the proof that it finds a faulty one."""

from __future__ import annotations

import json
import random
import time
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from kt_cache.options import Options
from kt_cache.stores import open_store
from tests.soak import model, report
from tests.soak.__main__ import run
from tests.soak.audit import audit
from tests.soak.board import Figure
from tests.soak.chart import chart
from tests.soak.faulty import FAULTY
from tests.soak.journal import Journal, Log, read
from tests.soak.model import ABSENT, UNANSWERED, Known, Lifetime, Promise
from tests.soak.places import PLACES
from tests.soak.player import Player
from tests.soak.soak import Injection, Outcome, Sample, Soak
from tests.soak.values import decode, encode

SECONDS = 5.0


def test_short(tmp_path: Path) -> None:
    seed = str(random.getrandbits(32))
    print(f"python -m tests.soak --seed {seed}")  # noqa: T201 - seen when it fails
    soaks = [
        Soak(name, PLACES[name], tmp_path / name, seed=seed, workers=2)
        for name, place in PLACES.items()
        if place.found and name in {"embedded", "embedded-commit", "kt", "tt", "aerospike"}
    ]
    outcomes = run(soaks, SECONDS)
    assert [outcome.faults for outcome in outcomes] == [[]] * len(outcomes)
    assert all(outcome.sound and outcome.injections for outcome in outcomes)
    assert "0 wrong answers and 0 lost writes" in report.write(outcomes, seed, tmp_path).read_text()
    assert len(ElementTree.parse(tmp_path / "soak.svg").findall(".//{*}polygon")) >= 3 * len(outcomes)


@pytest.mark.parametrize(("faulty", "found"), [("", False), ("forgets", True), ("confuses", True)])
def test_a_player_finds_a_faulty_store(tmp_path: Path, faulty: str, found: bool) -> None:
    options = Options.parse(f"embedded://{tmp_path}/store", {"max_size": "32MiB", "eviction": "none"}, default_name="")
    store = FAULTY[faulty](open_store(options))
    player = Player(store, 0, tmp_path, Promise(), 0.0, time.time, "1")
    for _ in range(12_000):
        player.play()
    player.finish()
    store.close()
    assert bool(list(read(tmp_path / "faults.log"))) is found


def test_a_faulty_store_is_told(tmp_path: Path) -> None:
    place = PLACES["embedded-commit"]
    soak = Soak("faulty", place, tmp_path / "soak", seed="1", workers=1, faulty="confuses", pause=60)
    outcome = soak.run(4.0)
    assert not outcome.sound
    assert "| faulty |" in report.summary([outcome], "1")


def test_a_player_knows_what_the_one_before_it_did(tmp_path: Path) -> None:
    store = open_store(Options.parse(f"embedded://{tmp_path}/store", {"max_size": "4MiB"}, default_name=""))
    for seed in "123":
        player = Player(store, 0, tmp_path, Promise(evicts=True), 0.0, time.time, seed)
        for _ in range(500):
            player.play()
    player.finish()
    store.close()
    assert list(read(tmp_path / "faults.log")) == []


def test_what_a_killed_player_was_about_to_do_stays_possible_for_all_after_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "player-0.state")
    journal.note("will", time.time(), [[2, "put", None, [9]]])
    store = open_store(Options.parse(f"embedded://{tmp_path}/store", {"max_size": "4MiB"}, default_name=""))
    for _ in range(2):
        player = Player(store, 0, tmp_path, Promise(), 0.0, time.time, "1")
    store.set(b"own:0:2", encode(b"own:0:2", 9), None)
    player.finish()
    store.close()
    assert list(read(tmp_path / "faults.log")) == []


class TestModel:
    def known(self, **promise: float | bool) -> Known:
        known = Known(Promise(**promise))  # type: ignore[arg-type]
        assert known.answered(model.put(7, Lifetime(100.0, 101.0)), True, 90, 91) is None
        return known

    def test_takes_what_was_stored(self) -> None:
        assert self.known().answered(model.get, 7, 92, 93) is None

    @pytest.mark.parametrize(("answer", "verdict"), [(8, "wrong"), (None, "lost")])
    def test_tells_another_number_and_a_loss(self, answer: int | None, verdict: str) -> None:
        assert self.known().answered(model.get, answer, 92, 93) == verdict

    def test_allows_either_while_it_may_expire(self) -> None:
        assert self.known().answered(model.get, None, 99.9, 100.5) is None
        assert self.known().answered(model.get, 7, 99.9, 100.5) is None

    def test_tells_what_outlives_its_expiry(self) -> None:
        assert self.known().answered(model.get, 7, 102, 103) == "expired, and still there"

    def test_allows_either_after_no_answer_until_one_is_seen(self) -> None:
        known = self.known()
        known.unknown(model.put(8, Lifetime()), 91, 92)
        assert {state.number for state in known.states} == {7, 8}
        assert known.answered(model.get, 8, 92, 93) is None
        assert known.answered(model.get, 7, 92, 93) == "wrong"

    def test_a_cache_may_evict_but_not_bring_back(self) -> None:
        known = self.known(evicts=True)
        assert known.answered(model.get, None, 92, 93) is None
        assert known.answered(model.get, 7, 92, 93) == "wrong"

    def test_what_was_forgotten_may_be_gone(self) -> None:
        assert self.known().answered(model.get, None, 92, 93, forgotten=True) is None

    def test_counts_and_swaps(self) -> None:
        known = self.known()
        assert known.answered(model.increase(3), 10, 92, 93) is None
        assert known.answered(model.swap(9, 1, Lifetime()), False, 92, 93) is None
        assert known.answered(model.swap_and_keep(10, 1), True, 92, 93) is None
        assert known.answered(model.delete, UNANSWERED, 92, 93) is None
        assert known.states == {ABSENT}


class TestValues:
    def test_are_of_one_key_and_whole(self) -> None:
        value = encode(b"a", 42)
        assert decode(b"a", value) == 42
        assert decode(b"b", value) == -1
        assert decode(b"a", value[:-1]) == -1


class TestJournal:
    def test_knows_what_was_noted(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "journal")
        journal.note("before")
        journal.save({"state": 1})
        journal.note("after", 2)
        assert Journal(tmp_path / "journal").load() == ({"state": 1}, [["after", 2]])

    def test_leaves_out_what_was_cut(self, tmp_path: Path) -> None:
        (tmp_path / "log").write_text('["whole"]\n["cu')
        assert list(read(tmp_path / "log")) == [["whole"]]


class TestAudit:
    def faults(self, tmp_path: Path, lines: dict[int, list[list[object]]], **records: bytes | int) -> list[str]:
        for player, entries in lines.items():
            log = Log(tmp_path / f"shared-{player}.log")
            for entry in entries:
                log.note(*entry)
            log.close()
        store = open_store(Options.parse(f"embedded://{tmp_path}/store", {"max_size": "1MiB"}, default_name=""))
        store.set_many({key.encode(): value for key, value in records.items()}, None)
        try:
            return [verdict for verdict, *_ in audit(tmp_path, store, loses=False)]
        finally:
            store.close()

    @pytest.mark.parametrize(("total", "verdicts"), [(1, ["lost"]), (2, []), (5, []), (6, ["wrong"])])
    def test_a_sum_has_all_that_was_acknowledged_and_no_more_than_was_tried(
        self, tmp_path: Path, total: int, verdicts: list[str]
    ) -> None:
        lines: dict[int, list[list[object]]] = {0: [["sum", "s", 2], ["sum answered", "s", 2, 2]], 1: [["sum", "s", 3]]}
        assert self.faults(tmp_path, lines, s=total) == verdicts

    def test_a_race_has_one_winner(self, tmp_path: Path) -> None:
        lines: dict[int, list[list[object]]] = {
            player: [["race", "r", player], ["race answered", "r", player, True]] for player in (0, 1)
        }
        assert self.faults(tmp_path, lines, r=encode(b"r", 1)) == ["wrong"]

    @pytest.mark.parametrize(("step", "verdicts"), [(1, ["lost"]), (2, []), (3, ["wrong"])])
    def test_a_chain_has_every_step(self, tmp_path: Path, step: int, verdicts: list[str]) -> None:
        lines: dict[int, list[list[object]]] = {
            0: [["chain", "c", 1024], ["chain answered", "c", 1024, True]],
            1: [["chain", "c", 2049], ["chain answered", "c", 2049, True]],
        }
        assert self.faults(tmp_path, lines, c=encode(b"c", step * 1024)) == verdicts

    def test_no_fencing_token_is_given_twice(self, tmp_path: Path) -> None:
        lines: dict[int, list[list[object]]] = {
            player: [["lock", "l", 0], ["lock answered", "l", 0, 5]] for player in (0, 1)
        }
        assert self.faults(tmp_path, lines) == ["wrong"]


class TestReport:
    OUTCOME = Outcome(
        "<store>",
        10.0,
        {Figure.OPERATIONS: 1000, Figure.LATE: 7, Figure.WRONG: 2, Figure.LOST: 1},
        [Injection("disk filled", 1.0, 2.0), Injection("cut within a reply", 3.0, 3.0)],
        ["what was wrong"],
        [Sample(float(at), at * 100, at, 50 << 20, 4 << 20) for at in range(1000)],
    )

    def test_says_what_was_wrong_first(self) -> None:
        text = report.summary([self.OUTCOME], "1")
        assert "**2 wrong answers and 1 lost writes** in 1,000 operations, with 2 faults injected." in text
        assert "| <store> | 10 | 1,000 | 0 | 7 |" in text
        assert "1 cut within a reply, 1 disk filled" in text

    def test_draws_a_long_soak_with_few_points(self) -> None:
        drawn = ElementTree.fromstring(chart([self.OUTCOME]))
        lines = [line.attrib["points"].split() for line in drawn.findall(".//{*}polyline")]
        assert [len(line) for line in lines] == [99, 99, 100, 100]
        assert "<store>" in "".join(drawn.itertext())

    def test_draws_what_ended_before_it_began(self) -> None:
        ElementTree.fromstring(chart([Outcome("store")]))


def test_a_server_that_runs_anyway_is_left_alone(tmp_path: Path) -> None:
    place = PLACES["aerospike"]
    assert place.server(tmp_path) is not None
    assert replace(place, given=True).server(tmp_path) is None


def test_settings_are_read_by_other_processes() -> None:
    for place in PLACES.values():
        assert json.loads(json.dumps(place.options)) == place.options
