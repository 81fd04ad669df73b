"""Databases as the server serves them: where they are, what bounds them, what `status` says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kt_cache.stores.embedded import EmbeddedStore
from kt_core.database import NEVER, Database, DatabaseOptions, Environment, Record
from kt_core.database.batch import Change
from kt_core.errors import KTError, Misconfigured, StoreFull
from kt_core.server.scratch import Scratch
from kt_core.server.served import ServedDatabase
from kt_core.server.specs import Spec
from kt_core.wire.kt_binary import NEVER_XT, XT_MAX
from tests.clock import Clock

Serve = Callable[[str], ServedDatabase]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def serve(tmp_path: Path, clock: Clock) -> Iterator[Serve]:
    """A function that opens the database of a specification; all are closed at the end."""
    scratch = Scratch({"XDG_RUNTIME_DIR": str(tmp_path / "run")})
    (tmp_path / "run").mkdir()
    opened: list[ServedDatabase] = []

    def serve(text: str) -> ServedDatabase:
        opened.append(ServedDatabase.open(Spec.parse(text), len(opened), scratch, clock))
        return opened[-1]

    yield serve
    for served in opened:
        served.environment.close()
    scratch.remove()


# --- Where they are


@pytest.mark.parametrize("path", ["-", "+", ":", "*", "%"])
def test_those_in_memory_are_in_the_servers_directory_and_refuse_what_does_not_fit(
    serve: Serve, path: str, tmp_path: Path
) -> None:
    served = serve(path)
    assert served.environment.directory.is_relative_to(tmp_path / "run")
    assert not served.durable
    assert not served.environment.evicts
    assert served.ordered is (path in "+%")


def test_two_of_the_same_kind_are_two(serve: Serve) -> None:
    first, second = serve("*"), serve("*")
    first.database.set(b"k", b"v")
    assert second.database.get(b"k") is None


@pytest.mark.parametrize("path", ["x.kct", "x.kch", "x.kcd", "x.kcf"])
def test_those_on_disk_are_a_directory_of_that_name_and_durable(serve: Serve, path: str, tmp_path: Path) -> None:
    served = serve(str(tmp_path / path))
    assert (tmp_path / path).is_dir()
    assert served.durable
    assert served.name == path
    served.database.set(b"k", b"v")
    served.close()
    assert serve(str(tmp_path / path)).database.get(b"k") == b"v"


def test_one_on_disk_may_be_given_other_promises(serve: Serve, tmp_path: Path) -> None:
    served = serve(f"{tmp_path}/x.kct#durability=process#eviction=lru#max_size=2m")
    assert not served.durable
    assert served.environment.evicts
    assert served.environment.options.max_size == 2 << 20


@pytest.mark.parametrize("setting", ["durability=perhaps", "eviction=all"])
def test_a_promise_that_nobody_makes_is_refused(serve: Serve, setting: str) -> None:
    with pytest.raises(Misconfigured, match="write one of"):
        serve(f"*#{setting}")


def test_a_file_of_the_original_engine_is_refused_with_a_way_out(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "x.kch").write_bytes(b"KC\n")
    with pytest.raises(Misconfigured, match="ktremotemgr"):
        serve(str(tmp_path / "x.kch"))
    assert (tmp_path / "x.kch").read_bytes() == b"KC\n"


def test_an_embedded_database_is_the_very_one_of_the_store(serve: Serve, tmp_path: Path, clock: Clock) -> None:
    environment = Environment.open(tmp_path / "site", DatabaseOptions(max_size=4 << 20, databases=3), clock=clock)
    store = EmbeddedStore(Database(environment, 2))
    store.set(b"k", b"v", 10)
    served = serve(f"embedded://{tmp_path}/site#max_size=4m#database=2")
    assert served.database.get_record(b"k") == Record(b"v", clock.after(10))
    served.database.increment(b"n", 5)
    assert store.incr(b"n", 1) == 6
    assert served.name == "site"
    assert served.ordered


def test_an_embedded_database_is_made_as_the_store_would(serve: Serve, tmp_path: Path) -> None:
    served = serve(f"embedded://{tmp_path}/site")
    assert served.environment.options == DatabaseOptions()
    other = serve(f"embedded://{tmp_path}/other#durability=commit#eviction=none#max_size=8m")
    assert other.environment.options == DatabaseOptions(max_size=8 << 20, durability="commit", eviction="none")


@pytest.mark.parametrize("location", ["embedded://", "embedded://..", "embedded://a b", "embedded://x#database=-1"])
def test_a_location_that_no_store_has_is_refused(serve: Serve, location: str) -> None:
    with pytest.raises(Misconfigured, match="write"):
        serve(location)


# --- What bounds them


def fill(served: ServedDatabase, count: int, size: int = 100) -> list[object]:
    """Store records one by one, as one client would."""
    outcomes: list[object] = []
    for number in range(count):
        row = served.operations.prepare(b"%08d" % number, bytes(size), NEVER)
        outcomes += served.change_all([Change(served.operations.store, row, size + 16)])
    return outcomes


@pytest.mark.parametrize("text", ["*#capcnt=100", "*#ktcapcnt=100", "%#ktcapcnt=100", ":#ktcapcnt=100"])
def test_a_limit_of_records_is_held_give_or_take_a_sixteenth(serve: Serve, text: str) -> None:
    served = serve(text)
    assert fill(served, 500) == [None] * 500
    assert 100 <= served.database.count() <= 106
    assert served.database.get(b"%08d" % 499) == bytes(100)


def test_what_is_read_stays_under_a_limit_of_records(serve: Serve, clock: Clock) -> None:
    served = serve("*#capcnt=100")
    for number in range(500):
        clock.advance(0.01)
        served.database.get(b"%08d" % 0)
        row = served.operations.prepare(b"%08d" % number, b"v", NEVER)
        served.change_all([Change(served.operations.store, row, 20)])
    assert served.database.get(b"%08d" % 0) == b"v"


@pytest.mark.parametrize("text", ["%#capcnt=10#capsiz=1000", ":#capcnt=10", "-#capcnt=10"])
def test_the_limits_of_a_cache_mean_nothing_to_others(serve: Serve, text: str) -> None:
    served = serve(text)
    fill(served, 60)
    assert served.database.count() == 60


@pytest.mark.parametrize("text", ["*#capsiz=1m", "%#ktcapsiz=1m"])
def test_a_limit_of_bytes_is_held_by_eviction(serve: Serve, text: str) -> None:
    served = serve(text)
    assert fill(served, 400, 10_000) == [None] * 400
    assert 40 <= served.database.count() <= 200
    assert served.database.get(b"%08d" % 399) == bytes(10_000)


def test_without_a_limit_what_does_not_fit_is_refused_and_nothing_is_lost(serve: Serve) -> None:
    served = serve("*#max_size=1m")
    outcomes = fill(served, 300, 10_000)
    stored = outcomes.count(None)
    assert 40 < stored < 110
    assert {type(outcome) for outcome in outcomes} == {type(None), StoreFull}
    assert served.database.count() == stored
    assert isinstance(fill(served, 1, 1 << 20)[0], KTError)


# --- Expiry


def test_expiry_switched_off_is_accepted_and_ignored(serve: Serve, clock: Clock) -> None:
    served = serve("%#ktopts=p")
    assert served.expiry(0) == served.expiry(-1) == served.expiry(NEVER_XT) == NEVER
    assert served.xt(NEVER) == NEVER_XT
    assert served.told_xt(NEVER) == {}


def test_expiry_is_by_the_clock_of_the_server(serve: Serve, clock: Clock) -> None:
    served = serve("%")
    second = int(clock())
    assert served.expiry(5) == (second + 6) * 1000
    assert served.xt(served.expiry(5)) == second + 5
    assert served.told_xt(served.expiry(5)) == {b"xt": b"%d" % (second + 5)}
    assert served.xt(NEVER) == XT_MAX
    assert served.told_xt(NEVER) == {}
    clock.advance(10)
    assert served.expiry(0) == (second + 11) * 1000


def test_tidying_reclaims_what_has_expired(serve: Serve, clock: Clock) -> None:
    served = serve("%")
    served.database.set_bulk([(b"%d" % number, b"", served.expiry(1)) for number in range(50)])
    clock.advance(2)
    for _ in range(4):
        served.tidy()
    assert served.database.count() == 0


# --- Status: section 7.3

ALWAYS = "count size path type realtype ktopts ktcapcnt ktcapsiz"
CACHE = "bnum capcnt capsiz chksum fmtver libver librev opts recovered reorganized"
FILE = "apow bnum chksum dfunit flags fmtver fpow frgcnt libver librev msiz opts realsize recovered reorganized trimmed"
TREE = "cusage first last icnt lcnt pccap pnum psiz rcomp root"
DIRECTORY = "chksum flags fmtver libver librev opts recovered reorganized"
FIELDS = {
    "-": "",
    "+": "",
    ":": "",
    "*": CACHE,
    "%": f"{CACHE} {TREE}",
    "x.kch": FILE,
    "x.kct": f"{FILE} {TREE}",
    "x.kcd": DIRECTORY,
    "x.kcf": f"{DIRECTORY} {TREE} bnum",
}


@pytest.mark.parametrize(("path", "fields"), FIELDS.items(), ids=FIELDS)
def test_status_has_the_fields_of_the_kind(serve: Serve, path: str, fields: str, tmp_path: Path) -> None:
    status = serve(path if len(path) == 1 else str(tmp_path / path)).status()
    assert {name.decode() for name in status} == {*ALWAYS.split(), *fields.split()}
    assert b"" not in status.values()


def test_status_counts_and_tells_the_limits(serve: Serve, clock: Clock) -> None:
    served = serve("*#capcnt=5k#capsiz=1m#bnum=100")
    fill(served, 30)
    status = {name.decode(): value.decode() for name, value in served.status().items()}
    assert status["count"] == "30"
    assert int(status["size"]) >= 30 * 100
    assert status["path"] == "*"
    assert status["type"] == status["realtype"] == "32"
    assert status["ktopts"] == "0"
    assert (status["ktcapcnt"], status["ktcapsiz"]) == ("-1", "-1")
    assert (status["capcnt"], status["capsiz"], status["bnum"]) == ("5120", "1048576", "100")


def test_status_tells_the_limits_that_are_the_servers(serve: Serve) -> None:
    status = serve(":#ktopts=p#ktcapcnt=7#ktcapsiz=2m").status()
    assert (status[b"ktopts"], status[b"ktcapcnt"], status[b"ktcapsiz"]) == (b"2", b"7", b"2097152")


def test_status_counts_what_has_expired_and_is_not_yet_reclaimed(serve: Serve, clock: Clock) -> None:
    served = serve("%")
    served.database.set(b"k", b"v", served.expiry(1))
    clock.advance(5)
    assert served.status()[b"count"] == b"1"
