"""What holds is read, what does not is deleted, what is stale stays, and the log tells of each kind once."""

from __future__ import annotations

import logging
import pickle
import secrets
from typing import Any

import pytest

from kt_cache.flows import Flow
from kt_cache.reading import Found, Problem, Values, complain_once
from kt_cache.reserved import Kind, reserved
from kt_cache.terms import Terms, tag_versions
from kt_cache.values import Codec, Unreadable
from tests.clock import Clock
from tests.fix_driving import Drive, Script
from tests.stores.twinned import Twinned

KEY = b"k"
CODEC = Codec(serializer="json")
CLOCK = Clock()
NOW = int(CLOCK() * 1000)
VALUES = Values(CODEC, CLOCK)
STALE, FRESH = Terms(fresh_until=NOW), Terms(fresh_until=NOW + 1)
TAG, OTHER_TAG = reserved(Kind.TAG, b"tag"), reserved(Kind.TAG, b"other")


def stored(value: object, terms: Terms, key: bytes = KEY) -> bytes:
    return CODEC.dumps_with(terms.encode(), value, key)


def problem(value: object, terms: Terms, key: bytes = KEY) -> Problem:
    """Return the problem that reading such a value is."""
    bytes_of_it = stored(value, terms, key)
    with pytest.raises(Unreadable) as caught:
        CODEC.loads(bytes_of_it, key)
    return Problem(key, bytes_of_it, caught.value)


@pytest.fixture
def store() -> Twinned:
    """Return an empty store."""
    return Twinned(CLOCK)


class Grumbling:
    """A serializer that finds fault with everything it reads, in words that nobody has read before."""

    def dumps(self, value: object) -> bytes:
        return b"anything"

    def loads(self, data: bytes) -> Any:
        raise Unreadable(f"fault {secrets.token_hex()}")


class OnceGrumbling(Grumbling):
    """One that always says the same."""

    def __init__(self) -> None:
        self._fault = f"fault {secrets.token_hex()}"

    def loads(self, data: bytes) -> Any:
        raise Unreadable(self._fault)


# -- looking -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["text", 5, None, [1, 2], 2**70])
def test_a_plain_value_is_found(run: Drive, store: Twinned, value: object) -> None:
    form = CODEC.dumps(value, KEY)
    store.set(KEY, form, None)
    assert run(VALUES.look(KEY), store) == Found(value, form, None, True)


def test_nothing_is_found_where_nothing_is(run: Drive, store: Twinned) -> None:
    assert run(VALUES.look(KEY), store) is None


@pytest.mark.parametrize("form", [b"", b"damaged", b"\x10{", pickle.dumps("not accepted"), b"\x50", b"\x50\0\xff"])
def test_what_cannot_be_read_is_a_miss_and_deleted(run: Drive, store: Twinned, form: bytes) -> None:
    store.set(KEY, form, None)
    assert run(VALUES.look(KEY), store) is None
    assert not store.exists(KEY)


def test_what_somebody_stores_meanwhile_stays(run: Drive) -> None:
    script = Script((("get", KEY), b"damaged"), (("compare_and_set", KEY, b"damaged", None), False))
    assert run(VALUES.look(KEY), script) is None
    assert script.ended


def test_errors_of_a_serializer_of_ones_own_are_raised(run: Drive, store: Twinned) -> None:
    class Breaking(Grumbling):
        def loads(self, data: bytes) -> Any:
            raise LookupError("of its own")

    values = Values(Codec(serializer=Breaking()), CLOCK)
    for form in (run(values.stored_form("v", KEY), store), run(values.stored_form("v", KEY, FRESH), store)):
        store.set(KEY, form, None)
        with pytest.raises(LookupError, match="of its own"):
            run(values.look(KEY), store)
        assert store.get(KEY) == form


