"""Sessions in a store: what is stored, what each operation costs, and what overlapping requests make of each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kt_cache.flows import Flow, drive
from kt_cache.options import AerospikeOptions, EmbeddedOptions, KyotoOptions, Options
from kt_cache.sessions import CONFLICTS, Data, Form, SessionConflict, Sessions, options_of_sessions
from kt_cache.values import Codec, Unreadable
from kt_core.database import resolve
from kt_core.locations import database_name
from tests.clock import Clock
from tests.fix_driving import Drive
from tests.stores.twinned import Twinned

AGE = 100


def form(age: float = AGE) -> Form:
    """Return what a framework makes of sessions that live so long."""
    return Form(
        lambda data: json.dumps(data, sort_keys=True).encode(),
        json.loads,
        lambda data: data.get("user", ""),
        lambda data: age,
    )


def key_of(session: str) -> bytes:
    return b"sessions" + session.encode()


def sessions_with(clock: Clock, **options: Any) -> Sessions:
    return Sessions(Codec(serializer="raw", accept=(), **options), key_of, clock)


class Noting:
    """A store that notes which methods are called."""

    def __init__(self, store: Twinned) -> None:
        self._store = store
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return getattr(self._store, name)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Twinned:
    return Twinned(clock)


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return sessions_with(clock)


class Session:
    """A session as one request has it."""

    def __init__(self, sessions: Sessions, store: Any, name: str = "session") -> None:
        self.sessions = sessions
        self.store = store
        self.name = name
        self.data: Data = {}
        self.known: Any = None

    def create(self, age: float = AGE, **data: Any) -> Session:
        self.data = data
        self.known = self.do(self.sessions.create(self.name, data, form(age)))
        assert self.known is not None
        return self

    def again(self) -> Session:
        """Return the session as another request loads it now."""
        other = Session(self.sessions, self.store, self.name)
        other.known = self.do(self.sessions.load(self.name))
        other.data = json.loads(other.known.data)
        return other

    def save(self, age: float = AGE, conflict: str = "overwrite", **changes: Any) -> bool:
        self.data |= changes
        record = self.do(self.sessions.save(self.name, self.known, self.data, form(age), conflict=conflict))
        self.known = record or self.known
        return record is not None

    @property
    def stored(self) -> Data | None:
        record = self.do(self.sessions.load(self.name))
        return record and json.loads(record.data)

    def do(self, flow: Flow[Any]) -> Any:
        return drive(flow, self.store)


@pytest.fixture
def session(sessions: Sessions, store: Twinned) -> Session:
    return Session(sessions, store)


# -- where sessions are kept -------------------------------------------------------------------------------


def options(location: str, **given: Any) -> Options:
    """Return what sessions are kept with beside a cache."""
    return options_of_sessions(Options.parse(location, given, default_name="default"), set(given))


@pytest.mark.parametrize(
    ("location", "place"),
    [("embedded://site", "site-sessions"), ("embedded:///var/site/", "/var/site-sessions"), ("", "default-sessions")],
)
def test_beside_an_embedded_cache_they_have_a_durable_database_of_their_own(location: str, place: str) -> None:
    expected = EmbeddedOptions(place, max_size=1 << 30, durability="commit", eviction="none")
    assert options(location, max_size="1g").store == expected


def test_a_project_of_any_name_has_a_place_for_them(tmp_path: Path) -> None:
    place = options_of_sessions(Options.parse("", {}, default_name=database_name("p" * 200, "/srv")), ()).store
    assert isinstance(place, EmbeddedOptions)
    assert resolve(place.place, durable=True, max_size=1, environ={"XDG_STATE_HOME": str(tmp_path)}).name == place.place


@pytest.mark.parametrize("given", [{"durability": "process"}, {"eviction": "lru"}, {"durability": "commit"}])
def test_a_cache_that_says_how_it_keeps_records_keeps_them_too(given: dict[str, str]) -> None:
    assert options("embedded://site", **given).store == EmbeddedOptions("site", **given)


def test_they_are_where_a_networked_cache_is_but_no_server_stands_in_for_another() -> None:
    store = options("kt://a,b/3", timeout=2).store
    assert isinstance(store, KyotoOptions)
    assert (len(store.servers), store.database, store.timeout, store.failover) == (2, 3, 2, False)
    store = options("kt://a?replica=embedded://copy").store
    assert isinstance(store, KyotoOptions)
    assert store.replica is None
    store = options("kt://a?replicas=b").store
    assert isinstance(store, KyotoOptions)
    assert store.replicas == ()


def test_they_are_in_the_set_of_a_clusters_cache_and_on_all_its_copies() -> None:
    store = options("aerospike://a/test/cache", replica="random", commit_level="master", timeout=2).store
    assert isinstance(store, AerospikeOptions)
    assert (store.namespace, store.set, store.timeout) == ("test", "cache", 2)
    assert (store.replica, store.commit_level, store.oversize) == ("sequence", "all", "refuse")


def test_an_outage_is_never_an_empty_session() -> None:
    assert options("kt://a", on_error="miss").on_error == "raise"


def test_nothing_but_bytes_is_read_and_the_cache_s_way_with_bytes_is_kept() -> None:
    kept = options("kt://a", serializer="pickle", accept=["pickle"], sign=True, compression="zlib")
    assert (kept.serializer, kept.accept, kept.sign, kept.compression) == ("raw", (), True, "zlib")


# -- a session ---------------------------------------------------------------------------------------------


def test_what_is_stored_is_loaded(run: Drive, sessions: Sessions, store: Twinned) -> None:
    created = run(sessions.create("id", {"user": "7", "a": 1}, form()), store)
    assert run(sessions.load("id"), store) == created
    assert (created.user, json.loads(created.data)) == (b"7", {"user": "7", "a": 1})
    assert run(sessions.exists("id"), store) is True
    saved = run(sessions.save("id", created, {"user": "7", "a": 2}, form()), store)
    assert run(sessions.load("id"), store) == saved
    assert run(sessions.of_user("7"), store) == ["id"]
    moved = run(sessions.cycle("id", "new", {"user": "7", "a": 3}, form()), store)
    assert run(sessions.load("new"), store) == moved
    assert run(sessions.exists("id"), store) is False
    assert run(sessions.end_all("7"), store) == 1
    assert run(sessions.delete("new"), store) is False
    assert store.keys() == []


def test_an_id_that_is_taken_is_not_created(session: Session) -> None:
    session.create(a=1)
    assert session.do(session.sessions.create("session", {}, form())) is None
    assert session.do(session.sessions.cycle("old", "session", {}, form())) is None
    assert session.stored == {"a": 1}


def test_a_session_lives_as_long_as_its_age_and_from_each_save_anew(session: Session, clock: Clock) -> None:
    session.create(a=1)
    clock.advance(AGE - 1)
    assert session.save()
    clock.advance(AGE - 1)
    assert session.save(b=2)
    clock.advance(AGE)
    assert session.stored is None
    assert not session.save()
    assert not session.save(c=3)
    assert session.stored is None


@pytest.mark.parametrize("age", [0, -10])
@pytest.mark.parametrize("user", ["", "7"])
def test_an_age_that_is_over_stores_nothing_and_deletes(session: Session, store: Twinned, age: int, user: str) -> None:
    session.create(age, user=user)
    assert store.keys() == []
    assert not session.save(age)
    session.create(user=user)
    assert session.save(age)
    assert store.keys() == []


@pytest.mark.parametrize("changes", [{}, {"a": 2}, {"user": "8"}])
@pytest.mark.parametrize("conflict", CONFLICTS)
def test_a_session_that_was_deleted_is_not_stored_again(session: Session, conflict: str, changes: Data) -> None:
    other = session.create(user="7", a=1).again()
    session.do(session.sessions.delete("session"))
    assert not other.save(conflict=conflict, **changes)
    assert session.stored is None


def test_a_session_of_a_user_that_was_deleted_gets_no_new_id(session: Session, store: Twinned) -> None:
    session.create(user="7")
    session.do(session.sessions.delete("session"))
    assert session.do(session.sessions.cycle("session", "new", session.data, form())) is None
    assert store.keys() == []
    assert session.do(session.sessions.cycle("session", "new", {}, form())) is not None


def test_what_cannot_be_serialized_leaves_the_session_as_it_was(session: Session) -> None:
    session.create(a=1)
    with pytest.raises(TypeError, match="not JSON serializable"):
        session.save(user="7", b=object())
    assert session.stored == {"a": 1}
    assert session.do(session.sessions.of_user("7")) == []


@pytest.mark.parametrize(
    "stored",
    [
        5,
        b"",
        b"\0",
        b"\x80\x05N.",
        b"\0" + b"\2" + bytes(12) + b"{}",
        b"\0" + b"\1" + bytes(8) + b"\0\0\0\3" + b"{}",
        b"\x10" + b"1234567890123456",
    ],
)
def test_what_is_no_session_is_unreadable_and_nobody_s(session: Session, store: Twinned, stored: Any) -> None:
    session.create(user="7")
    store.set(key_of("session"), stored, None)
    with pytest.raises(Unreadable):
        session.do(session.sessions.load("session"))
    assert session.do(session.sessions.of_user("7")) == []
    assert session.do(session.sessions.delete("session"))


def test_a_signed_session_cannot_be_put_under_another_id(clock: Clock, store: Twinned) -> None:
    session = Session(sessions_with(clock, signing_keys=[b"key"]), store).create(user="7")
    store.set(key_of("victim"), store.get(key_of("session")) or b"", None)
    with pytest.raises(Unreadable, match="signature"):
        session.do(session.sessions.load("victim"))


# -- what it costs -----------------------------------------------------------------------------------------


def test_each_operation_makes_the_fewest_calls(sessions: Sessions, store: Twinned) -> None:
    noting = Noting(store)
    session = Session(sessions, noting)

    def calls() -> list[str]:
        made, noting.calls = noting.calls, []
        return made

    session.create(a=1)
    assert calls() == ["add"]
    session = session.again()
    assert calls() == ["get"]
    session.save()
    assert calls() == ["compare_and_set"]
    session.save(a=2)
    assert calls() == ["replace"]
    session.save(a=3, conflict="merge")
    assert calls() == ["compare_and_set"]
    session.save(user="7")
    assert calls() == ["compare_and_set", "replace"]
    session.save(a=4)
    assert calls() == ["replace"]
    session.do(sessions.delete("session"))
    assert calls() == ["pop", "delete"]


def test_what_has_not_changed_keeps_its_bytes(session: Session, store: Twinned) -> None:
    session.create(user="7", a=1)
    before = store.get(key_of("session"))
    session.save()
    assert store.get(key_of("session")) == before


def test_a_user_s_entry_is_written_again_only_when_it_would_end_too_early(
    sessions: Sessions, store: Twinned, clock: Clock
) -> None:
    noting = Noting(store)
    session = Session(sessions, noting).create(user="7")
    writes = []
    for _ in range(40):
        clock.advance(AGE / 10)
        noting.calls = []
        session.save()
        writes.append(len(noting.calls) > 1)
        assert session.do(sessions.of_user("7")) == ["session"]
    assert writes.count(True) == 6


def test_a_user_s_entry_outlives_a_session_that_was_stored_without_it(session: Session, clock: Clock) -> None:
    session.create(user="7")
    clock.advance(AGE / 2)
    session.save()
    clock.advance(AGE - 1)
    assert session.do(session.sessions.of_user("7")) == ["session"]


def test_a_user_s_entry_is_never_shortened(session: Session, clock: Clock) -> None:
    other = session.create(user="7").again()
    clock.advance(AGE - 1)
    session.save(AGE * 10)
    other.save(AGE, a=1)
    session.save(AGE * 10, b=1)
    clock.advance(AGE * 9)
    assert session.do(session.sessions.of_user("7")) == ["session"]


def test_a_session_that_only_lives_on_lives_no_longer_than_the_entry_of_its_user(
    session: Session, clock: Clock
) -> None:
    other = session.create(user="7").again()
    session.save(AGE / 10, user="8")
    other.save(AGE)
    clock.advance(AGE - 1)
    assert session.do(session.sessions.of_user("8")) == ["session"]


# -- all sessions of a user --------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["7", "70", "a\0b", "é", "\ud800", "u" * 700])
def test_a_user_s_sessions_are_found_and_nobody_else_s(sessions: Sessions, store: Twinned, user: str) -> None:
    for number, other in enumerate(["7", "70", "a", "a\0b", "é", "\ud800", "u" * 700, "u" * 701]):
        Session(sessions, store, f"other{number}").create(user=other)
    expected = [name.decode()[8:] for name in store.keys(b"sessionsother") if _user_of(sessions, store, name) == user]
    mine = Session(sessions, store, "mine").create(user=user)
    assert sorted(mine.do(sessions.of_user(user))) == ["mine", *expected]
    assert len(expected) == 1


def _user_of(sessions: Sessions, store: Twinned, name: bytes) -> str:
    record = drive(sessions.load(name.decode()[8:]), store)
    return record.user.decode("utf-8", "surrogatepass") if record else ""


def test_all_of_a_user_s_sessions_end_but_one(sessions: Sessions, store: Twinned) -> None:
    names = [f"session{number}" for number in range(5)]
    for name in names:
        Session(sessions, store, name).create(user="7")
    other = Session(sessions, store, "other").create(user="8")
    assert other.do(sessions.end_all("7", keep="session3")) == 4
    assert other.do(sessions.of_user("7")) == ["session3"]
    assert other.stored == {"user": "8"}
    assert other.do(sessions.end_all("7")) == 1


def test_projects_in_one_store_do_not_meet(clock: Clock, store: Twinned) -> None:
    codec = Codec(serializer="raw", accept=())
    for project in "a", "ab":
        own = Sessions(codec, lambda session, project=project: f"{project}{session}".encode(), clock)  # type: ignore[misc]
        Session(own, store, f"of-{project}").create(user="7")
        assert drive(own.of_user("7"), store) == [f"of-{project}"]


def test_a_session_is_its_user_s_alone(session: Session) -> None:
    session.create(user="7")
    session.save(user="8")
    assert session.do(session.sessions.of_user("7")) == []
    assert session.do(session.sessions.of_user("8")) == ["session"]
    assert session.do(session.sessions.end_all("7")) == 0
    del session.data["user"]
    session.save()
    assert session.do(session.sessions.of_user("8")) == []
    assert session.stored == {}


def test_an_entry_outlives_its_session_and_is_not_listed(session: Session, clock: Clock) -> None:
    session.create(user="7")
    clock.advance(AGE)
    assert session.do(session.sessions.of_user("7")) == []


def test_a_clock_that_is_put_back_loses_nothing(session: Session, clock: Clock) -> None:
    session.create(user="7")
    clock.advance(-3600)
    assert session.again().save(a=1)
    clock.advance(AGE - 1)
    assert session.again().save()
    assert session.do(session.sessions.of_user("7")) == ["session"]
    clock.advance(3600)
    assert session.stored is None


# -- requests that overlap ---------------------------------------------------------------------------------


def test_the_last_one_wins(session: Session) -> None:
    other = session.create(a=1, b=1).again()
    session.save(a=2)
    other.save(b=2)
    assert session.stored == {"a": 1, "b": 2}


def test_who_has_changed_nothing_undoes_nothing(session: Session) -> None:
    other = session.create(a=1).again()
    session.save(a=2)
    assert other.save()
    assert session.stored == {"a": 2}


def test_merged_both_keep_their_changes(session: Session) -> None:
    other = session.create(a=1, b=1, c=1, d=1, e=[1]).again()
    del session.data["c"]
    session.save(conflict="merge", a=2, f=3)
    del other.data["d"]
    other.data["e"].append(2)
    assert other.save(conflict="merge", b=2)
    assert session.stored == other.data == {"a": 2, "b": 2, "e": [1, 2], "f": 3}
    assert other.save(conflict="merge", b=3)
    session.save(conflict="merge", a=4)
    assert session.stored == {"a": 4, "b": 3, "e": [1, 2], "f": 3}


def test_of_one_item_the_later_change_stays(session: Session) -> None:
    other = session.create(a=1, b=1).again()
    session.save(conflict="merge", a=2, b=2)
    del other.data["b"]
    other.save(conflict="merge", a=3)
    assert session.stored == {"a": 3}


def test_merged_a_session_is_the_user_s_that_somebody_has_logged_in(session: Session) -> None:
    other = session.create(a=1).again()
    session.save(conflict="merge", user="7")
    other.save(conflict="merge", a=2)
    assert session.stored == {"a": 2, "user": "7"}
    assert session.do(session.sessions.of_user("7")) == ["session"]


class Overtaken:
    """A store on which somebody saves the session ahead of the first few comparisons."""

    def __init__(self, session: Session, times: int) -> None:
        self._session = session
        self._left = times

    def __getattr__(self, name: str) -> Any:
        if name == "compare_and_set" and self._left:
            self._left -= 1
            self._session.save(conflict="merge", left=self._left)
        return getattr(self._session.store, name)


@pytest.mark.parametrize(("conflict", "changes"), [("merge", {"a": 1}), *((each, {}) for each in CONFLICTS)])
def test_a_comparison_is_repeated_until_nobody_was_faster(session: Session, conflict: str, changes: Data) -> None:
    other = session.create(left=5).again()
    other.store = Overtaken(session, 5)
    assert other.save(conflict=conflict, **changes)
    assert session.stored == {"left": 0} | changes


def test_refused_the_later_change_is_not_stored(session: Session) -> None:
    other, third = session.create(a=1).again(), session.again()
    session.save(a=2)
    with pytest.raises(SessionConflict):
        other.save(conflict="refuse", a=3)
    assert session.stored == {"a": 2}
    assert third.save(conflict="refuse")
    assert session.save(conflict="refuse", a=4)


def test_that_a_session_lives_on_is_no_conflict(session: Session, clock: Clock) -> None:
    other = session.create(user="7").again()
    clock.advance(AGE - 1)
    session.save(AGE * 5)
    assert session.known.stored != other.known.stored
    assert other.save(conflict="refuse", a=3)
