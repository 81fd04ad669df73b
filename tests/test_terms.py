"""Terms keep what they say, tags hold values as long as nobody deletes them, and no longer than their records."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kt_cache.flows import Flow, call
from kt_cache.reading import Values
from kt_cache.reserved import Kind, reserved
from kt_cache.stores.tolerant import TolerantStore
from kt_cache.terms import Terms, check_tags, delete_tags, tag_versions
from kt_cache.values import Codec, Unreadable
from kt_core.errors import ConnectionFailed, InvalidInput
from tests.clock import Clock
from tests.fix_driving import Drive, Script
from tests.stores.failing import Failing
from tests.stores.twinned import Twinned

KEY = b"k"
CODEC = Codec(serializer="json")

names = st.binary(max_size=40)
tags = st.lists(st.tuples(names, st.integers(0, (1 << 63) - 1)), max_size=20).map(tuple)
some_terms = st.builds(Terms, st.integers(0, (1 << 64) - 1), tags)


@pytest.fixture
def clock() -> Clock:
    """Return a clock that the test moves."""
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Twinned:
    """Return an empty store."""
    return Twinned(clock)


@pytest.fixture
def values(clock: Clock) -> Values:
    """Return what reads and writes values."""
    return Values(CODEC, clock)


# -- the stored form ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "stored"),
    [
        (Terms(), bytes(9)),
        (Terms(258), b"\0\0\0\0\0\0\1\2\0"),
        (Terms(0, ((b"tag", 5),)), bytes(8) + b"\1" + b"\0\3" + b"\0\0\0\0\0\0\0\5" + b"tag"),
        (Terms(1, ((b"", 1), (b"a", 2))), bytes(7) + b"\1\2" + b"\0\0" + bytes(7) + b"\1\0\1" + bytes(7) + b"\2a"),
    ],
)
def test_the_stored_form_stays(terms: Terms, stored: bytes) -> None:
    assert terms.encode() == stored
    assert Terms.decode(stored) == terms


@given(some_terms)
def test_terms_come_back_as_they_were(terms: Terms) -> None:
    assert Terms.decode(terms.encode()) == terms


@given(some_terms, st.binary(min_size=1, max_size=5))
def test_what_is_cut_off_or_goes_on_is_unreadable(terms: Terms, more: bytes) -> None:
    stored = terms.encode()
    for end in range(len(stored)):
        with pytest.raises(Unreadable, match="damaged terms"):
            Terms.decode(stored[:end])
    with pytest.raises(Unreadable, match="damaged terms"):
        Terms.decode(stored + more)


@given(st.binary(max_size=60))
def test_any_bytes_are_terms_or_unreadable(data: bytes) -> None:
    try:
        terms = Terms.decode(data)
    except Unreadable:
        return
    assert terms.encode() == data


# -- how many ----------------------------------------------------------------------------------------------


def test_tags_are_named_once_in_their_order() -> None:
    assert check_tags(iter([b"b", b"a", b"b", b""])) == [b"b", b"a", b""]
    assert check_tags([]) == []


@pytest.mark.parametrize("most", [[b"%d" % number for number in range(255)], [b"t" * (65535 - 9 - 10)]])
def test_as_many_tags_as_a_value_can_have_are_stored(most: list[bytes], values: Values) -> None:
    terms = Terms(tags=tuple((tag, (1 << 63) - 1) for tag in check_tags(most)))
    assert Terms.decode(terms.encode()) == terms
    CODEC.dumps_with(terms.encode(), "value", KEY)


@pytest.mark.parametrize(
    "too_many", [[b"%d" % number for number in range(256)], [b"t" * (65536 - 9 - 10)], [b"a" * 33000, b"b" * 33000]]
)
def test_more_are_refused(too_many: list[bytes]) -> None:
    with pytest.raises(InvalidInput, match=rf"cannot have {len(too_many)} tags of that length: give it fewer"):
        check_tags(too_many)


# -- versions ----------------------------------------------------------------------------------------------

TAG = reserved(Kind.TAG, b"tag")


def test_a_tag_keeps_the_version_that_it_is_given_first(run: Drive, store: Twinned) -> None:
    first = run(tag_versions([b"a", b"b"]), store)
    again = run(tag_versions([b"b", b"c", b"a"]), store)
    assert [tag for tag, _ in first] == [b"a", b"b"]
    assert [tag for tag, _ in again] == [b"b", b"c", b"a"]
    assert dict(first).items() < dict(again).items()
    assert len(set(dict(again).values())) == 3
    assert all(0 <= version < 1 << 63 for _, version in again)


def test_without_tags_nothing_is_stored(run: Drive, store: Twinned) -> None:
    assert run(tag_versions([]), store) == ()
    run(delete_tags([]), store)
    assert store.keys() == []


def test_whoever_was_faster_gives_a_tag_its_version(run: Drive) -> None:
    class Overtaken(Twinned):
        def add(self, key: bytes, value: Any, timeout: float | None) -> bool:
            super().add(key, 7, None)
            return super().add(key, value, timeout)

    assert run(tag_versions([b"tag"]), Overtaken()) == ((b"tag", 7),)


def test_a_version_that_somebody_gave_and_lost_is_replaced_by_ones_own(run: Drive) -> None:
    class Forgetful(Twinned):
        def add(self, key: bytes, value: Any, timeout: float | None) -> bool:
            return False

    ((tag, version),) = run(tag_versions([b"tag"]), Forgetful())
    assert tag == b"tag"
    assert version >= 0


def test_deleting_gives_another_version(run: Drive, store: Twinned) -> None:
    before = dict(run(tag_versions([b"a", b"b", b"c"]), store))
    run(delete_tags([b"a", b"b", b"never used"]), store)
    after = dict(run(tag_versions([b"a", b"b", b"c"]), store))
    assert {tag for tag in before if before[tag] != after[tag]} == {b"a", b"b"}


def test_a_tag_that_cannot_be_given_a_version_loses_its_old_one(run: Drive) -> None:
    class Full(Twinned):
        def set_many(self, items: Any, timeout: float | None) -> list[bytes]:
            return list(items)

    store = Full()
    store.add(TAG, 7, None)
    run(delete_tags([b"tag"]), store)
    assert store.keys() == []


def test_in_an_outage_that_is_tolerated_a_tag_has_some_version(run: Drive) -> None:
    store = TolerantStore(Failing(ConnectionFailed("refused")))
    assert [tag for tag, _ in run(tag_versions([b"a", b"b"]), store)] == [b"a", b"b"]
    run(delete_tags([b"a"]), store)


# -- values with tags --------------------------------------------------------------------------------------


def put(values: Values, key: bytes, tagged: list[bytes]) -> Flow[None]:
    terms = values.terms((yield from tag_versions(tagged)), None)
    yield call("set", key, (yield from values.stored_form("value", key, terms)), None)


def look(values: Values, key: bytes) -> Flow[Any]:
    found = yield from values.look(key)
    return None if found is None else found.value


def test_a_value_holds_until_one_of_its_tags_is_deleted(run: Drive, store: Twinned, values: Values) -> None:
    run(put(values, b"first", [b"a", b"b"]), store)
    run(put(values, b"second", [b"b"]), store)
    run(put(values, b"third", [b"c"]), store)
    assert [run(look(values, key), store) for key in (b"first", b"second", b"third")] == ["value"] * 3
    run(delete_tags([b"a", b"unused"]), store)
    assert [run(look(values, key), store) for key in (b"first", b"second", b"third")] == [None, "value", "value"]
    assert not store.exists(b"first")


def test_a_value_stored_anew_holds_again(run: Drive, store: Twinned, values: Values) -> None:
    run(put(values, KEY, [b"tag"]), store)
    run(delete_tags([b"tag"]), store)
    run(put(values, KEY, [b"tag"]), store)
    assert run(look(values, KEY), store) == "value"


def test_a_tag_whose_record_is_evicted_holds_nothing_any_more(run: Drive, store: Twinned, values: Values) -> None:
    run(put(values, b"before", [b"tag"]), store)
    store.delete(TAG)
    run(put(values, b"after", [b"tag"]), store)
    assert run(look(values, b"before"), store) is None
    assert run(look(values, b"after"), store) == "value"


def test_a_tag_deleted_while_the_value_is_computed_deletes_that_value_too(
    run: Drive, store: Twinned, values: Values
) -> None:
    terms = values.terms(run(tag_versions([b"tag"]), store), None)
    run(delete_tags([b"tag"]), store)
    store.set(KEY, CODEC.dumps_with(terms.encode(), "out of date", KEY), None)
    assert run(look(values, KEY), store) is None


def test_versions_that_are_known_cost_one_call(run: Drive) -> None:
    script = Script((("get_many", [TAG]), {TAG: 5}))
    assert run(tag_versions([b"tag"]), script) == ((b"tag", 5),)
    assert script.ended