# -- storing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("terms", [None, Terms()])
def test_a_value_without_terms_is_stored_plainly(run: Drive, terms: Terms | None) -> None:
    assert run(VALUES.stored_form("v", KEY, terms), Script()) == CODEC.dumps("v", KEY)
    assert run(VALUES.stored_form(5, KEY, terms), Script()) == 5


@pytest.mark.parametrize("terms", [FRESH, Terms(tags=((b"tag", 7),))])
@pytest.mark.parametrize("value", ["v", 5, None])
def test_a_value_is_stored_with_its_terms(run: Drive, store: Twinned, terms: Terms, value: object) -> None:
    store.set(TAG, 7, None)
    form = run(VALUES.stored_form(value, KEY, terms), store)
    store.set(KEY, form, None)
    assert run(VALUES.look(KEY), store) == Found(value, form, terms, True)


@pytest.mark.parametrize(
    ("timeout", "stale", "fresh_until"),
    [
        (10, 5, NOW + 10_000),
        (0.25, 1, NOW + 250),
        (10, 0, 0),
        (None, 5, 0),
        (None, 0, 0),
        (1e13, 5, 0),
        (1e300, 5, 0),
        (float("inf"), 5, 0),
        (-1e300, 5, 1),
    ],
)
def test_a_value_that_may_be_stale_is_fresh_until_its_timeout(
    timeout: float | None, stale: float, fresh_until: int
) -> None:
    terms = VALUES.terms(((b"tag", 7),), timeout, stale)
    assert terms == Terms(fresh_until, ((b"tag", 7),))
    assert Terms.decode(terms.encode()) == terms


# -- settling ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("terms", "is_fresh"), [(STALE, False), (FRESH, True)])
def test_what_is_stale_is_found_and_stays(run: Drive, store: Twinned, terms: Terms, is_fresh: bool) -> None:
    form = stored("value", terms)
    store.set(KEY, form, None)
    assert run(VALUES.look(KEY), store) == Found("value", form, terms, is_fresh)
    assert store.get(KEY) == form


def test_what_is_fresh_now_is_stale_later(run: Drive) -> None:
    clock = Clock()
    values, store = Values(CODEC, clock), Twinned(clock)
    store.set(KEY, stored("value", values.terms((), 10, 60)), 70)
    clock.advance(9.9)
    assert run(values.look(KEY), store).is_fresh is True
    clock.advance(0.2)
    assert run(values.look(KEY), store).is_fresh is False


@pytest.mark.parametrize(
    ("there", "holds"),
    [({TAG: 7}, True), ({TAG: 8}, False), ({}, False), ({TAG: b"7"}, False), ({OTHER_TAG: 7}, False)],
)
def test_a_tagged_value_holds_while_its_tag_has_that_version(
    run: Drive, store: Twinned, there: dict[bytes, Any], holds: bool
) -> None:
    store.set_many(there, None)
    store.set(KEY, stored("value", Terms(tags=((b"tag", 7),))), None)
    assert (run(VALUES.look(KEY), store) is not None) is holds
    assert store.exists(KEY) is holds


def test_all_tags_have_to_hold(run: Drive, store: Twinned) -> None:
    store.set_many({TAG: 7, OTHER_TAG: 8}, None)
    both = problem("both", Terms(tags=((b"tag", 7), (b"other", 8))))
    one = problem("one", Terms(tags=((b"tag", 7), (b"other", 9))), b"l")
    assert {key: found.value for key, found in run(VALUES.settle([both, one]), store).items()} == {KEY: "both"}


def test_many_values_ask_for_their_tags_once(run: Drive) -> None:
    asked: list[set[bytes]] = []

    class Asked(Twinned):
        def get_many(self, keys: Any) -> Any:
            asked.append(set(keys))
            return super().get_many(keys)

    store = Asked(CLOCK)
    store.set_many({TAG: 7, OTHER_TAG: 8}, None)
    problems = [
        problem(number, Terms(tags=((b"tag", 7), (b"other", 8))[: number % 3]), b"%d" % number) for number in range(9)
    ]
    found = run(VALUES.settle(iter(problems)), store)
    assert {key: one.value for key, one in found.items()} == {b"%d" % number: number for number in range(9)}
    assert asked == [{TAG, OTHER_TAG}]


def test_values_without_tags_ask_for_none(run: Drive) -> None:
    """The script knows no call at all."""
    problems = [problem("a", FRESH, b"a"), problem("b", STALE, b"b")]
    found = run(VALUES.settle(problems), Script())
    assert {key: one.is_fresh for key, one in found.items()} == {b"a": True, b"b": False}


def test_no_problems_are_settled_without_asking(run: Drive) -> None:
    assert run(VALUES.settle([]), Script()) == {}


def test_what_holds_no_longer_is_deleted_and_what_holds_stays(run: Drive, store: Twinned) -> None:
    store.set(TAG, 7, None)
    good, bad = problem("good", Terms(tags=((b"tag", 7),)), b"good"), problem("bad", Terms(tags=((b"tag", 6),)), b"bad")
    damaged = Problem(b"damaged", b"damaged", Unreadable("damaged"))
    for one in (good, bad, damaged):
        store.set(one.key, one.stored, None)
    assert list(run(VALUES.settle([bad, good, damaged]), store)) == [b"good"]
    assert sorted(store.keys()) == sorted([TAG, b"good"])


def test_terms_of_one_codec_are_read_by_another_and_their_value_is_not(run: Drive, store: Twinned) -> None:
    form = Codec(serializer="pickle").dumps_with(FRESH.encode(), "value", KEY)
    store.set(KEY, form, None)
    assert run(VALUES.look(KEY), store) is None
    assert not store.exists(KEY)


def test_versions_that_are_given_are_versions_that_hold(run: Drive, store: Twinned) -> None:
    def flow() -> Flow[Any]:
        terms = VALUES.terms((yield from tag_versions([b"a", b"b"])), None)
        form = yield from VALUES.stored_form("value", KEY, terms)
        return (yield from VALUES.open(KEY, form))

    assert run(flow(), store).value == "value"


# -- complaints --------------------------------------------------------------------------------------------


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Return what has the warnings."""
    caplog.set_level(logging.WARNING, "kt_cache")
    return caplog


@pytest.mark.parametrize("terms", [None, FRESH], ids=["plain", "with terms"])
def test_each_kind_of_fault_is_logged_once(
    run: Drive, store: Twinned, log: pytest.LogCaptureFixture, terms: Terms | None
) -> None:
    values = Values(Codec(serializer=OnceGrumbling()), CLOCK)
    for key in (b"a", b"b", b"a"):
        store.set(key, run(values.stored_form("v", key, terms), store), None)
        assert run(values.look(key), store) is None
        assert not store.exists(key)
    assert [record.levelname for record in log.records] == ["WARNING"]
    assert "a cached value was taken for a miss: fault" in log.text


def test_different_faults_are_logged_each(run: Drive, store: Twinned, log: pytest.LogCaptureFixture) -> None:
    values = Values(Codec(serializer=Grumbling()), CLOCK)
    store.set(KEY, run(values.stored_form("v", KEY), store), None)
    other = store.get(KEY)
    run(values.look(KEY), store)
    store.set(KEY, other, None)
    run(values.look(KEY), store)
    assert len(log.records) == 2


def test_a_tag_that_was_deleted_and_a_stale_value_are_no_faults(
    run: Drive, store: Twinned, log: pytest.LogCaptureFixture
) -> None:
    for terms in (STALE, Terms(tags=((b"tag", 7),))):
        store.set(KEY, stored("value", terms), None)
        run(VALUES.look(KEY), store)
    assert log.records == []


def test_the_same_complaint_comes_once(log: pytest.LogCaptureFixture) -> None:
    complaint = secrets.token_hex()
    for _ in range(3):
        complain_once(complaint)
    assert [record.getMessage() for record in log.records] == [f"a cached value was taken for a miss: {complaint}"]
